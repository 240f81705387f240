"""Roles, schemas and databases on a PostgreSQL server, so that each service can reach its own tables and no others.

Every statement may be repeated. Passwords come from the caller; the server gets only their SCRAM verifiers, so that
neither its log nor its statistics ever hold one.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import URL

from freehold.engines.factory import parse_url
from freehold.model.errors import ConfigurationError

_LOCK = 0x66726565686F6C64  # any number, the same in every process that provisions
_SCRAM_ITERATIONS = 4096
_NAME_BYTES = 63


@dataclass(frozen=True)
class Account:
    """A service's role and what it owns: a schema or a database, called `namespace`.

    `connections` limits how many the role may hold at once; None is no limit.
    """

    role: str
    password: str = field(repr=False)
    namespace: str
    connections: int | None = None

    def __post_init__(self) -> None:
        for name in (self.role, self.namespace):
            _quoted(name)


async def provision_schemas(admin_url: str, database: str, accounts: Sequence[Account]) -> dict[str, str]:
    """One database with a schema for each account, which its role owns and finds first. Returns each role's URL.

    Raises ConfigurationError when the server refuses `admin_url`'s user or that user may not do this.
    """
    url = parse_url(admin_url)
    async with _admin(url) as admin:
        await _create_database(admin, database)
        await admin.execute(f"REVOKE ALL ON DATABASE {_quoted(database)} FROM PUBLIC")
        for account in accounts:
            await _create_role(admin, account)
    async with _admin(url.set(database=database)) as inside:
        await inside.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        for account in accounts:
            role, schema, name = _quoted(account.role), _quoted(account.namespace), _quoted(database)
            await inside.execute(
                f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {role};"
                f"REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;"
                f"GRANT CONNECT ON DATABASE {name} TO {role};"
                f"ALTER ROLE {role} IN DATABASE {name} SET search_path = {schema}{_postgis(url)}"
            )
        await _create_postgis(inside, url)
    return {account.role: account_url(url, account, database) for account in accounts}


async def provision_databases(admin_url: str, accounts: Sequence[Account]) -> dict[str, str]:
    """A database for each account, which its role owns and no other may enter. Returns each role's URL.

    Raises ConfigurationError when the server refuses `admin_url`'s user or that user may not do this.
    """
    url = parse_url(admin_url)
    async with _admin(url) as admin:
        for account in accounts:
            await _create_role(admin, account)
            await _create_database(admin, account.namespace, owner=account.role)
            await admin.execute(f"REVOKE ALL ON DATABASE {_quoted(account.namespace)} FROM PUBLIC")
    for account in accounts:
        async with _admin(url.set(database=account.namespace)) as inside:
            # The schema belongs to whoever owns the database, whose rights NOINHERIT keeps from the role itself.
            await inside.execute(
                "SET ROLE pg_database_owner;"
                "REVOKE ALL ON SCHEMA public FROM PUBLIC;"
                f"GRANT ALL ON SCHEMA public TO {_quoted(account.role)};"
                "RESET ROLE"
            )
            await _create_postgis(inside, url)
            if _postgis(url):
                role, name = _quoted(account.role), _quoted(account.namespace)
                await inside.execute(f"ALTER ROLE {role} IN DATABASE {name} SET search_path = public{_postgis(url)}")
    return {account.role: account_url(url, account) for account in accounts}


def _postgis(url: URL) -> str:
    """What the search path has more, where the administrator's address asks for PostGIS."""
    return ", postgis" if url.query.get("postgis") == "true" else ""


async def _create_postgis(inside: asyncpg.Connection, url: URL) -> None:
    """In a schema of its own: nobody may look into `public`, and everybody needs its types."""
    if _postgis(url):
        await inside.execute("CREATE SCHEMA IF NOT EXISTS postgis; GRANT USAGE ON SCHEMA postgis TO PUBLIC")
        await inside.execute("CREATE EXTENSION IF NOT EXISTS postgis SCHEMA postgis")


async def drop_database(admin_url: str, database: str) -> None:
    """Drop the database if it exists, ending its connections."""
    async with _admin(parse_url(admin_url)) as admin:
        await admin.execute(f"DROP DATABASE IF EXISTS {_quoted(database)} WITH (FORCE)")


async def drop_role(admin_url: str, role: str, *, owns_in: str | None = None) -> None:
    """Drop the role if it exists, and all that it owns in the database `owns_in`. It must own nothing elsewhere."""
    url = parse_url(admin_url)
    if owns_in is not None:
        async with _admin(url.set(database=owns_in)) as inside:
            if await inside.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                await inside.execute(f"DROP OWNED BY {_quoted(role)} CASCADE")
    async with _admin(url) as admin:
        await admin.execute(f"DROP ROLE IF EXISTS {_quoted(role)}")


@asynccontextmanager
async def _admin(url: URL) -> AsyncGenerator[asyncpg.Connection, None]:
    """The administrator's connection. Two processes that provision one server take turns."""
    try:
        connection = await asyncpg.connect(
            host=url.host,
            port=url.port or 5432,
            user=url.username,
            password=url.password,
            database=url.database or "postgres",
        )
    except (OSError, asyncpg.PostgresError) as error:
        raise ConfigurationError(
            "admin database URL",
            f"{url.render_as_string(hide_password=True)} does not let us in ({type(error).__name__}: {error})",
            "Start the server, or correct host, port, user and password",
        ) from error
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        yield connection
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigurationError(
            "admin database URL",
            f"the user {url.username} may not set up services: {error}",
            f"ALTER ROLE {_quoted(url.username or '')} CREATEDB CREATEROLE, or use the server's superuser",
        ) from error
    finally:
        await asyncio.shield(connection.close())


async def _create_role(admin: asyncpg.Connection, account: Account) -> None:
    role = _quoted(account.role)
    if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", account.role):
        await admin.execute(f"CREATE ROLE {role}")
    limit = -1 if account.connections is None else int(account.connections)
    await admin.execute(
        f"ALTER ROLE {role} LOGIN NOINHERIT NOCREATEDB NOCREATEROLE CONNECTION LIMIT {limit} "
        f"PASSWORD '{scram_verifier(account.password)}'"
    )
    if not await admin.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        await admin.execute(f"GRANT {role} TO CURRENT_USER")  # else it could not make the role an owner


async def _create_database(admin: asyncpg.Connection, name: str, owner: str | None = None) -> None:
    if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
        owned = f" OWNER {_quoted(owner)}" if owner else ""
        await admin.execute(f"CREATE DATABASE {_quoted(name)}{owned}")


def scram_verifier(password: str) -> str:
    """What PostgreSQL keeps of a password (RFC 5802, SHA-256): enough to check it, not to know it."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_SCRAM_ITERATIONS, *encoded)


def _quoted(name: str) -> str:
    if not name or "\0" in name or len(name.encode()) > _NAME_BYTES:
        raise ConfigurationError("database name", f"{name!r} cannot be one", f"Use 1 to {_NAME_BYTES} bytes, no NUL")
    return '"' + name.replace('"', '""') + '"'


def account_url(admin: URL, account: Account, database: str | None = None) -> str:
    """How the account reaches what it owns: a schema of `database`, or else a database of its own."""
    scheme = "mysql" if admin.drivername in ("mysql", "mariadb") else "postgresql"
    url = admin.set(
        drivername=scheme,
        username=account.role,
        password=account.password,
        database=database or account.namespace,
    )
    return url.render_as_string(hide_password=False)
