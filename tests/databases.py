"""Fresh databases for one test, in each way that services can keep their data apart."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine as SqlAlchemyEngine
from sqlalchemy import event

from freehold.engines import open_engine
from freehold.model.ports import Engine

KINDS = ("sqlite", "postgres-schemas", "postgres-databases")
FULL = os.environ.get("FREEHOLD_MATRIX") == "full"
"""Whether every test runs on every kind, however long it takes."""

_shared_database = f"freehold_test_{os.getpid()}"
_numbers = itertools.count(1)


class Databases:
    """Any number of services' databases of one kind, which end with the test.

    `await databases.open("orders")` is an engine on a database without tables; the same service opened twice is two
    engines on one database. `await databases.url("orders")` is its address, with password, for other processes.
    """

    def __init__(self, kind: str, folder: Path, admin_url: str | None) -> None:
        self.kind = kind
        self._folder = folder
        self._admin_url = admin_url
        self._prefix = f"t{os.getpid()}_{next(_numbers)}"
        self._urls: dict[str, str] = {}
        self._engines: list[Engine] = []

    async def url(self, service: str) -> str:
        if service not in self._urls:
            self._urls[service] = await self._provision(service)
        return self._urls[service]

    async def open(self, service: str, **options: Any) -> Engine:
        engine = open_engine(await self.url(service), **options)
        self._engines.append(engine)
        return engine

    async def close(self) -> None:
        for engine in self._engines:
            await engine.close()
        if self._admin_url is None:
            return
        from freehold.engines.provision import drop_database, drop_role

        for service in self._urls:
            name = f"{self._prefix}_{service}"
            if self.kind == "postgres-databases":
                await drop_database(self._admin_url, name)
                await drop_role(self._admin_url, name)
            else:
                await drop_role(self._admin_url, name, owns_in=_shared_database)

    async def _provision(self, service: str) -> str:
        if self._admin_url is None:
            return f"sqlite:///{self._folder / service}.db"
        from freehold.engines.provision import Account, provision_databases, provision_schemas

        name = f"{self._prefix}_{service}"
        account = Account(role=name, password=secrets.token_urlsafe(12), namespace=name)
        if self.kind == "postgres-databases":
            urls = await provision_databases(self._admin_url, [account])
        else:
            urls = await provision_schemas(self._admin_url, _shared_database, [account])
        return urls[name]


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
