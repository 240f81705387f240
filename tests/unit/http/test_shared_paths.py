"""Queries that share a path: a field with one possible value tells them apart."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel

from freehold import After, Page, Query, Service, System, Tx
from freehold.http.queries import write_query
from freehold.identity import ServiceTokens
from freehold.inspect import check, describe
from freehold.testing import World


class Row(BaseModel):
    name: str


class SnapshotBooks(Query[Page[Row]], path="/internal/snapshots/{entity}"):
    entity: Literal["books"] = "books"
    cursor: After = None
    limit: int = 500


class SnapshotLoans(Query[Page[Row]], path="/internal/snapshots/{entity}"):
    entity: Literal["loans"] = "loans"
    cursor: After = None
    limit: int = 500


def make_system() -> System:
    shelves, desk = Service("shelves"), Service("desk", asks=[SnapshotBooks, SnapshotLoans])

    @shelves.answers(SnapshotBooks)
    async def books(query: SnapshotBooks, tx: Tx) -> Page[Row]:
        return Page(data=[Row(name=f"book after {query.cursor}")])

    @shelves.answers(SnapshotLoans)
    async def loans(query: SnapshotLoans, tx: Tx) -> Page[Row]:
        return Page(data=[Row(name=f"loan, {query.limit} at most")])

    return System("library", services=[shelves, desk])


def test_each_is_written_to_its_own_path() -> None:
    assert write_query(SnapshotBooks(cursor="b", limit=2)) == (
        "GET", "/internal/snapshots/books", [("after", "b"), ("limit", "2")], None,
    )  # fmt: skip
    assert write_query(SnapshotLoans())[1] == "/internal/snapshots/loans"


async def test_each_is_answered_by_its_own_function() -> None:
    async with World(make_system()) as world, world.service("shelves") as web:
        tokens = world.process.units["desk"].host.provided.use(ServiceTokens)
        headers = {"X-Service-Token": tokens.issue("shelves")}

        async def first(path: str) -> str:
            answer = await web.get(f"/internal/snapshots/{path}", headers=headers)
            assert answer.status_code == 200, answer.text
            return str(answer.json()["data"][0]["name"])

        assert await first("books?after=b") == "book after b"
        assert await first("books?cursor=b") == "book after b"
        assert await first("loans?limit=3") == "loan, 3 at most"
        with pytest.raises(AssertionError, match="404"):
            await first("staff")


def test_they_are_one_route_that_is_served_once() -> None:
    system = make_system()
    assert describe(system)["services"]["shelves"]["routes"] == [
        {"method": "GET", "path": "/internal/snapshots/{entity}", "access": "internal"}
    ]
    assert not [violation for violation in check(system) if violation.code == "FH071"]
