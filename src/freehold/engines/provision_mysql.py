"""Users and databases on a MySQL or MariaDB server, so that each service can reach its own tables and no others.

Every statement may be repeated. Passwords come from the caller. MariaDB gets only their hashes, since its general log
would hold them; MySQL keeps them out of its logs itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncmy
from asyncmy.errors import Error
from sqlalchemy import URL

from freehold.engines.factory import parse_url
from freehold.engines.mysql_errors import code
from freehold.engines.provision import Account, account_url
from freehold.model.errors import ConfigurationError

_LOCK_SECONDS = 60
_USER_CHARACTERS = 32
_DATABASE_CHARACTERS = 64
_REFUSED = {1044, 1142, 1227, 1396, 1410}
"""No right to a database, to a table, to do that at all, to make or to grant to a user."""


async def provision_databases(admin_url: str, accounts: Sequence[Account]) -> dict[str, str]:
    """A database for each account, in which its user may do everything, and nothing elsewhere. Returns each user's URL.

    Raises ConfigurationError when the server refuses `admin_url`'s user or that user may not do this.
    """
    url = parse_url(admin_url)
    for account in accounts:
        _checked("user name", account.role, _USER_CHARACTERS)
        _checked("database name", account.namespace, _DATABASE_CHARACTERS)
    async with _admin(url) as admin:
        for account in accounts:
            await _create_user(admin, account)
            database = account.namespace
            await admin.run(f"CREATE DATABASE IF NOT EXISTS {_quoted(database)} CHARACTER SET utf8mb4")
            # A grant takes these two for wildcards, and would open the databases of others.
            pattern = _quoted(re.sub(r"([\\_%])", r"\\\1", database))
            await admin.run(f"GRANT ALL PRIVILEGES ON {pattern}.* TO %s@'%%'", account.role)
    return {account.role: account_url(url, account) for account in accounts}


async def drop_database(admin_url: str, database: str) -> None:
    """Drop the database if it exists."""
    async with _admin(parse_url(admin_url)) as admin:
        await admin.run(f"DROP DATABASE IF EXISTS {_quoted(database)}")


async def drop_user(admin_url: str, user: str) -> None:
    """Drop the user if it exists, and end its connections."""
    async with _admin(parse_url(admin_url)) as admin:
        await admin.run("DROP USER IF EXISTS %s@'%%'", user)
        sessions = await admin.run("SELECT id FROM information_schema.processlist WHERE user = %s", user)
        for (session,) in sessions:
            await admin.run(f"KILL {int(session)}", missing=1094)


class _Admin:
    """The administrator's connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.is_mariadb = "MariaDB" in connection.server_version

    async def run(self, statement: str, *values: object, missing: int = 0) -> Sequence[Any]:
        """The statement's rows. An error of the number `missing` is none."""
        try:
            async with self._connection.cursor() as cursor:
                await cursor.execute(statement, values)
                return await cursor.fetchall() if cursor.description else ()
        except Error as error:
            if missing and code(error) == missing:
                return ()
            raise


@asynccontextmanager
async def _admin(url: URL) -> AsyncGenerator[_Admin, None]:
    """Two processes that provision one server take turns."""
    try:
        connection = await asyncmy.connect(
            host=url.host,
            port=url.port or 3306,
            user=url.username,
            password=url.password or "",
            database=url.database,
            autocommit=True,
        )
    except (OSError, Error, TimeoutError) as error:
        raise ConfigurationError(
            "admin database URL",
            f"{url.render_as_string(hide_password=True)} does not let us in ({type(error).__name__}: {error})",
            "Start the server, or correct host, port, user and password",
        ) from error
    try:
        admin = _Admin(connection)
        await admin.run("SET sql_notes = 0, max_error_count = 0, sql_mode = 'STRICT_ALL_TABLES'")
        ((ours,),) = await admin.run("SELECT GET_LOCK('freehold:provision', %s)", _LOCK_SECONDS)
        if not ours:
            raise ConfigurationError(
                "admin database URL",
                f"another process has been setting up services there for {_LOCK_SECONDS} seconds",
                "Wait for it, or end it",
            )
        yield admin
    except Error as error:
        if code(error) not in _REFUSED:
            raise
        raise ConfigurationError(
            "admin database URL",
            f"the user {url.username} may not set up services: {error.args[1]}",
            "GRANT ALL PRIVILEGES ON *.* TO that user WITH GRANT OPTION, or use the server's administrator",
        ) from error
    finally:
        await asyncio.shield(connection.ensure_closed())


async def _create_user(admin: _Admin, account: Account) -> None:
    if admin.is_mariadb:
        proof, secret = "IDENTIFIED VIA mysql_native_password USING %s", password_hash(account.password)
    else:
        proof, secret = "IDENTIFIED BY %s", account.password
    limit = f"WITH MAX_USER_CONNECTIONS {int(account.connections or 0)}"
    await admin.run(f"CREATE USER IF NOT EXISTS %s@'%%' {proof} {limit}", account.role, secret)
    await admin.run(f"ALTER USER %s@'%%' {proof} {limit}", account.role, secret)


def password_hash(password: str) -> str:
    """What MariaDB keeps of a password: enough to check it, not to know it."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()  # noqa: S324 - its own


def _checked(what: str, name: str, most: int) -> None:
    if not name or "\0" in name or len(name) > most:
        raise ConfigurationError(what, f"{name!r} cannot be one", f"Use 1 to {most} characters, no NUL")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"
