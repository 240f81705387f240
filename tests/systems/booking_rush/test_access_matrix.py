"""The access matrix: every route, and everybody who may knock, over HTTP, held against the specification.

The routes come from the declarations; who may call them comes from `booking_rush.routes.tsv` and from the column "Who"
of the specification's tables, which is in `access.OWNED`. A route that nobody described there is tried all the same, or
the failure says which row, rule or body it needs.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from freehold.identity import ServiceTokens, TokenIssuer
from tests.databases import Databases
from tests.systems.booking_rush.access import (
    BUYER,
    IN,
    KINDS,
    QUERIES,
    Caller,
    Route,
    Rows,
    address,
    body_of,
    declared_routes,
    everybody,
    expected,
    outcome,
    person_of,
)
from tests.systems.booking_rush.catalogue import HOME, Headers
from tests.systems.booking_rush.stage import Stage, open_stage, system

pytestmark = pytest.mark.engines(1, 2)

PRIVATE = {"booking", "payment", "saga", "user"}
GRACE = 20.0  # seconds that an answer may take

# --- the trials -------------------------------------------------------------------------------------------------------


class Matrix:
    """Tries routes and notes what is not as it should be."""

    def __init__(self, stage: Stage, callers: Mapping[str, Caller]) -> None:
        self.stage = stage
        self.callers = callers
        self.routes = declared_routes()
        self.wrong: list[str] = []
        self.admitted: dict[str, int] = {}
        self.refused = 0
        self._shared = Rows(stage, callers, doomed=False)
        self._made: dict[str, str] = {}

    async def prepare(self) -> None:
        """One row of each kind, so that lists have something to hide."""
        for kind in KINDS.values():
            self._made[(await self._shared.of(kind))["id"]] = kind

    def rows(self, route: Route) -> Rows:
        """What is only read is shared; what changes rows gets its own."""
        if route.method == "GET":
            return self._shared
        return Rows(self.stage, self.callers, doomed=route.method == "DELETE")

    async def send(
        self, http: httpx.AsyncClient, route: Route, rows: Rows, headers: Mapping[str, str]
    ) -> httpx.Response:
        """One request."""
        query = await QUERIES[route.name](rows) if route.name in QUERIES else None
        body = None if route.method == "GET" else await body_of(route.name, rows)
        sent = {"Idempotency-Key": str(uuid4()), **headers}
        async with asyncio.timeout(GRACE):
            path = await address(route.path, rows)
            return await http.request(route.method, path, params=query, json=body, headers=sent)

    async def try_route(self, route: Route) -> None:
        """Everybody at the gateway: first those who must be refused, on the row that is there for the others."""
        rows = self.rows(route)
        for caller in sorted(self.callers.values(), key=lambda each: IN in expected(route, each)):
            allowed = expected(route, caller)
            if route.method == "DELETE" and IN in allowed:
                rows = self.rows(route)
            answer = await self.send(self.stage.http, route, rows, caller.headers)
            self._judge(route, caller, answer, allowed)

    def _judge(self, route: Route, caller: Caller, answer: httpx.Response, allowed: set[int]) -> None:
        got = outcome(route, answer)
        told = f"{route.name}: {caller.name} got {answer.status_code} {answer.text[:120]}"
        if got not in allowed:
            self.wrong.append(f"{told}; expected {sorted(allowed)}")
        elif got != IN:
            self.refused += 1
        elif route.access == "signature" and answer.status_code != 400:
            self.wrong.append(f"{told}; nobody signed that")
        elif answer.status_code in (400, 422) and route.on_row and route.guarded:
            self.wrong.append(f"{told}; that is no proof: give FIXED or MADE a body that passes")
        elif route.guarded and (leaked := self._leaks(route, caller, answer)):
            self.wrong.append(f"{told}; that shows them somebody else's {', '.join(leaked)}")
        else:
            self.admitted[route.name] = self.admitted.get(route.name, 0) + 1

    def _leaks(self, route: Route, caller: Caller, answer: httpx.Response) -> list[str]:
        """What it tells of rows that are not the caller's, and that the caller did not name."""
        shown = {kind for id, kind in self._made.items() if id in answer.text and id not in str(answer.request.url)}
        if caller.tenant != HOME:
            return sorted(shown) if "/tenants" not in route.path else []
        return sorted(shown & PRIVATE) if caller.role in ("customer", "organizer") and caller.name != BUYER else []


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(databases, tmp_path) as opened:
        yield opened


async def test_every_route_lets_in_whom_the_specification_says(stage: Stage) -> None:
    matrix = Matrix(stage, await everybody(stage))
    await matrix.prepare()
    for route in matrix.routes:
        try:
            await matrix.try_route(route)
        except LookupError as missing:
            matrix.wrong.append(f"{route.name}: {missing.args[0]}")
    await stage.world.settle()
    assert not matrix.wrong, "\n".join(matrix.wrong)
    public = [route for route in matrix.routes if route.access != "internal"]
    assert [route.name for route in public if not matrix.admitted.get(route.name)] == [], "nobody gets in there"
    assert len(public) > 60
    assert matrix.refused > 400


