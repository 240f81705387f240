"""What a service does with files by key, wherever they are."""

from __future__ import annotations

import asyncio
import atexit
import re
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from freehold.model.errors import ConfigurationError, Unavailable
from freehold.model.problem import not_found
from freehold.model.saga import duration

if TYPE_CHECKING:
    from obstore import BytesStream, GetResult, ObjectMeta
    from obstore.store import ObjectStore

OCTETS = "application/octet-stream"
PART = 5 * 1024 * 1024
"""Bytes of an upload that are held together; S3 takes no smaller parts."""
PARTS_AT_ONCE = 2
READ = 256 * 1024
ANSWER_SECONDS = 30.0
LONGEST_KEY, LONGEST_SEGMENT = 900, 200
LONGEST_URL = timedelta(days=7)
_SEGMENT = re.compile(r"(?!\.)[\w!$&'()+,.;=@ -]+")
_CONTENT_TYPE = re.compile(r"[\x20-\x7e]{1,200}")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of an object.

    Args:
        key: its name.
        size: in bytes.
        modified: when it was put, to the second.
        content_type: as it was put; empty in a list, since no store tells it there.
    """

    key: str
    size: int
    modified: datetime
    content_type: str = ""


class Download:
    """An object on its way here, in parts that are fetched as they are asked for.

        async for part in await objects.get(key):
            ...

    It may be given to a `StreamingResponse`.
    """

    def __init__(self, info: ObjectInfo, parts: BytesStream) -> None:
        self.info = info
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with answering(self.info.key):
            async for part in self._parts:
                yield bytes(part)

    async def read(self) -> bytes:
        """All of it, in memory."""
        return b"".join([part async for part in self])


class Objects(ABC):
    """Files by key. A handler gets it by its type.

        @orders.get("/orders/{id}/invoice", access=user)
        async def invoice(id: UUID, objects: Objects) -> Link:
            return Link(url=await objects.presign(f"invoices/{id}.pdf", expires="10m"))

    A key is made of segments between slashes: letters, digits, spaces and any of ``! $ & ' ( ) + , - . ; = @ _``, none
    beginning with a dot; at most 900 bytes, and 200 in a segment. Every method raises ValueError for another key, and
    Unavailable when the store does not answer.

    Objects are no part of a transaction: put one before the commit of the row that names it, and delete one after.
    """

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the objects are, fit for logs and messages."""

    @abstractmethod
    def open(self) -> ObjectStore:
        """The store; made at the first use. Raises ConfigurationError when obstore is not installed."""

    @abstractmethod
    async def ping(self) -> None:
        """Raise unless the store answers."""

    @abstractmethod
    async def _put(self, key: str, body: bytes | AsyncIterable[bytes], content_type: str, **options: Any) -> None: ...

    @abstractmethod
    async def _content_type(self, key: str, found: GetResult) -> str: ...

    @abstractmethod
    async def _presign(self, key: str, method: Literal["GET", "PUT"], expires: timedelta) -> str: ...

    async def put(self, key: str, body: bytes | AsyncIterable[bytes], *, content_type: str = OCTETS) -> None:
        """Store an object, or replace it; readers see the old one or the new one, whole.

        Args:
            key: its name.
            body: what it holds; parts that come one after the other are sent on as they come. What the iterator raises
                is raised here, and nothing is stored.
            content_type: told to whoever downloads it.
        """
        check_key(key)
        if not _CONTENT_TYPE.fullmatch(content_type):
            raise ValueError("content_type is no media type; write it like 'image/png'")
        if not isinstance(body, bytes):
            body = await _gathered(body)
        try:
            async with answering(key):
                if isinstance(body, bytes):
                    await self._put(key, body, content_type, use_multipart=False)
                else:
                    await self._put(key, body, content_type, chunk_size=PART, max_concurrency=PARTS_AT_ONCE)
        except _BodyFailed as failed:
            raise failed.error from None

    async def get(self, key: str) -> Download:
        """An object's content. Raises the Problem 404 `OBJECT_NOT_FOUND` when there is none."""
        check_key(key)
        async with answering(key), asyncio.timeout(ANSWER_SECONDS):
            try:
                found = await self.open().get_async(key)
            except FileNotFoundError:
                raise not_found("The object", "OBJECT_NOT_FOUND") from None
            info = info_of(found.meta, await self._content_type(key, found))
        return Download(info, found.stream(min_chunk_size=READ))

    async def head(self, key: str) -> ObjectInfo | None:
        """What is known of an object; None when there is none."""
        check_key(key)
        async with answering(key), asyncio.timeout(ANSWER_SECONDS):
            try:
                found = await self.open().get_async(key, options={"head": True})
            except FileNotFoundError:
                return None
            return info_of(found.meta, await self._content_type(key, found))

    async def delete(self, key: str) -> None:
        """Delete an object; one that is not there is no error."""
        check_key(key)
        async with answering(key), asyncio.timeout(ANSWER_SECONDS):
            with suppress(FileNotFoundError):
                await self.open().delete_async(key)

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """The objects below a prefix, which is made of whole segments: `images/1` finds `images/1/x`, not `images/12`.

        In no order that is promised.
        """
        if prefix:
            check_key(prefix.rstrip("/"))
        async with answering(prefix):
            async for page in self.open().list(prefix or None, chunk_size=500):
                for found in page:
                    yield info_of(found, "")

    async def presign(
        self, key: str, method: Literal["GET", "PUT"] = "GET", *, expires: str | float | timedelta = "15m"
    ) -> str:
        """A URL that lets whoever has it download (GET) or upload (PUT) this one object, and nothing else.

        An upload's Content-Type becomes the object's.

        Args:
            key: the object; it need not be there yet.
            method: what the URL is for.
            expires: how long it is good, `"10m"` or seconds; at most seven days.
        """
        check_key(key)
        lifetime = duration(expires)
        if not timedelta(seconds=1) <= lifetime <= LONGEST_URL:
            raise ValueError(f"expires={expires!r} is not between a second and seven days")
        if method not in ("GET", "PUT"):
            raise ValueError(f"{method!r} cannot be presigned; there are GET and PUT")
        async with answering(key):
            return await self._presign(key, method, lifetime)


