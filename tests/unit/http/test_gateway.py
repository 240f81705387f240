"""The gateway, in front of apps of this process and of real servers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from freehold import RateLimit, User
from freehold.engines import open_engine
from freehold.http import gateway_app
from freehold.stores.rate_limits import MemoryRateLimits
from tests.unit.http.library import ALICE, ROOT, World, client
from tests.unit.http.servers import DEADLINE, serving, unused_url
from tests.unit.http.test_routes import BOOK, add


async def test_lets_public_routes_through_and_nothing_else(world: World) -> None:
    async with client(world.gateway()) as web:
        made = await add(world, web)
        assert (await web.get(f"/api/v1/books/{made['id']}")).json() == made
        token = {"X-Service-Token": world.tokens().issue("shelves")}
        for path in (
            f"/internal/books/{made['id']}",
            f"/api/v1/internal/books/{made['id']}",
            "/api/v1/forgotten",
            "/x",
        ):
            answer = await web.get(path, headers=token)
            assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND"), path
        assert (await web.delete(f"/api/v1/books/{made['id']}")).status_code == 405
        assert (await web.get("/.well-known/jwks.json")).json() == world.rings["desk"].jwks()
        assert (await web.get("/api/v1/status")).json()["service"] == "gateway"


async def test_request_ids_are_kept_or_made_and_come_once(world: World) -> None:
    async with client(world.gateway()) as web:
        kept = await web.get("/api/v1/context", headers={**world.bearer(ALICE), "X-Request-ID": "mine-1"})
        strange = {**world.bearer(ALICE), "X-Request-ID": "not good!"}
        made = await web.get("/api/v1/context", headers=strange)
    assert kept.headers.get_list("x-request-id") == ["mine-1"]
    assert kept.json()["request"] == "mine-1"
    assert len(made.headers["x-request-id"]) == 32
    assert made.json()["request"] == made.headers["x-request-id"]


async def test_identity_headers_are_dropped(world: World) -> None:
    seen: dict[bytes, bytes] = {}

    async def backend(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope["headers"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    spoofed = {
        "X-User-ID": "1",
        "X-User-Role": "admin",
        "X-Service-Token": "x",
        "X-Tenant-Slug": "t",
        "X-Timeout-Ms": "1",
    }
    async with client(gateway_app(world.system, {"shelves": backend})) as web:
        await web.get("/api/v1/staff", headers={**spoofed, "X-Tenant-ID": "kept: only narrows", "Accept": "a/b"})
    assert b"accept" in seen
    assert b"x-tenant-id" in seen
    assert not {name.lower().encode() for name in spoofed} & seen.keys()


@pytest.mark.parametrize("remote", [True, False])
async def test_a_backend_that_does_not_answer_in_time_is_504(world: World, remote: bool) -> None:
    world.system.gateway.timeouts["/slow"] = 0.2
    async with serving(world.app()) as url, client(world.gateway(**({"shelves": url} if remote else {}))) as web:
        answer = await web.get("/api/v1/slow")
        assert (answer.status_code, answer.json()["code"]) == (504, "GATEWAY_TIMEOUT")
        world.state.go_on.set()
        await asyncio.wait_for(world.state.left.wait(), DEADLINE)


async def test_a_backend_that_cannot_be_reached_is_502(world: World) -> None:
    async with client(world.gateway(shelves=unused_url())) as web:
        answer = await web.get("/api/v1/slow")
        assert (answer.status_code, answer.json()["code"]) == (502, "BAD_GATEWAY")
        ready = await web.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["missing"] == {"shelves": "does not answer"}


async def test_remote_backends_get_and_give_everything(world: World) -> None:
    async with serving(world.app()) as shelves, serving(world.app("desk")) as desk:
        gateway = world.gateway(shelves=shelves, desk=desk)
        async with serving(gateway) as url, httpx.AsyncClient(base_url=url, timeout=DEADLINE) as web:
            headers = {**world.bearer(ALICE), "Idempotency-Key": "k"}
            one = await web.post("/api/v1/books", json=BOOK, headers=headers)
            two = await web.post("/api/v1/books", json=BOOK, headers=headers)
            assert one.status_code == two.status_code == 201
            assert two.headers["idempotent-replayed"] == "true"
            listed = await web.get("/api/v1/catalogue", params={"title": "Emma", "limit": 1})
            assert [row["title"] for row in listed.json()["data"]] == ["Emma"]
            lent = await web.post("/api/v1/loans", params={"book_id": one.json()["id"]}, headers=world.bearer(ALICE))
            assert lent.json() == "Emma"
            assert (await web.get("/health/ready")).status_code == 200
        await gateway.aclose()


@pytest.mark.parametrize("remote", [True, False])
async def test_event_streams_pass_unbuffered_and_end_with_the_client(world: World, remote: bool) -> None:
    world.system.gateway.timeouts["/stream"] = 0.5  # until it begins, not for ever
    async with serving(world.app()) as shelves:
        gateway = world.gateway(**({"shelves": shelves} if remote else {}))
        async with serving(gateway) as url, httpx.AsyncClient(base_url=url, timeout=DEADLINE) as web:
            async with web.stream("GET", "/api/v1/stream") as answer:
                parts = answer.aiter_raw()
                assert await anext(parts) == b"data: 1\n\n"
                await asyncio.wait_for(world.state.entered.wait(), DEADLINE)
                assert not world.state.left.is_set()
            await asyncio.wait_for(world.state.left.wait(), DEADLINE)
        await gateway.aclose()


async def test_a_client_that_leaves_ends_the_request_behind_the_gateway(world: World) -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def backend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        assert await reader.read() == b""
        ended.set()
        writer.close()

    server = await asyncio.start_server(backend, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    gateway = world.gateway(shelves=f"http://127.0.0.1:{port}")
    async with server, serving(gateway) as url:
        _, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
        writer.write(b"GET /api/v1/slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(asked.wait(), DEADLINE)
        writer.close()
        await asyncio.wait_for(ended.wait(), DEADLINE)
    await gateway.aclose()


@pytest.mark.parametrize("remote", [True, False])
@pytest.mark.parametrize("framing", ["chunked", "announced"])
async def test_large_bodies(world: World, remote: bool, framing: str) -> None:
    async with serving(world.app()) as shelves:
        gateway = world.gateway(**({"shelves": shelves} if remote else {}))
        async with serving(gateway) as url:
            host, port = urlsplit(url).hostname, urlsplit(url).port
            token = world.bearer(ALICE)["Authorization"]
            length = "Transfer-Encoding: chunked" if framing == "chunked" else "Content-Length: 50000000"
            reader, writer = await asyncio.open_connection(host, port)
            head = f"POST /api/v1/reservations HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nIdempotency-Key: k\r\n{length}"
            chunk = b"190\r\n" + b" " * 400 + b"\r\n"  # never ends: only a limit while reading answers it
            writer.write(f"{head}\r\n\r\n".encode() + chunk * 20)
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE)
            writer.close()
            assert answer.startswith(b"HTTP/1.1 413")
        await gateway.aclose()


async def test_rate_limits(tmp_path: Any) -> None:
    rules = (
        RateLimit("/books", per_second=1, burst=2, methods=("POST",)),
        RateLimit("/", per_second=100, burst=50),
        RateLimit("/books", per_second=1, burst=1, suffix="/title"),
    )
    world = World(lambda service: open_engine(f"sqlite:///{tmp_path / service}.db"), rate_limits=rules)
    await world.start()
    now = 0.0
    limits = MemoryRateLimits(now=lambda: now)
    gateway = gateway_app(world.system, {"shelves": world.app()}, rate_limits=limits)
    async with client(gateway) as web:
        answers = [await web.post("/api/v1/books", json=BOOK, headers=world.bearer(ALICE)) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
        refused = answers[-1]
        assert refused.json()["code"] == "TOO_MANY_REQUESTS"
        assert refused.headers["x-ratelimit-limit"] == "2"
        assert (refused.headers["retry-after"], refused.headers["x-ratelimit-reset"]) == ("1", "2")
        assert (await web.get("/api/v1/staff")).headers["x-ratelimit-limit"] == "50"
        assert (await web.put(f"/api/v1/books/{UUID(int=1)}/title")).headers["x-ratelimit-limit"] == "1"
        now = 1.0
        assert (await web.post("/api/v1/books", json=BOOK, headers=world.bearer(ALICE))).status_code == 201
    unlimited = gateway_app(world.system, {"shelves": world.app()}, limited=False)
    async with client(unlimited) as web:
        assert "x-ratelimit-limit" not in (await web.get("/api/v1/staff")).headers
    await world.stop()


async def test_buckets_take_bounded_memory_and_the_oldest_is_forgotten() -> None:
    limits = MemoryRateLimits(buckets=2, now=lambda: 0.0)
    for name in ("a", "b", "c"):
        assert (await limits.take(name, 1, 1)).allowed
    assert not (await limits.take("c", 1, 1)).allowed
    assert (await limits.take("a", 1, 1)).allowed


async def test_one_openapi_document(world: World) -> None:
    async with client(world.gateway()) as web:
        document = (await web.get("/openapi.json")).json()
        assert "openapi.json" in (await web.get("/docs")).text
    assert document["openapi"].startswith("3.1")
    assert {"/api/v1/books", "/api/v1/loans", "/api/v1/catalogue/{id}"} <= document["paths"].keys()
    assert not [path for path in document["paths"] if "internal" in path or "forgotten" in path]
    names = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))
    for methods in document["paths"].values():
        for one in methods.values():
            assert {"429", "500", "502", "503", "504"} <= one["responses"].keys()


async def test_tenant_free_users_narrow_through_the_gateway(world: World) -> None:
    async with client(world.gateway()) as web:
        headers = {**world.bearer(ROOT), "X-Tenant-ID": str(ALICE.tenant_id)}
        assert (await web.get("/api/v1/context", headers=headers)).json()["tenant"] == str(ALICE.tenant_id)
        nobody = User(id=UUID(int=50))
        assert (await web.get("/api/v1/context", headers=world.bearer(nobody))).json()["tenant"] == str(UUID(int=0))


async def test_rate_limits_by_user(tmp_path: Any) -> None:
    rules = (RateLimit("/", per_second=1 / 60, burst=1, users={"*": 2, "root": 4}),)
    world = World(lambda service: open_engine(f"sqlite:///{tmp_path / service}.db"), rate_limits=rules)
    await world.start()
    limits = MemoryRateLimits(now=lambda: 0.0)
    apps = {"shelves": world.app(), "desk": world.app("desk")}
    gateway = gateway_app(world.system, apps, rate_limits=limits, verifier=world.verifier())
    async with client(gateway) as web:

        async def left(**headers: str) -> tuple[str, str]:
            answer = await web.get("/api/v1/staff", headers=headers)
            return answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]

        assert await left(**world.bearer(ALICE)) == ("2", "1")
        assert await left(**world.bearer(ROOT)) == ("4", "3"), "the most generous role decides"
        assert await left(Authorization="Bearer forged") == ("1", "0"), "whom nobody vouches for is an address"
        assert (await web.get("/api/v1/staff")).status_code == 429, "which is used up now"
        assert await left(**world.bearer(ALICE)) == ("2", "0"), "and a user is not"
    await world.stop()


async def test_an_alias_leads_to_the_same_routes(world: World) -> None:
    world.system.gateway = replace(world.system.gateway, aliases=("/api", "/v1"))
    async with client(world.gateway()) as web:
        made = await add(world, web)
        for prefix in ("/api/v1", "/api", "/v1"):
            assert (await web.get(f"{prefix}/books/{made['id']}")).json() == made, prefix
        for path in ("/other/books", "/v1x/books", "/api/v1/v1/books", f"/api/internal/books/{made['id']}"):
            assert (await web.get(path)).status_code == 404, path
    async with serving(world.app()) as url:
        gateway = world.gateway(shelves=url)
        async with client(gateway) as web:
            assert (await web.get(f"/v1/books/{made['id']}?x=%2F")).json() == made
        await gateway.aclose()
