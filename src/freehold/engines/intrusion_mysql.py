"""Another's tables on a MySQL or MariaDB server, seen with a service's own user.

DDL commits by itself there, so that none is tried that could be carried out.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from asyncmy.errors import Error
from sqlalchemy import URL, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from freehold.engines.base import causes
from freehold.engines.intrusion import NOT_THERE, Breach, Home, Refused, merged
from freehold.engines.mysql_errors import UNREACHABLE, code
from freehold.engines.prepared import driver_of

_CONNECT_SECONDS = 10
_REFUSED = {1044, 1045, 1049, 1130, 1227, 1698}
"""No right to the database, wrong password, no such database, not from this host, no right at all, no such proof."""
_UNDECIDED = {1044, 1049, 1142, 1143, 1146, 1205, 1227}
"""Denied; gone by now; somebody holds a lock on it, and the grants have to tell."""

_TRIED = {
    "SELECT": "SELECT 1 FROM {table} LIMIT 0",
    "INSERT": "INSERT INTO {table} ({column}) SELECT NULL FROM DUAL WHERE FALSE",
    "UPDATE": "UPDATE {table} SET {column} = DEFAULT WHERE FALSE",
    "DELETE": "DELETE FROM {table} WHERE FALSE",
    "ALTER": f"ALTER TABLE {{table}} DROP COLUMN {NOT_THERE}",
    "CREATE": "CREATE TABLE {table} (id INT)",  # it is there already
}

_HOME = "SELECT CONCAT_WS(' ', @@hostname, @@port, @@datadir), DATABASE(), CURRENT_USER()"
_TABLES = """
SELECT t.TABLE_NAME, MIN(c.COLUMN_NAME) FROM information_schema.TABLES t
JOIN information_schema.COLUMNS c USING (TABLE_SCHEMA, TABLE_NAME)
WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' GROUP BY t.TABLE_NAME ORDER BY t.TABLE_NAME
"""
_GLOBAL = (
    "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = %s AND PRIVILEGE_TYPE <> 'USAGE'"
)
_ROLES = "SELECT DISTINCT ROLE_NAME FROM information_schema.APPLICABLE_ROLES"
# A grant's database is a pattern.
_IN_DATABASE = """
SELECT 'namespace', %s, PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES
WHERE GRANTEE = %s AND %s LIKE TABLE_SCHEMA
UNION ALL
SELECT 'table', CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), PRIVILEGE_TYPE FROM information_schema.TABLE_PRIVILEGES
WHERE GRANTEE = %s AND TABLE_SCHEMA = %s AND PRIVILEGE_TYPE <> 'USAGE'
UNION ALL
SELECT DISTINCT 'table', CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), PRIVILEGE_TYPE
FROM information_schema.COLUMN_PRIVILEGES WHERE GRANTEE = %s AND TABLE_SCHEMA = %s
"""


@asynccontextmanager
async def enter(url: URL) -> AsyncGenerator[MysqlSession, None]:
    """A connection of this address's user. Raises Refused, and the driver's errors for a server out of reach."""
    engine = create_async_engine(
        url.set(drivername="mysql+asyncmy"), connect_args={"connect_timeout": _CONNECT_SECONDS}, poolclass=NullPool
    )
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            connection = await engine.connect()
    except Exception as error:
        if any(code(each) in _REFUSED for each in causes(error)):
            raise Refused(str(error)) from error
        raise
    try:
        session = MysqlSession(driver_of(connection))
        await session.prepare()
        yield session
    finally:
        await connection.close()
        await engine.dispose()


class MysqlSession:
    """Tries in transactions of their own, with the rights of every role that the user has."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._roles: list[str] = []

    async def prepare(self) -> None:
        """Wait for nobody's locks, and know the roles."""
        await self._run("SET lock_wait_timeout = 1, innodb_lock_wait_timeout = 1")
        self._roles = [role for (role,) in await self._run(_ROLES)]

    async def look(self, service: str, url: URL) -> Home:
        [(server, database, account)] = await self._run(_HOME)
        tables = await self._run(_TABLES)
        return Home(service, url, f"mysql {server}", "", database or "", account, dict(tables))

    async def account(self, own: Home, others: Sequence[Home]) -> list[Breach]:
        rights = await self._run(_GLOBAL, _grantee(own))
        found = [Breach("account", own.service, own.account, (right,)) for (right,) in rights]
        found += [
            Breach("account", own.service, own.account, ("SAME ACCOUNT",), other.service)
            for other in others
            if (other.server, other.account) == (own.server, own.account)
        ]
        return merged(found)

    async def attempt(self, own: Home, other: Home) -> list[Breach]:
        found = await self._attempt(own, other)
        for role in self._roles:
            await self._run(f"SET ROLE {_quoted(role)}")
            found += await self._attempt(own, other)
        if self._roles:
            await self._run("SET ROLE NONE")
        database, grantee = other.namespace, _grantee(own)
        rows = await self._run(_IN_DATABASE, database, grantee, database, grantee, database, grantee, database)
        return merged(
            [*found, *(Breach(kind, own.service, what, (right,), other.service) for kind, what, right in rows)]
        )

    async def _attempt(self, own: Home, other: Home) -> list[Breach]:
        database = _quoted(other.namespace)
        found = []
        if await self._may(f"USE {database}"):
            await self._run(f"USE {_quoted(own.namespace)}")
            found.append(Breach("namespace", own.service, other.namespace, ("USE",), other.service))
        if await self._may(f"DROP TABLE {database}.freehold_probe_{secrets.token_hex(6)}"):
            found.append(Breach("namespace", own.service, other.namespace, ("DROP",), other.service))
        for table, column in other.tables.items():
            names = {"table": f"{database}.{_quoted(table)}", "column": _quoted(column)}
            rights = [right for right, sql in _TRIED.items() if await self._may(sql.format(**names))]
            if rights:
                found.append(Breach("table", own.service, f"{other.namespace}.{table}", tuple(rights), other.service))
        return found

    async def _may(self, statement: str) -> bool:
        """Whether it is allowed. It is rolled back, if it can be."""
        allowed = True
        try:
            await self._driver.query(statement)
        except Error as error:
            if code(error) in UNREACHABLE or not code(error):
                raise
            allowed = code(error) not in _UNDECIDED
        await self._driver.query("ROLLBACK")
        return allowed

    async def _run(self, statement: str, *values: object) -> Sequence[Any]:
        async with self._driver.cursor() as cursor:
            await cursor.execute(statement, values)
            return await cursor.fetchall() if cursor.description else ()


def _grantee(home: Home) -> str:
    user, _, host = home.account.rpartition("@")
    return f"'{user}'@'{host}'"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
