"""The outbox on an application's own sessions: published if and only if committed, savepoints included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from sqlalchemy import MetaData, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from freehold import Inbox, Outbox, delivery
from freehold.model.ports import Engine
from freehold.runtime.transaction import MisuseError
from tests.conformance.shop import DEADLINE, Placed, placed
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("G1")


class App:
    def __init__(self, url: str, reader: Engine, engine: AsyncEngine, outbox: Outbox, inbox: Inbox) -> None:
        self.url = url
        self.reader = reader
        self.engine = engine
        self.outbox = outbox
        self.inbox = inbox

    def session(self) -> AsyncSession:
        return AsyncSession(self.engine, expire_on_commit=False)

    async def written(self) -> list[int]:
        table = self.outbox._tables.outbox
        async with self.reader.read() as connection:
            rows = await connection.execute(select(table.c.payload).order_by(table.c.seq))
            return [Placed.model_validate_json(row.payload).number for row in rows]


@pytest.fixture
async def app(databases: Databases) -> AsyncIterator[App]:
    url, metadata, reader = await databases.url("app"), MetaData(), await databases.open("app")
    if databases.kind == "sqlite":
        dialect, engine = "sqlite", (await databases.open("app"))._writer  # type: ignore[attr-defined]
    elif databases.kind == "mariadb":
        dialect, engine = "mysql", create_async_engine(url.replace("mysql://", "mysql+asyncmy://"))
    else:
        dialect, engine = "postgresql", create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    outbox = Outbox(metadata, publishes=[Placed], dialect=dialect)
    app = App(url, reader, engine, outbox, Inbox(metadata, dialect=dialect))
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield app
    await engine.dispose()


async def test_a_savepoint_that_is_released_takes_nothing_away(app: App) -> None:
    async with app.session() as session, session.begin():
        app.outbox.publish(session, placed(1))
        async with session.begin_nested():
            app.outbox.publish(session, placed(2))
            async with session.begin_nested():
                app.outbox.publish(session, placed(3))
        app.outbox.publish(session, placed(4))
    assert await app.written() == [1, 2, 3, 4]


async def test_a_savepoint_that_is_rolled_back_takes_only_its_own_events_away(app: App) -> None:
    async with app.session() as session, session.begin():
        app.outbox.publish(session, placed(1))
        with suppress(RuntimeError):
            async with session.begin_nested():
                app.outbox.publish(session, placed(2))
                async with session.begin_nested():
                    app.outbox.publish(session, placed(3))
                raise RuntimeError("no")
        app.outbox.publish(session, placed(4))
    assert await app.written() == [1, 4]


async def test_what_was_rolled_back_or_never_committed_is_not_published_by_the_next_commit(app: App) -> None:
    async with app.session() as session:
        app.outbox.publish(session, placed(1))  # before there is a transaction at all
        await session.commit()
        await session.execute(select(1))
        app.outbox.publish(session, placed(2))
        await session.rollback()
        await session.execute(select(1))
        app.outbox.publish(session, placed(3))
        await session.close()
        app.outbox.publish(session, placed(4))
        await session.commit()
    assert await app.written() == [1, 4]
    with pytest.raises(MisuseError, match="not declared"):
        Outbox(MetaData(), publishes=[]).publish(session, placed(5))


@pytest.mark.guarantee("G3")
async def test_two_processes_handle_each_event_once(app: App) -> None:
    handled: list[int] = []

    @app.inbox.on(Placed)
    async def note(event: Placed, session: AsyncSession) -> None:
        handled.append(event.number)

    async with delivery(app.url, app.outbox, app.inbox), delivery(app.url, app.outbox, app.inbox):
        for number in range(20):
            async with app.session() as session, session.begin():
                app.outbox.publish(session, placed(number))
        async with asyncio.timeout(DEADLINE):
            while len(handled) < 20:
                await asyncio.sleep(0.01)
    assert sorted(handled) == list(range(20))
