"""What a service's own account can do in the databases of others.

It is tried on the server, and read from the server's catalogue for what cannot be tried without harm. Whatever is
tried changes nothing even where it is allowed: it meets no row, names a column or table that does not exist or one
that exists already, and is rolled back besides.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, Protocol, cast

from sqlalchemy import URL

from freehold.engines.factory import parse_url

Kind = Literal["shared", "entered", "table", "namespace", "account"]
NOT_THERE = "freehold_no_such_column"

_SESSIONS = {
    "sqlite": "intrusion_sqlite",
    "postgresql": "intrusion_postgres",
    "postgres": "intrusion_postgres",
    "mysql": "intrusion_mysql",
    "mariadb": "intrusion_mysql",
}


@dataclass(frozen=True)
class Home:
    """Where a service keeps its tables, as its own account finds it.

    Args:
        service: whose it is.
        url: how the account gets there; with its password.
        server: what the server says of itself, the same by whatever address it is reached.
        database: what one connection reaches; names of two are the same only when it is.
        namespace: the schema, the database or the file in which the tables are.
        account: the role or user; empty for a file.
        tables: each with one of its columns.
    """

    service: str
    url: URL = field(repr=False)
    server: str
    database: str
    namespace: str
    account: str
    tables: Mapping[str, str]

    @property
    def kind(self) -> str:
        """Which sort of server it is."""
        return _SESSIONS[self.url.drivername]


@dataclass(frozen=True)
class Breach:
    """Something that an account can do and should not.

    Args:
        kind: two services share a place; another's database can be entered; a table or a namespace can be used; the
            account itself has more rights than a service needs.
        intruder: the service whose account it is.
        what: the table, schema, database, file or role, as the server calls it.
        rights: what can be done with it.
        owner: the service whose it is; empty when it is nobody's or everybody's.
    """

    kind: Kind
    intruder: str
    what: str
    rights: tuple[str, ...] = ()
    owner: str = ""


class Refused(Exception):
    """The server does not let the account in."""


class Session(Protocol):
    """An account's connection."""

    async def look(self, service: str, url: URL) -> Home:
        """Where it is and what it has there."""
        ...

    async def account(self, own: Home, others: Sequence[Home]) -> list[Breach]:
        """What its account has that no service needs."""
        ...

    async def attempt(self, own: Home, other: Home) -> list[Breach]:
        """What it can do with the tables of another, in the database that this connection reaches."""
        ...


async def look(service: str, url: str) -> Home:
    """A service's home. Raises Refused when its own account is not let in, and the driver's errors."""
    address = parse_url(url)
    async with _enter(address) as session:
        return await session.look(service, address)


async def intrusions(homes: Sequence[Home]) -> list[Breach]:
    """Everything that any of these services can do and should not.

    Each account has one connection for all that its server lets it reach there, and tries once to get into every other
    database.
    """
    found: list[Breach] = []
    for own in homes:
        others = [home for home in homes if home is not own]
        async with _enter(own.url) as session:
            found += await session.account(own, others)
            for other in others:
                found += await _attempt(session, own, other)
        if await _needs_no_password(own):
            found.append(Breach("account", own.service, own.account, ("LOGIN WITHOUT PASSWORD",)))
    return found


async def _attempt(session: Session, own: Home, other: Home) -> list[Breach]:
    if (own.server, own.database) == (other.server, other.database):
        if own.namespace == other.namespace:
            place = own.namespace if own.account else str(own.url.database)
            return [Breach("shared", own.service, place, tuple(other.tables), other.service)]
        return await session.attempt(own, other)
    if not own.account or not other.account:
        return []  # a file asks for no account, and no server takes a file's
    try:
        url = other.url.set(username=own.url.username, password=own.url.password)
        async with _enter(url) as stranger:
            entered = Breach("entered", own.service, other.database, ("CONNECT",), other.service)
            return [entered, *await stranger.attempt(own, other)]
    except Refused:
        return []


async def _needs_no_password(own: Home) -> bool:
    """Whether the server lets in whoever calls himself so: others could, too."""
    for password in (None, secrets.token_urlsafe()) if own.account else ():
        with suppress(Refused):
            # An address cannot be set to None.
            async with _enter(URL.create(**{**own.url._asdict(), "password": password})):
                return True
    return False


@asynccontextmanager
async def _enter(url: URL) -> AsyncGenerator[Session, None]:
    enter = import_module(f"freehold.engines.{_SESSIONS[url.drivername]}").enter
    async with enter(url) as session:
        yield cast("Session", session)


def merged(breaches: Sequence[Breach]) -> list[Breach]:
    """One for each place, with all its rights."""
    by_place: dict[tuple[Any, ...], list[str]] = {}
    for each in breaches:
        rights = by_place.setdefault((each.kind, each.intruder, each.what, each.owner), [])
        rights += [right for right in each.rights if right not in rights]
    return [
        Breach(kind, intruder, what, tuple(rights), owner) for (kind, intruder, what, owner), rights in by_place.items()
    ]
