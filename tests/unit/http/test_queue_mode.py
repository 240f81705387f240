"""The gateway's queue mode: passes are believed without a call, and only where they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from freehold import ConfigurationError, DeclarationError, Gateway, QueuePass, RateLimit, System
from freehold.deploy.config import Deployment, read
from freehold.deploy.process import Process
from freehold.http import GatewayApp, gateway_app
from freehold.identity import JwksKeys, KeyRing, TokenIssuer, TokenVerifier
from freehold.stores.rate_limits import MemoryRateLimits
from tests.unit.http.library import ALICE, World, client
from tests.unit.http.test_routes import BOOK

QUEUE = QueuePass(paths=("/books",), methods=("POST", "PUT"), issuer="shelves")
LIMITS = (RateLimit("/", per_second=1, burst=2),)


def gateway(world: World, verifier: TokenVerifier | None = None) -> GatewayApp:
    world.system.gateway = replace(world.system.gateway, queue=QUEUE, rate_limits=LIMITS)
    passes = verifier or TokenVerifier(
        world.rings["shelves"], issuer="shelves", audience="queue_pass", clock=world.clock
    )
    limits = MemoryRateLimits(now=lambda: 0.0)
    return gateway_app(world.system, {"shelves": world.app()}, rate_limits=limits, queue_passes=passes)


def token(world: World, ring: KeyRing | None = None, audience: str = "queue_pass", **claims: Any) -> str:
    issuer = TokenIssuer(ring or world.rings["shelves"], issuer="shelves", audience=audience, clock=world.clock)
    return issuer.issue_claims({"purpose": "queue_pass", **claims}, 300)


async def post(world: World, web: httpx.AsyncClient, shown: str | None, path: str = "/books") -> httpx.Response:
    headers = world.bearer(ALICE) | ({} if shown is None else {"X-Queue-Pass": shown})
    return await web.post(f"/api/v1{path}", json=BOOK, headers=headers)


async def test_only_a_pass_opens_what_is_guarded_and_no_limit_slows_it_down(world: World) -> None:
    async with client(gateway(world)) as web:
        refused = await post(world, web, None)
        assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (
            503, "QUEUE_REQUIRED", "5",
        )  # fmt: skip
        for _ in range(5):
            passed = await post(world, web, token(world))
            assert passed.status_code == 201, passed.text
            assert passed.headers["x-ratelimit-bypass"] == "queue-pass"
            assert "x-ratelimit-limit" not in passed.headers
        free = await web.get("/api/v1/staff", headers=world.bearer(ALICE))
        assert free.json()["code"] != "QUEUE_REQUIRED"
        # Whoever has no pass is limited as ever: the burst of two is spent.
        assert (await post(world, web, None)).json()["code"] == "TOO_MANY_REQUESTS"


async def test_what_is_no_pass(world: World) -> None:
    old = token(world)
    world.clock.advance(minutes=5)
    access = world.bearer(ALICE)["Authorization"].split()[1]
    world_gateway = gateway(world)
    world_gateway._limiter = None
    async with client(world_gateway) as web:
        for bad in (
            "", "x", old, access, token(world, audience="library"), token(world, purpose="other"),
            token(world, KeyRing.generate(clock=world.clock)),
        ):  # fmt: skip
            answer = await post(world, web, bad)
            assert (answer.status_code, answer.json()["code"]) == (503, "QUEUE_REQUIRED"), bad
        assert (await post(world, web, token(world))).status_code == 201


async def test_new_keys_are_fetched_once_and_told_when_they_cannot_be(world: World) -> None:
    asked = 0

    async def fetch() -> Mapping[str, Any]:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise OSError("away")
        return world.rings["shelves"].jwks()

    keys = JwksKeys(fetch, clock=world.clock)
    app = gateway(world, TokenVerifier(keys, issuer="shelves", audience="queue_pass", clock=world.clock))
    async with client(app) as web:
        assert (await post(world, web, token(world))).status_code == 201
        assert (await post(world, web, token(world))).status_code == 201
        assert asked == 1
        world.clock.advance(minutes=1)
        unknown = await post(world, web, token(world, KeyRing.generate(clock=world.clock)))
        assert (unknown.status_code, unknown.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert (await post(world, web, token(world))).status_code == 201  # known keys last while the issuer is away


async def test_queue_mode_is_configuration(world: World, tmp_path: Path) -> None:
    system = System("library", services=[world.shelves, world.desk], auth="desk", gateway=Gateway(queue=QUEUE))
    switched = read(system, folder=tmp_path, environment={"FREEHOLD_QUEUE_MODE": "true"})
    assert (switched.queue_mode, read(system, folder=tmp_path, environment={}).queue_mode) == (True, False)
    for mode, status in ((True, 503), (False, 401)):
        process = Process(system, Deployment(data=tmp_path / "data", queue_mode=mode), timers=False)
        async with process, client(process.app) as web:
            answer = await web.post("/api/v1/books", json=BOOK)
            assert answer.status_code == status
            ring = process.units["shelves"].host.provided.use(KeyRing)
            shown = TokenIssuer(ring, issuer="shelves", audience="queue_pass").issue_claims({"purpose": "queue_pass"})
            answer = await web.post("/api/v1/books", json=BOOK, headers={"X-Queue-Pass": shown})
            assert answer.status_code == 401
    bare = System("library", services=[world.shelves])
    with pytest.raises(ConfigurationError, match="has no queue"):
        await Process(bare, Deployment(data=tmp_path / "bare", queue_mode=True)).start()
    with pytest.raises(ConfigurationError, match="has no queue"):
        gateway_app(bare, {}, queue_passes=TokenVerifier(ring, issuer="shelves", audience="queue_pass"))
    with pytest.raises(DeclarationError, match="none of its services"):
        System("library", services=[world.desk], gateway=Gateway(queue=QUEUE))
