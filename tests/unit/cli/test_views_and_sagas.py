"""What operators see of views and sagas, and do with them."""

from __future__ import annotations

import asyncio
import importlib
import json
import sqlite3
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from freehold.runtime.saga_machine import SagaSettings
from freehold.testing import World
from tests.unit.cli.conftest import Freehold, forget_systems

CLUB = """
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Change, Event, Portable, Problem, Query, Saga, Service, Step, System, Timestamp, Tx, View, uuid7


class Joined(Event, name="member.joined", topic="members", key="member_id"):
    member_id: UUID
    name: str
    at: Timestamp


class MemberRow(BaseModel):
    member_id: UUID
    name: str
    version_at: Timestamp


class Page(BaseModel):
    data: list[MemberRow]
    next_cursor: str | None = None


class ListMembers(Query[Page], path="/internal/members"):
    cursor: str | None = None
    limit: int = 100


class OfficeBase(Portable, DeclarativeBase): ...


class Member(OfficeBase):
    __tablename__ = "members"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    joined_at: Mapped[Timestamp]


office = Service("office", tables=OfficeBase, publishes=[Joined])


@office.answers(ListMembers)
async def list_members(query: ListMembers, tx: Tx) -> Page:
    from sqlalchemy import select

    rows = await tx.scalars(select(Member).order_by(Member.id))
    return Page(data=[MemberRow(member_id=row.id, name=row.name, version_at=row.joined_at) for row in rows])


async def join(name: str, tx: Tx) -> None:
    member = Member(id=uuid7(), name=name, joined_at=tx.now())
    tx.add(member)
    tx.publish(Joined(member_id=member.id, name=name, at=tx.now()))


class BarBase(Portable, DeclarativeBase): ...


class Guest(BarBase):
    __tablename__ = "guests"
    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    version_at: Mapped[Timestamp]


bar = Service("bar", tables=BarBase, asks=[ListMembers])
guests = bar.view(View("guests", table=Guest, key="member_id", rebuild=ListMembers))


@guests.on(Joined)
def guest(event: Joined) -> Change:
    return Change({"member_id": event.member_id, "name": event.name}, event.at)


class Round(BaseModel):
    table: str


async def pour(data: Round, tx: Tx) -> None: ...


async def pour_back(data: Round, tx: Tx) -> None:
    raise RuntimeError("the bottle is gone")


async def pay(data: Round, tx: Tx) -> None:
    raise Problem(402, "PAYMENT_REQUIRED", "no money")


a_round = bar.saga(
    Saga("round", key="table", data=Round, steps=[Step("pour", do=pour, undo=pour_back), Step("pay", do=pay)])
)
system = System("club", services=[office, bar])
"""


@pytest.fixture
def club(freehold: Freehold, folder: Path) -> Path:
    """The folder of the databases of a system with two guests, and with a saga that needs attention."""
    package = folder / "systems" / "club"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "system.py").write_text(CLUB)
    forget_systems()
    sys.path.insert(0, str(folder))
    declared = importlib.import_module("systems.club.system")
    data = folder / ".freehold" / "club"
    assert freehold("migrate", "club").returncode == 0

    async def live() -> None:
        urls = {name: f"sqlite:///{data}/{name}_db.sqlite" for name in ("office", "bar")}
        given: dict[type[Any], Any] = {SagaSettings: SagaSettings(tries=1)}
        async with World(declared.system, databases=urls, given=given) as world:
            for name in ("Ann", "Bo"):
                await world.work("office").run(partial(declared.join, name))
            await world.work("bar").run(lambda tx: tx.start(declared.a_round, declared.Round(table="7")))
            await world.settle()
            for _ in range(3):
                await world.advance(minutes=1)

    asyncio.run(live())
    return data


def lines(printed: str) -> list[list[str]]:
    return [line.split("\t") for line in printed.splitlines()]


def test_views_are_listed(freehold: Freehold, club: Path) -> None:
    ((name, state, generation, rows, behind, newest),) = lines(freehold("views", "club").stdout)
    assert (name, state, generation, rows, behind) == ("bar.guests", "idle", "0", "2", "0.0")
    assert newest.startswith("2030-01-01 12:00:00")
    (view,) = json.loads(freehold("views", "club", "--json").stdout)
    assert (view["view"], view["rows"], view["behind_seconds"]) == ("bar.guests", 2, 0.0)


def test_a_view_is_rebuilt(freehold: Freehold, club: Path) -> None:
    with sqlite3.connect(club / "bar_db.sqlite") as connection:
        connection.execute("DELETE FROM guests")
    assert lines(freehold("views", "club").stdout)[0][3] == "0"
    done = freehold("views", "club", "rebuild", "bar.guests")
    assert (done.returncode, done.stdout) == (0, "bar.guests rebuilt: 2 rows\n")
    assert lines(freehold("views", "club").stdout)[0][:4] == ["bar.guests", "idle", "1", "2"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("rebuild",), "views rebuild: which one is not said. Give SERVICE.VIEW"),
        (("rebuild", "bar.guest"), "view 'bar.guest': club has none of this name. It has: bar.guests"),
    ],
)
def test_a_view_must_be_named(freehold: Freehold, club: Path, words: tuple[str, ...], told: str) -> None:
    done = freehold("views", "club", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_a_system_without_views_and_sagas_has_none(freehold: Freehold) -> None:
    for command in ("views", "sagas"):
        done = freehold(command, "shop")
        assert (done.returncode, done.stdout) == (0, "")


def test_sagas_are_listed_and_shown(freehold: Freehold, club: Path) -> None:
    ((id, service, saga, key, status, step, _, error),) = lines(freehold("sagas", "club").stdout)
    assert (service, saga, key, status, step) == ("bar", "round", "7", "needs_attention", "pour")
    assert error == "RuntimeError: the bottle is gone"
    (listed,) = json.loads(freehold("sagas", "club", "--status", "needs_attention", "--json").stdout)
    assert (listed["id"], listed["data"]) == (id, {"table": "7"})
    assert freehold("sagas", "club", "--status", "completed").stdout == ""
    assert freehold("sagas", "club", "show", id).stdout.splitlines()[0] == "service\tbar"
    shown = json.loads(freehold("sagas", "club", "show", id, "--json").stdout)
    assert shown["id"] == id
    assert shown["history"][0]["what"] == "started"


def test_a_saga_is_resumed_once(freehold: Freehold, club: Path) -> None:
    id = lines(freehold("sagas", "club").stdout)[0][0]
    done = freehold("sagas", "club", "resume", id)
    assert (done.returncode, done.stdout) == (0, f"{id} resumed\n")
    assert lines(freehold("sagas", "club").stdout)[0][4] == "compensating"
    again = freehold("sagas", "club", "resume", id)
    assert again.returncode == 1
    assert again.stderr == f"freehold: saga instance {id} is compensating and needs no attention\n"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("show",), 2, "sagas show: which one is not said"),
        (
            ("show", "0197a1c2-7b1e-7c3a-9f52-0d8a3c1b5e77"),
            1,
            "saga 0197a1c2-7b1e-7c3a-9f52-0d8a3c1b5e77 was not found",
        ),
        (("show", "0197a1c2-7b1e-7c3a-9f52-0d8a3c1b5e77", "--status", "running"), 2, "--status: narrows the list"),
    ],
)
def test_a_saga_must_be_named(freehold: Freehold, club: Path, words: tuple[str, ...], code: int, told: str) -> None:
    done = freehold("sagas", "club", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