# --- past the gateway -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine_kind", ["sqlite"], indirect=True)  # tokens touch no database
async def test_internal_routes_let_in_services_and_nobody_else(stage: Stage) -> None:
    callers = await everybody(stage)
    matrix = Matrix(stage, callers)
    old = {s.name: _service_headers(stage, _other(s.name), s.name)["X-Service-Token"] for s in system.services}
    boss = person_of(callers["a super_admin"])
    stage.world.clock.advance(minutes=2)
    wrong = []

    async def got(route: Route, headers: Mapping[str, str]) -> tuple[int, str]:
        async with stage.world.service(route.service) as http:
            answer = await matrix.send(http, route, rows, headers)
        return answer.status_code, answer.json().get("code", "") if answer.status_code >= 400 else ""

    for route in matrix.routes:
        rows = matrix.rows(route)
        sibling = _other(route.service)
        token = _service_headers(stage, sibling, route.service)
        if route.access != "internal":
            outcome = await got(route, token)
            if route.guarded and outcome != (401, "MISSING_TOKEN"):
                wrong.append(f"{route.name}: a sibling that speaks for nobody got {outcome}")
            continue
        # To pass the door is enough: what a sibling asks for is tried by the tests of the service.
        if (outcome := await got(route, {**boss.headers, **token}))[0] in (401, 403):
            wrong.append(f"{route.name}: a sibling got {outcome}")
        through = await matrix.send(stage.http, route, rows, token)
        if through.status_code != 404:
            wrong.append(f"{route.name}: the gateway lets a sibling through: {through.status_code}")
        bearer = boss.headers["Authorization"].removeprefix("Bearer ")
        for what, value in {
            "a super_admin": None,
            "an access token": bearer,
            "a token for another service": _service_headers(stage, route.service, sibling)["X-Service-Token"],
            "an old token": old[route.service],
            "a token without a signature": _unsigned(token["X-Service-Token"]),
            "a token that somebody else signed": _signed_by_another(token["X-Service-Token"]),
            "nonsense": "nonsense",
        }.items():
            given = {**boss.headers, **({} if value is None else {"X-Service-Token": value})}
            code = "MISSING_SERVICE_TOKEN" if value is None else "INVALID_SERVICE_TOKEN"
            if (outcome := await got(route, given)) != (401, code):
                wrong.append(f"{route.name}: {what} got {outcome}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("engine_kind", ["sqlite"], indirect=True)  # tokens touch no database
async def test_no_route_takes_a_token_that_is_not_the_auth_services(stage: Stage) -> None:
    callers = await everybody(stage)
    matrix = Matrix(stage, callers)
    boss = person_of(callers["a super_admin"])
    old = boss.headers["Authorization"]
    stage.world.clock.advance(minutes=15, seconds=1)
    good = boss.headers["Authorization"].removeprefix("Bearer ")
    claims = _parts(good)[1]
    issuer = stage.world.process.units["auth"].host.provided.use(TokenIssuer)
    pass_claims = {k: v for k, v in claims.items() if k not in ("iss", "aud", "exp", "iat", "nbf")}
    tokens = {
        "an expired one": (old, "TOKEN_EXPIRED"),
        "one without a signature": (f"Bearer {_unsigned(good)}", "INVALID_TOKEN"),
        "one that somebody else signed": (f"Bearer {_signed_by_another(good)}", "INVALID_TOKEN"),
        "one signed with the public key": (f"Bearer {await _signed_with_public_key(stage, good)}", "INVALID_TOKEN"),
        "one with other claims": (f"Bearer {_tampered(good)}", "INVALID_TOKEN"),
        "one for another purpose": (f"Bearer {issuer.issue_claims(pass_claims)}", "INVALID_TOKEN"),
        "a service's": (f"Bearer {_service_headers(stage, 'ticket', 'auth')['X-Service-Token']}", "INVALID_TOKEN"),
        "nonsense": ("Bearer nonsense", "INVALID_TOKEN"),
        "another scheme": (f"Basic {good}", "INVALID_TOKEN"),
    }
    wrong = []
    for route in matrix.routes:
        if route.access in ("internal", "signature"):
            continue
        rows = matrix.rows(route)
        for what, (value, code) in tokens.items():
            answer = await matrix.send(stage.http, route, rows, {"Authorization": value})
            if (answer.status_code, answer.json().get("code")) != (401, code):
                wrong.append(f"{route.name}: {what} got {answer.status_code} {answer.text[:120]}")
    assert not wrong, "\n".join(wrong)
    me = await stage.http.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {good}"})
    assert me.status_code == 200, "the token that these were made from is good"


def _other(service: str) -> str:
    """A service that may ask it."""
    names = [each.name for each in system.services]
    return names[names.index(service) - 1]


def _service_headers(stage: Stage, service: str, audience: str) -> Headers:
    tokens = stage.world.process.units[service].host.provided.use(ServiceTokens)
    return {"X-Service-Token": tokens.issue(audience)}


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def _unsigned(token: str) -> str:
    header, claims = _parts(token)
    return jwt.encode(claims, "", algorithm="none", headers={k: v for k, v in header.items() if k != "alg"})


def _signed_by_another(token: str) -> str:
    """With the same key id, so that the right key is tried on it."""
    header, claims = _parts(token)
    return jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=header)


async def _signed_with_public_key(stage: Stage, token: str) -> str:
    """Everybody has the public key; a verifier that lets a token choose HS256 takes it for a secret."""
    header, claims = _parts(token)
    keys = (await stage.http.get("/.well-known/jwks.json")).json()["keys"]
    public = next(key for key in keys if key["kid"] == header["kid"])
    signed = ".".join(_base64(json.dumps(part).encode()) for part in ({**header, "alg": "HS256"}, claims))
    secret = base64.urlsafe_b64decode(public["x"] + "==")
    return f"{signed}.{_base64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def _tampered(token: str) -> str:
    head, _, signature = token.split(".")
    claims = {**_parts(token)[1], "sub": str(uuid4())}
    return f"{head}.{_base64(json.dumps(claims).encode())}.{signature}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
