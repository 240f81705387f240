"""Who may call what, and what a request's tokens make of its context."""

from __future__ import annotations

from uuid import UUID

import pytest

from freehold import User
from tests.unit.http.library import ALICE, BOB, CAROL, LOST, ROOT, World, client
from tests.unit.http.test_routes import add


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "MISSING_TOKEN"),
        ({"Authorization": "Bearer nonsense"}, "INVALID_TOKEN"),
        ({"Authorization": "Basic YTpi"}, "INVALID_TOKEN"),
        ({"Authorization": "Bearer \xff"}, "INVALID_TOKEN"),
        ({"X-User-ID": str(ALICE.id), "X-User-Role": "admin"}, "MISSING_TOKEN"),
    ],
)
async def test_a_user_needs_a_valid_token(world: World, headers: dict[str, str], code: str) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    async with client(world.app()) as web:
        answer = await web.post("/api/v1/books", content=b"{not even json", headers=raw)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_an_expired_token(world: World) -> None:
    headers = world.bearer(ALICE)
    world.clock.advance(minutes=16)
    async with client(world.app()) as web:
        answer = await web.get("/api/v1/context", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "TOKEN_EXPIRED")


async def test_a_public_route_still_refuses_an_invalid_token(world: World) -> None:
    async with client(world.app()) as web:
        made = await add(world, web)
        path = f"/api/v1/books/{made['id']}"
        assert (await web.get(path)).status_code == 200
        assert (await web.get(path, headers=world.bearer(ALICE))).status_code == 200
        assert (await web.get(path, headers={"Authorization": "Bearer x"})).json()["code"] == "INVALID_TOKEN"


async def test_roles_permissions_and_no_rule(world: World) -> None:
    async with client(world.app()) as web:

        async def status(path: str, person: User) -> int:
            return (await web.get(f"/api/v1{path}", headers=world.bearer(person))).status_code

        assert [await status("/staff", each) for each in (ALICE, BOB)] == [403, 200]
        assert [await status("/audit", each) for each in (BOB, ROOT)] == [403, 200]
        assert await status("/forgotten", ROOT) == 403
        assert (await web.get("/api/v1/forgotten")).status_code == 403
        own = f"/users/{ALICE.id}/books"
        assert [await status(own, each) for each in (ALICE, CAROL, BOB)] == [200, 403, 200]
        assert await status("/users/not-a-uuid/books", ALICE) == 403


async def test_owners_of_rows(world: World) -> None:
    async with client(world.app()) as web:
        made = await add(world, web)

        async def rename(person: User, book_id: object = made["id"]) -> int:
            path = f"/api/v1/books/{book_id}/title"
            return (await web.put(path, params={"title": "New"}, headers=world.bearer(person))).status_code

        other = User(id=UUID(int=77), tenant_id=ALICE.tenant_id)
        assert await rename(ALICE) == 200
        assert await rename(other) == 403
        assert await rename(BOB) == 200
        assert await rename(CAROL) == 404
        assert await rename(ALICE, UUID(int=404)) == 404
        assert await rename(ALICE, "x") == 422


async def test_tenants(world: World) -> None:
    async with client(world.app()) as web:
        made = await add(world, web)
        path = f"/api/v1/books/{made['id']}/private"

        async def status(person: User, **headers: str) -> int:
            extra = {name.replace("_", "-"): value for name, value in headers.items()}
            return (await web.get(path, headers={**world.bearer(person), **extra})).status_code

        assert await status(BOB) == 200
        assert await status(CAROL) == 404
        assert await status(CAROL, X_Tenant_ID=str(ALICE.tenant_id)) == 404
        assert await status(LOST) == 404
        assert await status(ROOT) == 200
        assert await status(ROOT, X_Tenant_ID=str(ALICE.tenant_id)) == 200
        assert await status(ROOT, X_Tenant_ID=str(CAROL.tenant_id)) == 404
        assert await status(ROOT, X_Tenant_ID="x") == 400
        in_public = await web.get(f"/api/v1/books/{made['id']}", headers=world.bearer(CAROL))
        assert in_public.status_code == 200  # a token never shows less than no token


async def test_internal_routes_need_a_token_of_another_service_for_this_one(world: World) -> None:
    async with client(world.app()) as web:
        path = f"/internal/books/{UUID(int=404)}"

        async def code(headers: dict[str, str]) -> str:
            answer = await web.get(path, headers=headers)
            return f"{answer.status_code} {answer.json()['code']}"

        assert await code({}) == "401 MISSING_SERVICE_TOKEN"
        assert await code(world.bearer(ROOT)) == "401 MISSING_SERVICE_TOKEN"
        assert await code({"X-Service-Token": world.issuer.issue(ROOT)}) == "401 INVALID_SERVICE_TOKEN"
        assert await code({"X-Service-Token": world.tokens().issue("desk")}) == "401 INVALID_SERVICE_TOKEN"
        assert await code({"X-Service-Token": world.tokens().issue("shelves")}) == "404 BOOK_NOT_FOUND"


async def test_a_signed_request_needs_no_token_and_minds_no_other(world: World) -> None:
    async with client(world.app()) as web:
        answer = await web.post("/api/v1/hooks", headers={"Authorization": "Whatever x"})
    assert (answer.status_code, answer.content) == (204, b"")
