"""The gateway as the server of objects in a folder: what it refuses, and what it says with a download."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from freehold import Objects, Service, System, public, user
from freehold.deploy.config import Deployment, ServiceDeployment
from freehold.http import gateway_app
from freehold.stores.objects.folder import FolderObjects
from freehold.testing import ManualClock, World

BASE = "http://shop.example"
LARGEST = 1000


class Served:
    """A folder of objects with a gateway in front."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.folder = folder
        self.objects = FolderObjects(folder, public=BASE, largest_upload=LARGEST, clock=self.clock)
        system = System("shop", services=[Service("orders")])
        self.gateway = gateway_app(system, {}, objects=self.objects)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.gateway), base_url=BASE)

    def files(self) -> list[str]:
        """Every file in and around the folder."""
        return sorted(str(p.relative_to(self.folder.parent)) for p in self.folder.parent.rglob("*") if p.is_file())


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    made = Served(tmp_path / "inside" / "objects")
    yield made
    await made.http.aclose()
    await made.gateway.aclose()


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    return answer.headers["content-type"] == "application/problem+json"


async def test_a_forged_url_and_an_expired_one_are_problems(served: Served) -> None:
    await served.objects.put("x", b"x")
    url = await served.objects.presign("x", expires="1m")
    assert is_problem(await served.http.get("/_objects/x"), 403, "URL_NOT_SIGNED")
    assert is_problem(await served.http.get("/_objects/x?expires=&signature=%00%ff"), 403, "URL_NOT_SIGNED")
    assert is_problem(await served.http.get(url.replace("signature=", "signature=0")), 403, "URL_NOT_SIGNED")
    assert is_problem(await served.http.put(url, content=b""), 403, "URL_NOT_SIGNED")
    served.clock.advance(seconds=59)
    assert (await served.http.get(url)).content == b"x"
    served.clock.advance(seconds=1)
    assert is_problem(await served.http.get(url), 403, "URL_EXPIRED")


async def test_the_folders_key_decides(served: Served, tmp_path: Path) -> None:
    same, other = (
        FolderObjects(tmp_path / name, public=BASE, clock=served.clock) for name in ("inside/objects", "other")
    )
    await same.put("x", b"x")
    assert (await served.http.get(await same.presign("x"))).content == b"x"
    assert is_problem(await served.http.get(await other.presign("x")), 403, "URL_NOT_SIGNED")
    key = served.folder / "signing.key"
    assert (len(key.read_bytes()), key.stat().st_mode & 0o777) == (32, 0o600)


async def test_only_get_and_put_are_answered(served: Served) -> None:
    url = await served.objects.presign("x", "PUT")
    answer = await served.http.delete(url)
    assert is_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, PUT"


@pytest.mark.parametrize(
    "key", ["../../outside", "/etc/passwd", "a/../../../outside", "..", "a\0b", "a\\..\\b", ".x", "", "a/"]
)
async def test_no_path_leads_out_of_the_folder_even_when_it_is_signed(served: Served, key: str, tmp_path: Path) -> None:
    """A signature for such a key is never given; here it is made by hand, with the secret."""
    (tmp_path / "outside").write_text("secret")
    await served.objects.put("a", b"x")
    await served.objects.presign("a")  # makes the folder's key
    before = served.files()
    for method in ("GET", "PUT"):
        expires = str(int(served.clock.now().timestamp()) + 60)
        signature = served.objects._signature(method, key, expires)
        scope: dict[str, Any] = {
            "type": "http", "method": method, "path": f"/_objects/{key}", "headers": [],
            "query_string": f"expires={expires}&signature={signature}".encode(),
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"overwritten", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)  # noqa: B023 - awaited within the turn

        await served.gateway(scope, receive, send)
        assert sent[0]["status"] in (400, 404), sent
        assert b"secret" not in b"".join(message.get("body", b"") for message in sent)
    assert served.files() == before
    assert (tmp_path / "outside").read_text() == "secret"


