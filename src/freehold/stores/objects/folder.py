"""Objects in a folder of this machine. Its presigned URLs are answered by the gateway."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncIterable
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

from freehold.model.errors import Unavailable
from freehold.model.ports import Clock, SystemClock
from freehold.model.problem import Problem
from freehold.stores.objects.store import OCTETS, Objects, answering, obstore
from freehold.stores.write_once import write_once

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import LocalStore

SIGNED_PATH = "/_objects/"
"""Where the gateway answers presigned URLs: a name that no service's route has."""
LARGEST_UPLOAD = 100 * 1024 * 1024


class FolderObjects(Objects):
    """Objects in a folder: `content/KEY` holds an object, `types/KEY` its content type.

    Presigned URLs are signed with what `signing.key` holds: whoever may use the folder can sign and verify.

    Args:
        folder: made when it is missing.
        public: base URL under which the gateway is reached, for presigned URLs.
        largest_upload: bytes that a presigned URL takes.
        clock: tells when a presigned URL has expired.
    """

    def __init__(
        self,
        folder: Path,
        *,
        public: str,
        largest_upload: int = LARGEST_UPLOAD,
        clock: Clock | None = None,
    ) -> None:
        self._folder = folder
        self._public = public.rstrip("/")
        self._clock: Clock = clock or SystemClock()
        self.largest_upload = largest_upload

    @property
    def url(self) -> str:
        return f"file://{self._folder}"

    def open(self) -> LocalStore:
        return self._store

    @cached_property
    def _store(self) -> LocalStore:
        return self._opened("content")

    @cached_property
    def _types(self) -> LocalStore:
        return self._opened("types")

    @cached_property
    def _secret(self) -> bytes:
        return _key_in(self._folder / "signing.key")

    def _opened(self, part: str) -> LocalStore:
        store: LocalStore = obstore().store.LocalStore(self._folder / part, mkdir=True)
        return store

    async def ping(self) -> None:
        self.open()
        if not (self._folder / "content").is_dir():
            raise Unavailable(f"the folder {self._folder} is not there")

    async def delete(self, key: str) -> None:
        await super().delete(key)
        async with answering(key):
            with suppress(FileNotFoundError):
                await self._types.delete_async(key)

    async def _put(self, key: str, body: bytes | AsyncIterable[bytes], content_type: str, **options: Any) -> None:
        await self._types.put_async(key, content_type.encode())
        await self.open().put_async(key, body, **options)

    async def _content_type(self, key: str, found: GetResult) -> str:
        try:
            return bytes(await (await self._types.get_async(key)).bytes_async()).decode()
        except FileNotFoundError:
            return OCTETS  # somebody laid a file into the folder

    # --- presigned URLs -----------------------------------------------------------------------------------------------

    async def _presign(self, key: str, method: Literal["GET", "PUT"], expires: timedelta) -> str:
        until = int((self._clock.now() + expires).timestamp())
        query = urlencode({"expires": until, "signature": self._signature(method, key, str(until))})
        return f"{self._public}{SIGNED_PATH}{quote(key)}?{query}"

    def verify(self, method: str, key: str, expires: str, signature: str) -> None:
        """Whether a presigned URL allows this. Raises the Problem 403 for one that was forged or has expired."""
        if not hmac.compare_digest(signature.encode(), self._signature(method, key, expires).encode()):
            raise Problem(403, "URL_NOT_SIGNED", "This URL was not made here for this")
        if self._clock.now().timestamp() >= int(expires):
            raise Problem(403, "URL_EXPIRED", "This URL was good for a while, which is over")

    def _signature(self, method: str, key: str, expires: str) -> str:
        return hmac.digest(self._secret, f"{method}\n{expires}\n{key}".encode(), "sha256").hex()


def _key_in(file: Path) -> bytes:
    """The key, made once; all of it or nothing, though several processes begin together or one dies meanwhile."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_once(file, secrets.token_bytes(32))
    return file.read_bytes()
