"""A declared resource: list, get, create, update, delete."""

from __future__ import annotations

from typing import Any

import httpx
from sqlalchemy import select

from tests.unit.http.library import ALICE, BOB, DAN, Book, World, client

CATALOGUE = "/api/v1/catalogue"
NOVEL = {"title": "Emma", "isbn": "1", "price": "10.50"}


async def create(world: World, web: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await web.post(CATALOGUE, json={**NOVEL, **changes}, headers=world.bearer(BOB))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_create_get_update_delete(world: World) -> None:
    async with client(world.app()) as web:
        made = await create(world, web)
        assert made["price"] == "10.50"
        assert made["owner_id"] == str(BOB.id)
        assert made["tenant_id"] == str(BOB.tenant_id)
        assert "deleted_at" not in made
        one = f"{CATALOGUE}/{made['id']}"
        assert (await web.get(one)).json() == made
        world.clock.advance(hours=1)
        changed = await web.put(one, json={"title": "Emma II"}, headers=world.bearer(BOB))
        assert changed.json() == {**made, "title": "Emma II", "updated_at": changed.json()["updated_at"]}
        assert changed.json()["updated_at"] > made["updated_at"]
        assert (await web.delete(one, headers=world.bearer(BOB))).status_code == 200
        assert (await web.get(one)).status_code == 404
        assert (await web.delete(one, headers=world.bearer(BOB))).status_code == 404
    host = world.hosts["shelves"]
    async with host.engine.read() as connection:
        assert len((await connection.execute(select(Book.__table__))).all()) == 1
        events = (await connection.execute(select(host.tables.outbox.c.event_type))).scalars().all()
    assert events == ["book.added"]


async def test_refusals(world: World) -> None:
    async with client(world.app()) as web:
        made = await create(world, web)

        async def code(method: str, path: str, body: Any, person: Any = BOB) -> str:
            answer = await web.request(method, path, json=body, headers=world.bearer(person))
            return f"{answer.status_code} {answer.json()['code']}"

        one = f"{CATALOGUE}/{made['id']}"
        assert await code("POST", CATALOGUE, NOVEL) == "409 BOOK_EXISTS"
        assert await code("POST", CATALOGUE, NOVEL, ALICE) == "403 FORBIDDEN"
        assert await code("POST", CATALOGUE, {"title": "x"}) == "422 VALIDATION_ERROR"
        assert await code("PUT", one, {}) == "422 INVALID_UPDATE"
        assert await code("PUT", one, {"title": None}) == "422 VALIDATION_ERROR"
        assert await code("PUT", one, {"title": "x" * 51}) == "422 VALIDATION_ERROR"
        assert await code("PUT", one, {"pages": 2**40}) == "422 VALIDATION_ERROR"
        second = await create(world, web, isbn="2")
        assert await code("PUT", f"{CATALOGUE}/{second['id']}", {"isbn": "1"}) == "409 BOOK_EXISTS"
        assert await code("PUT", one, {"title": "x"}, DAN) == "404 NOT_FOUND"


async def test_lists(world: World) -> None:
    async with client(world.app()) as web:
        titles = ["a", "b", "b", "c", "d"]
        for at, title in enumerate(titles):
            await create(world, web, title=title, isbn=str(at))
        seen, cursor = [], None
        while True:
            page = (await web.get(CATALOGUE, params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
            seen += [row["title"] for row in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == titles
        numbered = (await web.get(CATALOGUE, params={"limit": 2, "page": 3})).json()
        assert [row["title"] for row in numbered["data"]] == ["d"]
        assert numbered["meta"]["total"] == 5
        assert len((await web.get(CATALOGUE, params={"title": "b"})).json()["data"]) == 2
        assert (await web.get(CATALOGUE, params={"cursor": "%%%"})).status_code == 400
        assert (await web.get(CATALOGUE, params={"limit": 101})).status_code == 422
