"""Objects in a bucket of S3, or of a server that speaks like it."""

from __future__ import annotations

from collections.abc import AsyncIterable
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from freehold.stores.objects.store import OCTETS, Objects, answering, obstore

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import S3Store


class BucketObjects(Objects):
    """Objects in a bucket; the credentials come from the environment (`AWS_ACCESS_KEY_ID` and its like).

    Args:
        bucket: its name; it must exist.
        prefix: of every key, `a/b`; empty: none.
        endpoint: the server's base URL; empty: Amazon's.
        region: empty: that of `AWS_REGION`, or us-east-1.
    """

    def __init__(self, bucket: str, prefix: str = "", *, endpoint: str = "", region: str = "") -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._endpoint = endpoint
        self._region = region

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def open(self) -> S3Store:
        return self._store

    @cached_property
    def _store(self) -> S3Store:
        named = {"endpoint": self._endpoint, "region": self._region}
        store: S3Store = obstore().store.S3Store(
            self._bucket,
            prefix=self._prefix or None,
            virtual_hosted_style_request=not self._endpoint,
            client_options={
                "allow_http": self._endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=5),
                "timeout": timedelta(minutes=10),  # of a whole download
            },
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=15)},
            **{name: value for name, value in named.items() if value},
        )
        return store

    async def ping(self) -> None:
        async with answering(self.url):
            async for _ in self.open().list("freehold", chunk_size=1):
                return

    async def _put(self, key: str, body: bytes | AsyncIterable[bytes], content_type: str, **options: Any) -> None:
        await self.open().put_async(key, body, attributes={"Content-Type": content_type}, **options)

    async def _content_type(self, key: str, found: GetResult) -> str:
        return str(found.attributes.get("Content-Type", OCTETS))

    async def _presign(self, key: str, method: Literal["GET", "PUT"], expires: timedelta) -> str:
        signed: str = await obstore().sign_async(self.open(), method, key, expires)
        return signed