async def parts(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 100


async def test_an_upload_has_a_limit_announced_or_not(served: Served) -> None:
    url = await served.objects.presign("x", "PUT")
    assert (await served.http.put(url, content=b"x" * LARGEST)).status_code == 200
    for body in (b"y" * (LARGEST + 1), parts(11)):
        answer = await served.http.put(url, content=body)
        assert is_problem(answer, 413, "PAYLOAD_TOO_LARGE")
        assert answer.headers["connection"] == "close"
    assert await (await served.objects.get("x")).read() == b"x" * LARGEST


async def test_a_sender_who_leaves_leaves_nothing(served: Served) -> None:
    url = httpx.URL(await served.objects.presign("x", "PUT"))
    scope = {"type": "http", "method": "PUT", "path": url.path, "headers": [], "query_string": url.query}
    messages = iter([{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    await served.gateway(scope, receive, send)
    assert sent == []
    assert await served.objects.head("x") is None


async def test_an_upload_must_say_a_content_type_or_none(served: Served) -> None:
    url = await served.objects.presign("x", "PUT")
    assert is_problem(await served.http.put(url, headers={"Content-Type": "x" * 300}, content=b""), 400, "BAD_REQUEST")


async def test_what_strangers_uploaded_cannot_act_as_a_page_of_the_site(served: Served) -> None:
    await served.http.put(
        await served.objects.presign("x.html", "PUT"), content=b"<script>", headers={"Content-Type": "text/html"}
    )
    answer = await served.http.get(await served.objects.presign("x.html"))
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "no-store" in answer.headers["cache-control"]


async def test_a_file_that_somebody_laid_there_is_an_object(served: Served) -> None:
    await served.objects.put("x", b"")
    (served.folder / "content" / "laid").write_bytes(b"by hand")
    found = await served.objects.get("laid")
    assert (await found.read(), found.info.content_type) == (b"by hand", "application/octet-stream")


async def test_a_key_below_another_is_refused_in_a_sentence(served: Served) -> None:
    await served.objects.put("a", b"")
    await served.objects.put("b/c", b"")
    for key in ("a/b", "b"):
        with pytest.raises(ValueError, match="lies below another key, or above one"):
            await served.objects.put(key, b"")


async def test_a_folder_that_is_gone_is_not_ready(served: Served) -> None:
    await served.objects.ping()
    (served.folder / "content").rmdir()
    with pytest.raises(Exception, match="is not there"):
        await served.objects.ping()


# --- as a part of a system --------------------------------------------------------------------------------------------


async def test_handlers_get_objects_by_type_and_the_gateway_answers_their_urls(tmp_path: Path) -> None:
    orders, other = Service("orders"), Service("other")

    @orders.post("/orders/{number}/invoice", access=public, status_code=201)
    async def make(number: int, objects: Objects) -> str:
        await objects.put(f"invoices/{number}.txt", b"9.99", content_type="text/plain")
        return await objects.presign(f"invoices/{number}.txt", expires="1m")

    async with World(System("shop", services=[orders, other]), folder=tmp_path) as world:
        made = await world.http.post("/api/v1/orders/7/invoice")
        assert made.status_code == 201, made.text
        url = made.json()
        assert url.startswith("http://127.0.0.1:8080/_objects/invoices/7.txt?")
        assert (await world.http.get(url)).text == "9.99"
        world.clock.advance(seconds=61)
        assert (await world.http.get(url)).status_code == 403
    assert (tmp_path / "shop" / "objects" / "content" / "invoices" / "7.txt").read_text() == "9.99"


async def test_readiness_asks_where_a_service_takes_objects(tmp_path: Path) -> None:
    orders, other = Service("orders"), Service("other")

    @orders.every(hours=1)
    async def tidy(objects: Objects) -> None: ...

    @other.get("/other", access=user)
    async def look() -> int:
        return 1

    async with World(System("shop", services=[orders, other]), folder=tmp_path) as world:
        asked = {}
        for name, app in world.process.apps.items():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
                asked[name] = (await client.get("/health/ready")).json()["checks"]
    assert asked["orders"].get("objects") == "ok"
    assert "objects" not in asked["other"]


def test_urls_begin_with_the_address_of_the_gateway(tmp_path: Path) -> None:
    from freehold.deploy.objects import deployed_objects

    system = System("shop", services=[Service("orders")])
    gateway = {"gateway": ServiceDeployment(address="https://shop.example/")}
    here, there = (
        deployed_objects(system, deployment, tmp_path, ManualClock())
        for deployment in (Deployment(port=9000), Deployment(services=gateway))
    )
    assert asyncio.run(here.presign("x")).startswith("http://127.0.0.1:9000/_objects/x?")
    assert asyncio.run(there.presign("x")).startswith("https://shop.example/_objects/x?")
