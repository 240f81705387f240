"""Objects, the same in a folder and in a bucket, with and without a prefix: one suite on real files and a real server."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from freehold import Objects, Problem, Service, System, Unavailable
from freehold.http import gateway_app
from freehold.stores.objects import open_objects
from tests.servers import s3_url
from tests.unit.http.servers import serving

pytestmark = pytest.mark.guarantee("G9")

KINDS = ("folder", "bucket", "bucket with a prefix")
MEBIBYTE = 1024 * 1024
ODD_KEYS = ("plain", "a b/ü+&=;@'(1)!.txt", "deep/er/and/deeper/x.tar.gz", "日本/雪", "100,00 $")
BAD_KEYS = (
    "", "/", "/lead", "trail/", "a//b", ".", "..", "a/../b", "../../etc/passwd", "a/.hidden", "a\\b", "a\nb", "a\0b", "a%2e%2e/b",
    "a?b", "a#1", "*", "x" * 201, "/".join(["x" * 100] * 10),
)  # fmt: skip


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture
def url(kind: str, tmp_path: Path) -> str:
    """A place of the test's own."""
    if kind == "folder":
        return (tmp_path / "objects").as_uri()
    path, _, query = s3_url().partition("?")
    return f"{path.rstrip('/')}/{uuid4().hex}{'/with spaces' if 'prefix' in kind else ''}?{query}"


@pytest.fixture
async def objects(url: str) -> AsyncIterator[Objects]:
    """A store whose presigned URLs are answered: by the server, or by a gateway."""
    system = System("shop", services=[Service("orders")])
    async with AsyncExitStack() as stack:

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            await gateway(scope, receive, send)

        base = await stack.enter_async_context(serving(answer))
        opened = open_objects(url, public=base)
        gateway = gateway_app(system, {}, objects=opened)
        stack.push_async_callback(gateway.aclose)
        yield opened


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client that knows nothing but URLs."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        yield client


async def parts(count: int, size: int = MEBIBYTE) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 251]) * size


async def keys(objects: Objects, prefix: str = "") -> list[str]:
    return sorted([found.key async for found in objects.list(prefix)])


async def content(objects: Objects, key: str) -> bytes:
    return await (await objects.get(key)).read()


async def test_what_is_put_is_found_again(objects: Objects) -> None:
    await objects.put("invoices/1.pdf", b"%PDF", content_type="application/pdf; version=1.7")
    found = await objects.get("invoices/1.pdf")
    assert await found.read() == b"%PDF"
    assert (found.info.key, found.info.size) == ("invoices/1.pdf", 4)
    assert found.info.content_type == "application/pdf; version=1.7"
    assert found.info.modified.tzinfo is not None
    assert await objects.head("invoices/1.pdf") == found.info


async def test_a_second_put_replaces_the_first_with_its_type(objects: Objects) -> None:
    await objects.put("x", b"a long first content", content_type="text/plain")
    await objects.put("x", b"second")
    found = await objects.get("x")
    assert (await found.read(), found.info.content_type) == (b"second", "application/octet-stream")


async def test_every_key_that_is_allowed_is_kept_as_it_is(objects: Objects, http: httpx.AsyncClient) -> None:
    for key in ODD_KEYS:
        await objects.put(key, key.encode())
    assert await keys(objects) == sorted(ODD_KEYS)
    for key in ODD_KEYS:
        assert await content(objects, key) == key.encode()
        assert (await http.get(await objects.presign(key))).content == key.encode()


async def test_no_verb_takes_what_is_no_key(objects: Objects) -> None:
    for key in BAD_KEYS:
        for verb in (objects.get, objects.head, objects.delete, objects.presign):
            with pytest.raises(ValueError, match="key"):
                await verb(key)
        with pytest.raises(ValueError, match="key"):
            await objects.put(key, b"")
    for prefix in ("/", "..", "a/../b", "/etc"):
        with pytest.raises(ValueError, match="key"):
            await keys(objects, prefix)


async def test_a_content_type_is_one(objects: Objects) -> None:
    for given in ("", "a\r\nb: c", "ü/ü", "x" * 300):
        with pytest.raises(ValueError, match="media type"):
            await objects.put("x", b"", content_type=given)


