"""What every engine promises of keys and of rows that meet, whichever way its database spells it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import time
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Float,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Time,
    and_,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy import Integer as Int
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError

from freehold.model.ports import Engine
from tests.databases import Databases
from tests.matrix import on_engines

pytestmark = pytest.mark.guarantee("G9")

DEADLINE = 20
on_a_server = on_engines("postgres-schemas", "postgres-databases", "mariadb", why="SQLite has one writer")

metadata = MetaData()
tickets = Table(
    "tickets",
    metadata,
    Column("name", String, primary_key=True),
    Column("seat", String, unique=True),
    Column("holder", String(20)),
    Column("state", String(20), nullable=False, default="open"),
    Column("low", Int, nullable=False, default=0),
    Column("high", Int, nullable=False, default=0),
)
is_open = tickets.c.state == "open"
Index("uq_tickets_open", tickets.c.holder, unique=True, postgresql_where=is_open, sqlite_where=is_open)
Index("ix_tickets_low", tickets.c.low, tickets.c.high, postgresql_where=is_open, sqlite_where=is_open)
large = Table(
    "large",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("note", Text),
    Column("free", String),
    Column("file", LargeBinary),
    Column("ratio", Float),
    Column("at", Time),
)


@pytest.fixture
async def engine(databases: Databases) -> Engine:
    engine = await databases.open("orders")
    await engine.create(metadata)
    return engine


async def add(engine: Engine, *rows: dict[str, Any]) -> None:
    async with engine.write() as connection:
        for row in rows:
            await connection.execute(insert(tickets).values(**row))


async def names(engine: Engine) -> list[str]:
    async with engine.read() as connection:
        return sorted(await connection.scalars(select(tickets.c.name)))


async def test_a_unique_index_may_be_of_some_rows_only(engine: Engine) -> None:
    closed = [{"name": f"closed {n}", "holder": "ann", "state": "closed"} for n in range(2)]
    await add(engine, *closed, {"name": "open", "holder": "ann"}, {"name": "nobody's"}, {"name": "nobody's either"})
    with pytest.raises(IntegrityError) as caught:
        await add(engine, {"name": "second", "holder": "ann"})
    assert engine.is_duplicate(caught.value)
    async with engine.write() as connection:
        await connection.execute(update(tickets).where(tickets.c.name == "open").values(state="closed"))
    await add(engine, {"name": "second", "holder": "ann"})
    with pytest.raises(IntegrityError):
        async with engine.write() as connection:
            await connection.execute(update(tickets).values(state="open"))


async def test_texts_are_equal_when_every_character_is(engine: Engine) -> None:
    alike = ["a", "A", "a ", "ä", "á", "a\u0301", "\uff41", "a\t", "ß", "ss", "🎫", "🎟"]
    await add(engine, *({"name": name, "seat": name} for name in alike))
    async with engine.read() as connection:
        for name in alike:
            found = await connection.scalars(select(tickets.c.name).where(tickets.c.seat == name))
            assert list(found) == [name]
        ordered = list(
            await connection.scalars(select(tickets.c.name).where(tickets.c.name.in_(("b", "a", "A", "a "))))
        )
        assert sorted(ordered) == ["A", "a", "a "]
    async with engine.write() as connection:
        rows = [{"name": name, "low": 1} for name in (*alike, "new")]
        assert [row[0] for row in await connection.execute(engine.insert_new(tickets, rows, key=["name"]))] == ["new"]


async def test_rows_that_meet_another_key_than_the_one_named_are_duplicates(engine: Engine) -> None:
    await add(engine, {"name": "a", "seat": "1"}, {"name": "b", "seat": "2"})
    taken = [{"name": "c", "seat": "1", "low": 9}]
    several = [{"name": "d", "seat": "4", "low": 9}, *taken]
    for rows in (taken, several):
        for statement in (
            engine.insert_new(tickets, rows, key=["name"]),
            engine.upsert(tickets, rows, key=["name"]),
            engine.upsert(tickets, rows, key=["name"], update=["low"], where=tickets.c.low < 100),
        ):
            with pytest.raises(IntegrityError) as caught:
                async with engine.write() as connection:
                    await connection.execute(statement)
            assert engine.is_duplicate(caught.value)
    async with engine.read() as connection:
        assert list(await connection.scalars(select(tickets.c.low))) == [0, 0]
    async with engine.write() as connection:  # by its own key it is met, though there is another
        await connection.execute(engine.upsert(tickets, [{"name": "a", "low": 5}], key=["name"]))
        await connection.execute(engine.upsert(tickets, [{"name": n, "low": 7} for n in "bc"], key=["name"]))
        found = await connection.execute(select(tickets.c.name, tickets.c.seat, tickets.c.low).order_by(tickets.c.name))
        assert [tuple(row) for row in found] == [("a", "1", 5), ("b", "2", 7), ("c", None, 7)]


async def test_what_an_update_computes_is_of_the_row_as_it_was(engine: Engine) -> None:
    await add(engine, {"name": "a", "low": 1, "high": 5})
    async with engine.write() as connection:
        await connection.execute(update(tickets).values(low=tickets.c.high, high=tickets.c.low))
    new = engine.excluded(tickets).c
    swap = {"low": tickets.c.high + new.low, "high": tickets.c.low + new.high}
    both = and_(tickets.c.low == 5, tickets.c.high == 1)
    for _ in range(2):
        async with engine.write() as connection:
            row = {"name": "a", "low": 10, "high": 20}
            await connection.execute(engine.upsert(tickets, [row], key=["name"], update=swap, where=both))
            found = (await connection.execute(select(tickets.c.low, tickets.c.high))).one()
            assert tuple(found) == (11, 25)


async def test_pages_follow_the_order_of_several_columns(engine: Engine) -> None:
    await add(engine, *({"name": f"{n:02}", "low": n // 4, "high": n % 4} for n in range(20)))
    by = tuple_(tickets.c.low, tickets.c.high, tickets.c.name)
    for descending in (False, True):
        seen: list[str] = []
        order = [column.desc() if descending else column for column in (tickets.c.low, tickets.c.high, tickets.c.name)]
        query, after = select(tickets).order_by(*order).limit(3), None
        async with engine.read() as connection:
            while True:
                page = query
                if after is not None:
                    last = tuple_(
                        *(literal(value, column.type) for value, column in zip(after, by.clauses, strict=True))
                    )
                    page = query.where(by < last if descending else by > last)
                rows = (await connection.execute(page)).all()
                seen += [row.name for row in rows]
                if not rows:
                    break
                after = (rows[-1].low, rows[-1].high, rows[-1].name)
        assert seen == sorted((f"{n:02}" for n in range(20)), reverse=descending)


async def test_nothing_is_cut_short_that_has_no_length(engine: Engine) -> None:
    row = {
        "name": "all", "note": "ü" * 100_000, "free": "x" * 70_000, "file": bytes(range(256)) * 1000,
        "ratio": 0.1234567890123456, "at": time(23, 59, 59, 999999),
    }  # fmt: skip
    async with engine.write() as connection:
        await connection.execute(insert(large).values(**row))
        await connection.execute(engine.upsert(large, [{**row, "name": f"{n}"} for n in range(30)], key=["name"]))
    async with engine.read() as connection:
        for found in await connection.execute(select(large)):
            assert dict(found._mapping) | {"name": "all"} == row


async def test_a_sum_of_integers_is_one(engine: Engine) -> None:
    await add(engine, {"name": "a", "low": 2}, {"name": "b", "low": 3})
    async with engine.read() as connection:
        total = await connection.scalar(select(func.sum(tickets.c.low)))
    assert (type(total), total) == (int, 5)


@on_a_server
@pytest.mark.parametrize("commits", [True, False])
async def test_insert_new_waits_for_whoever_inserts_the_same(engine: Engine, commits: bool) -> None:
    inserted, proceed = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        with suppress(RuntimeError):
            async with engine.write() as connection:
                await connection.execute(engine.insert_new(tickets, [{"name": "a"}], key=["name"]))
                inserted.set()
                await proceed.wait()
                if not commits:
                    raise RuntimeError

    async def second() -> list[str]:
        await inserted.wait()
        async with engine.write() as connection:
            rows = [{"name": name} for name in "ab"]
            new = await connection.execute(engine.insert_new(tickets, rows, key=["name"]))
            return sorted(new.scalars())

    tasks = [asyncio.create_task(first()), asyncio.create_task(second())]
    await inserted.wait()
    await asyncio.wait(tasks[1:], timeout=0.1)
    proceed.set()
    async with asyncio.timeout(DEADLINE):
        await tasks[0]
        assert await tasks[1] == (["b"] if commits else ["a", "b"])
    assert await names(engine) == ["a", "b"]


@on_a_server
async def test_whoever_is_cancelled_while_it_waits_for_a_lock_lets_go_of_the_others(engine: Engine) -> None:
    await add(engine, {"name": "a"}, {"name": "b"})
    holding = asyncio.Event()

    async def wait() -> None:
        async with engine.write() as connection:
            await connection.execute(update(tickets).where(tickets.c.name == "b").values(low=1))
            assert await engine.try_lock(connection, "sweep")
            holding.set()
            await connection.execute(update(tickets).where(tickets.c.name == "a").values(low=1))

    async with engine.write() as connection:
        await connection.execute(update(tickets).where(tickets.c.name == "a").values(low=2))
        waiting = asyncio.create_task(wait())
        await holding.wait()
        await asyncio.wait([waiting], timeout=0.1)
        waiting.cancel()
        await asyncio.wait([waiting])
        async with asyncio.timeout(5), engine.write() as another:  # locks are waited for longer than that
            await another.execute(update(tickets).where(tickets.c.name == "b").values(low=3))
        async with asyncio.timeout(5):
            while True:
                async with engine.write() as another:
                    if await engine.try_lock(another, "sweep"):
                        break
    async with engine.read() as connection:
        assert list(await connection.scalars(select(tickets.c.low).order_by(tickets.c.name))) == [2, 3]


@on_a_server
async def test_a_deadlock_that_is_kept_quiet_leaves_nothing_of_its_transaction(engine: Engine) -> None:
    await add(engine, {"name": "a"}, {"name": "b"})
    both = asyncio.Barrier(2)

    async def cross(first: str, second: str) -> None:
        async with engine.write() as connection:
            await connection.execute(update(tickets).where(tickets.c.name == first).values(low=tickets.c.low + 1))
            await both.wait()
            try:
                await connection.execute(update(tickets).where(tickets.c.name == second).values(low=tickets.c.low + 1))
            except DBAPIError:
                with suppress(DBAPIError):
                    await connection.execute(insert(tickets).values(name="afterwards"))

    async with asyncio.timeout(DEADLINE):
        done = await asyncio.gather(cross("a", "b"), cross("b", "a"), return_exceptions=True)
    (error,) = [each for each in done if each is not None]
    assert isinstance(error, InvalidRequestError)
    assert await names(engine) == ["a", "b"]
    async with engine.read() as connection:
        assert list(await connection.scalars(select(tickets.c.low))) == [1, 1]


async def test_tables_that_are_there_stay_and_those_that_are_not_are_made(engine: Engine) -> None:
    await add(engine, {"name": "kept"})
    async with engine.write() as connection:
        await connection.execute(text("DROP TABLE large"))
    await engine.create(metadata)
    assert await names(engine) == ["kept"]
    async with engine.read() as connection:
        assert (await connection.execute(select(large))).all() == []


async def test_some_of_the_rows_are_changed_deleted_and_left_out(engine: Engine) -> None:
    await add(engine, *({"name": name, "low": n} for n, name in enumerate("abcdef")))
    first = select(tickets.c.name).where(tickets.c.low >= 0).order_by(tickets.c.low).limit(2)
    async with engine.write() as connection:
        changed = await connection.execute(update(tickets).where(tickets.c.name.in_(first)).values(low=-1))
        removed = await connection.execute(
            tickets.delete().where(tickets.c.name.in_(first), tickets.c.name.not_in(first.limit(1)))
        )
        assert (changed.rowcount, removed.rowcount) == (2, 1)
        left = select(tickets.c.name).where(tickets.c.name.not_in(first)).order_by(tickets.c.name)
        assert list(await connection.scalars(left)) == ["a", "b", "f"]
    assert await names(engine) == ["a", "b", "c", "e", "f"]