def check_key(key: str) -> None:
    """Raises ValueError for what is no key in every store."""
    segments = key.split("/")
    if not all(map(_SEGMENT.fullmatch, segments)):
        raise ValueError(
            f"{key!r} is no key: it is made of segments between slashes, of letters, digits, spaces and "
            "! $ & ' ( ) + , - . ; = @ _, none beginning with a dot"
        )
    if len(key.encode()) > LONGEST_KEY or any(len(segment.encode()) > LONGEST_SEGMENT for segment in segments):
        raise ValueError(f"the key is longer than {LONGEST_KEY} bytes, or {LONGEST_SEGMENT} in a segment")


def info_of(meta: ObjectMeta, content_type: str) -> ObjectInfo:
    """What a store tells of an object."""
    return ObjectInfo(meta["path"], meta["size"], meta["last_modified"].replace(microsecond=0), content_type)


@cache
def obstore() -> Any:
    """The package, imported at the first use. Raises ConfigurationError when it is missing."""
    try:
        import obstore.exceptions
        import obstore.store
    except ImportError as error:
        raise ConfigurationError(
            "objects", f"the package {error.name} is missing", "pip install 'freehold[objects]'"
        ) from error
    # After its last answer one of its threads may still want the interpreter: finding it gone, it aborts the process.
    atexit.register(time.sleep, 0.05)
    return obstore


@asynccontextmanager
async def answering(key: str) -> AsyncIterator[None]:
    """What the store fails with becomes Unavailable, with its first line only: the rest is for its developers."""
    failures = (obstore().exceptions.BaseError, OSError, TimeoutError)
    try:
        yield
    except failures as error:
        if "directory (os error" in str(error):
            raise ValueError(f"{key!r} lies below another key, or above one: a folder cannot hold both") from error
        why = str(error).partition("\n")[0] or "it does not answer"
        raise Unavailable(f"the object {key!r} cannot be reached: {why}") from error


async def _gathered(body: AsyncIterable[bytes]) -> bytes | AsyncIterable[bytes]:
    """All of a short body; else a body that begins with what was read: S3 needs three requests for parts, not one."""
    parts = aiter(body)
    begun = bytearray()
    async for part in parts:
        begun += part
        if len(begun) > PART:
            return _continued(bytes(begun), parts)
    return bytes(begun)


async def _continued(begun: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begun
    try:
        async for part in rest:
            yield part
    except Exception as error:
        raise _BodyFailed(error) from error


class _BodyFailed(Exception):
    """What the body's iterator raised, not to be taken for a failure of the store."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