async def test_what_is_not_there(objects: Objects) -> None:
    assert await objects.head("nothing/here") is None
    with pytest.raises(Problem) as refused:
        await objects.get("nothing/here")
    assert (refused.value.status, refused.value.code) == (404, "OBJECT_NOT_FOUND")
    await objects.delete("nothing/here")
    assert await keys(objects) == []


async def test_what_is_deleted_is_gone(objects: Objects) -> None:
    await objects.put("a", b"1", content_type="text/plain")
    await objects.put("b", b"2")
    await objects.delete("a")
    assert await objects.head("a") is None
    assert await keys(objects) == ["b"]


@pytest.mark.parametrize("count", [0, 1, 5, 12])
async def test_a_body_in_parts_is_put_as_it_comes(objects: Objects, count: int) -> None:
    await objects.put("large", parts(count), content_type="video/mp4")
    found = await objects.get("large")
    assert (found.info.size, found.info.content_type) == (count * MEBIBYTE, "video/mp4")
    expected = hashlib.sha256(b"".join([part async for part in parts(count)])).hexdigest()
    digest, sizes = hashlib.sha256(), []
    async for part in found:
        digest.update(part)
        sizes.append(len(part))
    assert digest.hexdigest() == expected
    assert max(sizes, default=0) <= MEBIBYTE * 2


@pytest.mark.parametrize("count", [1, 12])
async def test_a_body_that_fails_leaves_what_was_there(objects: Objects, count: int) -> None:
    async def broken() -> AsyncIterator[bytes]:
        async for part in parts(count):
            yield part
        raise ConnectionError("the sender left")

    with pytest.raises(ConnectionError, match="the sender left"):
        await objects.put("new", broken())
    await objects.put("old", b"kept")
    with pytest.raises(ConnectionError):
        await objects.put("old", broken())
    assert await keys(objects) == ["old"]
    assert await content(objects, "old") == b"kept"


async def test_a_list_is_by_whole_segments(objects: Objects) -> None:
    names = ["images/1/a.png", "images/1/b.png", "images/12/a.png", "other/1"]
    for name in names:
        await objects.put(name, name.encode())
    assert await keys(objects) == names
    assert await keys(objects, "images/1") == names[:2]
    assert await keys(objects, "images/") == names[:3]
    assert await keys(objects, "nothing") == []
    assert [found.size async for found in objects.list("other")] == [7]


async def test_a_list_goes_on_beyond_a_page(objects: Objects) -> None:
    await asyncio.gather(*(objects.put(f"many/{number:04}", b"") for number in range(1010)))
    assert await keys(objects, "many") == [f"many/{number:04}" for number in range(1010)]


async def test_readers_meet_the_old_object_or_the_new_one(objects: Objects) -> None:
    versions = {bytes([n]) * MEBIBYTE for n in range(8)}
    await objects.put("x", next(iter(versions)))
    writing = asyncio.gather(*(objects.put("x", version) for version in versions))
    read = 0
    while not writing.done():
        assert await content(objects, "x") in versions
        read += 1
    await writing
    assert read


# --- presigned URLs ---------------------------------------------------------------------------------------------------


async def test_a_presigned_url_downloads(objects: Objects, http: httpx.AsyncClient) -> None:
    await objects.put("a/b.txt", b"hello", content_type="text/plain")
    answer = await http.get(await objects.presign("a/b.txt", expires="1m"))
    assert (answer.status_code, answer.content) == (200, b"hello")
    assert (answer.headers["content-type"], answer.headers["content-length"]) == ("text/plain", "5")
    missing = await http.get(await objects.presign("a/c.txt"))
    assert missing.status_code == 404


async def test_a_presigned_url_uploads(objects: Objects, http: httpx.AsyncClient) -> None:
    url = await objects.presign("up/x.png", "PUT", expires=60)
    answer = await http.put(url, content=b"\x89PNG", headers={"Content-Type": "image/png"})
    assert answer.status_code == 200, answer.text
    found = await objects.get("up/x.png")
    assert (await found.read(), found.info.content_type) == (b"\x89PNG", "image/png")
    assert (await http.put(url, content=b"")).status_code == 200
    assert await content(objects, "up/x.png") == b""


async def test_a_large_upload_through_a_presigned_url(objects: Objects, http: httpx.AsyncClient) -> None:
    body = bytes(range(256)) * 4096 * 11
    answer = await http.put(await objects.presign("large", "PUT"), content=body)
    assert answer.status_code == 200, answer.text
    assert hashlib.sha256(await content(objects, "large")).digest() == hashlib.sha256(body).digest()


