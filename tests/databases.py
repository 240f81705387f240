"""Fresh databases for one test, in each way that services can keep their data apart."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Engine as SqlAlchemyEngine
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.engines import open_engine
from freehold.model.errors import Unavailable
from freehold.model.ports import Engine
from tests.matrix import PGBOUNCER
from tests.servers import pgbouncer_address

_shared_database = f"freehold_test_{os.getpid()}"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """Where one service of one test keeps its data on a server."""

    kind: str
    service: str
    name: str
    url: str
    admin_url: str

    @property
    def database(self) -> str:
        return self.name if self.kind == "postgres-databases" else _shared_database

    async def empty(self) -> None:
        """Take every row out of every table. Raises the driver's errors when somebody still holds one."""
        if self.kind == "mariadb":
            await self._empty_mariadb()
            return
        url = make_url(self.admin_url).set(database=self.database)
        connection = await asyncpg.connect(url.render_as_string(hide_password=False))
        try:
            schema = "public" if self.kind == "postgres-databases" else self.name
            await connection.execute("SET lock_timeout = '2s'; SET session_replication_role = replica")
            tables = await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename <> 'schema_versions'", schema
            )
            await connection.execute(";".join(f'DELETE FROM "{schema}"."{table}"' for (table,) in tables))
        finally:
            await connection.close()

    async def _empty_mariadb(self) -> None:
        engine = open_engine(make_url(self.admin_url).set(database=self.name).render_as_string(hide_password=False),
                             lock_timeout=2)  # fmt: skip
        try:
            async with engine.write() as connection:
                await connection.execute(text("SET foreign_key_checks = 0"))
                tables = text(
                    "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
                    "AND table_name <> 'schema_versions'"
                )
                for table in list(await connection.scalars(tables)):
                    await connection.execute(text(f'DELETE FROM "{table}"'))
        finally:
            await engine.close()

    async def drop(self) -> None:
        if self.kind == "mariadb":
            from freehold.engines import provision_mysql

            await provision_mysql.drop_user(self.admin_url, self.name)
            await provision_mysql.drop_database(self.admin_url, self.name)
            return
        from freehold.engines.provision import drop_database, drop_role

        if self.kind == "postgres-databases":
            await drop_database(self.admin_url, self.name)
            await drop_role(self.admin_url, self.name)
        else:
            await drop_role(self.admin_url, self.name, owns_in=_shared_database)


class Kept:
    """Places with a system's tables, emptied after a test and taken again by the next: to make them takes seconds."""

    def __init__(self) -> None:
        self._free: dict[tuple[str, str], list[Place]] = defaultdict(list)

    def take(self, kind: str, service: str) -> Place | None:
        free = self._free[kind, service]
        return free.pop() if free else None

    async def give_back(self, place: Place) -> None:
        try:
            await place.empty()
        except (asyncpg.PostgresError, DBAPIError, Unavailable):
            await place.drop()
        else:
            self._free[place.kind, place.service].append(place)

    async def close(self) -> None:
        for free in self._free.values():
            for place in free:
                await place.drop()


class Databases:
    """Any number of services' databases of one kind, which end with the test.

    `await databases.open("orders")` is an engine on a database without rows; the same service opened twice is two
    engines on one database. `await databases.url("orders")` is its address, with password, for other processes.
    """

    def __init__(self, kind: str, folder: Path, admin_url: str | None, kept: Kept | None = None) -> None:
        self.kind = kind
        self._folder = folder
        self._admin_url = admin_url
        self._kept = kept
        self._prefix = f"t{os.getpid()}_{next(_numbers)}"
        self._places: dict[str, Place] = {}
        self._engines: list[Engine] = []

    async def url(self, service: str) -> str:
        if self._admin_url is None:
            return f"sqlite:///{self._folder / service}.db"
        if service not in self._places:
            kept = self._kept and self._kept.take(self.kind, service)
            self._places[service] = kept or await self._provision(service, self._admin_url)
        return self._places[service].url

    @property
    def scheme(self) -> str:
        """Of the server's addresses."""
        return self.admin_url.partition(":")[0]

    @property
    def admin_url(self) -> str:
        """An administrator's URL of the server."""
        assert self._admin_url is not None
        return self._admin_url

    async def open(self, service: str, **options: Any) -> Engine:
        engine = open_engine(await self.url(service), **options)
        self._engines.append(engine)
        return engine

    async def close(self) -> None:
        for engine in self._engines:
            await engine.close()
        for place in self._places.values():
            await (place.drop() if self._kept is None else self._kept.give_back(place))

    async def _provision(self, service: str, admin_url: str) -> Place:
        from freehold.engines.provision import Account, provision_databases, provision_schemas

        name = f"{self._prefix}_{service}"
        account = Account(role=name, password=secrets.token_urlsafe(12), namespace=name)
        if self.kind == "mariadb":
            from freehold.engines import provision_mysql

            urls = await provision_mysql.provision_databases(admin_url, [account])
        elif self.kind == "postgres-databases":
            urls = await provision_databases(admin_url, [account])
        else:
            urls = await provision_schemas(admin_url, _shared_database, [account])
        return Place(self.kind, service, name, self._reached(urls[name]), admin_url)

    def _reached(self, url: str) -> str:
        """Directly, or through PgBouncer."""
        if self.kind != PGBOUNCER:
            return url
        host, _, port = pgbouncer_address().partition(":")
        through = make_url(url).set(host=host, port=int(port)).update_query_dict({"pgbouncer": "true"})
        return through.render_as_string(hide_password=False)


async def session_of(connection: AsyncConnection) -> int:
    """What the server calls this connection's session."""
    asked = "CONNECTION_ID()" if connection.dialect.name == "mysql" else "pg_backend_pid()"
    number: int = await connection.scalar(text(f"SELECT {asked}"))
    return number


async def end_session(admin_url: str, session: int) -> None:
    """Cut somebody's connection on the server's side, and wait until it is gone."""
    admin = open_engine(admin_url)
    async with admin.write() as connection:
        if admin.dialect == "mysql":
            await connection.execute(text(f"KILL {session}"))
            remains = text("SELECT count(*) FROM information_schema.processlist WHERE id = :id")
            while await connection.scalar(remains, {"id": session}):
                await asyncio.sleep(0.01)
        else:
            await connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": session})
    await admin.close()


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement that SQLAlchemy sends meanwhile."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(SqlAlchemyEngine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(SqlAlchemyEngine, "before_cursor_execute", note)