async def test_a_presigned_url_is_good_for_nothing_else(objects: Objects, http: httpx.AsyncClient) -> None:
    await objects.put("mine", b"mine")
    await objects.put("theirs", b"what is theirs")
    get, put = await objects.presign("mine"), await objects.presign("mine", "PUT")
    tried = {
        "another object": await http.get(get.replace("/mine?", "/theirs?")),
        "an upload with a download's": await http.put(get, content=b"forged"),
        "a download with an upload's": await http.get(put),
        "a deletion": await http.delete(put),
        "a longer life": await http.get(get.replace("xpires=", "xpires=9")),
        "another signature": await http.get(get[:-4] + ("0000" if get[-4:] != "0000" else "1111")),
        "no signature": await http.get(get.partition("?")[0]),
    }
    assert {
        what: answer.status_code for what, answer in tried.items() if answer.status_code not in (400, 403, 405)
    } == {}
    assert all(b"what is theirs" not in answer.content for answer in tried.values())
    assert await content(objects, "mine") == b"mine"


async def test_a_presigned_url_expires(objects: Objects, http: httpx.AsyncClient) -> None:
    await objects.put("x", b"x")
    get, put = await objects.presign("x", expires=2), await objects.presign("x", "PUT", expires=2)
    assert (await http.get(get)).status_code == 200
    async with asyncio.timeout(20):
        while (await http.get(get)).status_code != 403:
            await asyncio.sleep(0.1)
        while (await http.put(put, content=b"late")).status_code != 403:
            await asyncio.sleep(0.1)
    late = await content(objects, "x")
    assert late in (b"x", b"late")  # while it was still good
    assert (await http.put(put, content=b"later")).status_code == 403
    assert await content(objects, "x") == late


@pytest.mark.parametrize("expires", [0, -1, "8d", "0s"])
async def test_a_presigned_url_has_a_life_that_every_store_grants(objects: Objects, expires: Any) -> None:
    with pytest.raises(ValueError, match="seven days"):
        await objects.presign("x", expires=expires)


async def test_there_is_no_other_method(objects: Objects) -> None:
    with pytest.raises(ValueError, match="DELETE"):
        await objects.presign("x", "DELETE")  # type: ignore[arg-type]


# --- faults and bounds ------------------------------------------------------------------------------------------------


async def test_a_store_that_answers_is_ready(objects: Objects) -> None:
    await objects.ping()


async def test_memory_is_bounded(url: str) -> None:
    """A process that has 300 MiB go in and out keeps below 64 more than it began with."""
    code = """
import asyncio, resource, sys
from freehold.stores.objects import open_objects

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

async def body():
    for _ in range(300):
        yield bytes(1024 * 1024)

async def main():
    objects = open_objects(sys.argv[1])
    await objects.put("small", b"x")
    before = peak()
    await objects.put("large", body())
    size = 0
    async for part in await objects.get("large"):
        size += len(part)
    await objects.delete("large")
    assert size == 300 * 1024 * 1024, size
    print(peak() - before)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, url, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert int(out) < 64


@pytest.mark.parametrize("kind", ["bucket"], indirect=True)
async def test_a_server_that_is_away_is_told_as_such(url: str) -> None:
    path = url.partition("?")[0]
    objects = open_objects(f"{path}?endpoint=http://127.0.0.1:9&region=eu-north-1")
    async with asyncio.timeout(60):
        for call in (objects.get("x"), objects.head("x"), objects.put("x", b""), objects.delete("x"), objects.ping()):
            with pytest.raises(Unavailable, match="cannot be reached"):
                await call


@pytest.mark.parametrize("kind", ["bucket"], indirect=True)
@pytest.mark.parametrize("wrong", ["bucket", "secret"])
async def test_what_the_server_refuses_is_told_without_the_secret(
    url: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wrong == "secret":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "quite-another-secret")
    else:
        url = url.replace(f"s3://{urlsplit(url).netloc}/", "s3://no-such-bucket/")
    objects = open_objects(url)
    with pytest.raises(Unavailable) as refused:
        await objects.ping()
    assert "quite-another-secret" not in str(refused.value)
    with pytest.raises(Unavailable):
        await objects.put("x", b"")
