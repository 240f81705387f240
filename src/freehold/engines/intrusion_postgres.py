"""Another's tables on a PostgreSQL server, seen with a service's own role."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import URL, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from freehold.engines import postgres as postgres_engine
from freehold.engines.base import causes
from freehold.engines.intrusion import NOT_THERE, Breach, Home, Refused, merged
from freehold.engines.prepared import driver_of

_CONNECT_SECONDS = 10
_REFUSED = ("28", "42501", "3D000", "08P01")
"""Who one is, no right to connect, no such database; the last is what PgBouncer says of whom it does not know."""
_UNDECIDED = ("42501", "42P01", "3F000", "55P03")
"""Denied; the table or its schema is gone by now; somebody holds a lock on it, and the catalogue has to tell."""
_BEGIN = "BEGIN; SET LOCAL lock_timeout = '500ms'; "

_TRIED = {
    "SELECT": "SELECT 1 FROM {table} LIMIT 0",
    "INSERT": "INSERT INTO {table} SELECT WHERE false",
    "UPDATE": "UPDATE {table} SET {column} = DEFAULT WHERE false",
    "DELETE": "DELETE FROM {table} WHERE false",
    "ALTER": f"ALTER TABLE {{table}} ALTER COLUMN {NOT_THERE} DROP DEFAULT",
}

_HOME = """
SELECT pg_postmaster_start_time()::text AS server, current_database() AS database, current_schema() AS namespace,
    current_user AS account
"""
_TABLES = """
SELECT c.relname, quote_ident(min(a.attname)) AS a_column
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p')
GROUP BY c.relname ORDER BY c.relname
"""
# `me` is whatever role this one can become by SET ROLE, though it inherits nothing.
_IN_NAMESPACE = """
SELECT DISTINCT held.kind, held.what, held.granted
FROM (SELECT oid FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')) me,
    (SELECT oid, nspname, nspowner FROM pg_namespace WHERE nspname = $1) ns, LATERAL (
    SELECT 'namespace' AS kind, ns.nspname::text AS what, granted FROM (VALUES
        ('USAGE', has_schema_privilege(me.oid, ns.oid, 'USAGE')),
        ('CREATE', has_schema_privilege(me.oid, ns.oid, 'CREATE')),
        ('OWNERSHIP', me.oid = ns.nspowner)) AS of_schema(granted, has) WHERE has
    UNION ALL
    SELECT 'table', ns.nspname || '.' || c.relname, granted FROM pg_class c, LATERAL (VALUES
        ('SELECT', has_any_column_privilege(me.oid, c.oid, 'SELECT')),
        ('INSERT', has_any_column_privilege(me.oid, c.oid, 'INSERT')),
        ('UPDATE', has_any_column_privilege(me.oid, c.oid, 'UPDATE')),
        ('DELETE', has_table_privilege(me.oid, c.oid, 'DELETE')),
        ('TRUNCATE', has_table_privilege(me.oid, c.oid, 'TRUNCATE')),
        ('REFERENCES', has_any_column_privilege(me.oid, c.oid, 'REFERENCES')),
        ('TRIGGER', has_table_privilege(me.oid, c.oid, 'TRIGGER')),
        ('ALTER', me.oid = c.relowner),
        ('DROP', me.oid IN (c.relowner, ns.nspowner))) AS of_table(granted, has)
    WHERE c.relnamespace = ns.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has
    UNION ALL
    SELECT 'table', ns.nspname || '.' || c.relname, granted FROM pg_class c, LATERAL (VALUES
        ('SELECT', has_sequence_privilege(me.oid, c.oid, 'SELECT')),
        ('USAGE', has_sequence_privilege(me.oid, c.oid, 'USAGE')),
        ('UPDATE', has_sequence_privilege(me.oid, c.oid, 'UPDATE'))) AS of_sequence(granted, has)
    WHERE c.relnamespace = ns.oid AND c.relkind = 'S' AND has
) AS held
ORDER BY held.what
"""
_DATABASE = """
SELECT DISTINCT granted
FROM (SELECT oid FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')) me, pg_database d, LATERAL (VALUES
    ('CREATE', has_database_privilege(me.oid, d.oid, 'CREATE')), ('OWNERSHIP', me.oid = d.datdba))
    AS rights(granted, has)
WHERE d.datname = current_database() AND has
"""
_ATTRIBUTES = """
SELECT r.rolname, r.rolname = current_user AS own, granted FROM pg_roles r, LATERAL (VALUES
    ('SUPERUSER', r.rolsuper), ('CREATEDB', r.rolcreatedb), ('CREATEROLE', r.rolcreaterole),
    ('REPLICATION', r.rolreplication), ('BYPASSRLS', r.rolbypassrls),
    ('MEMBERSHIP', r.rolname = ANY ($1) OR r.rolname LIKE 'pg\\_%' AND r.rolname <> 'pg_database_owner'))
    AS rights(granted, has)
WHERE has AND pg_has_role(current_user, r.oid, 'MEMBER')
    AND (r.rolname = current_user OR NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))
ORDER BY r.rolname <> current_user, r.rolname
"""


@asynccontextmanager
async def enter(url: URL) -> AsyncGenerator[PostgresSession, None]:
    """A connection of this address's role, nothing kept on it between transactions, so that PgBouncer may be between.

    Raises Refused, and the driver's errors for a server that cannot be reached.
    """
    engine = create_async_engine(
        postgres_engine.apart(url)[0].set(drivername=postgres_engine.DRIVER),
        connect_args={"timeout": _CONNECT_SECONDS, "statement_cache_size": 0},
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )
    try:
        connection = await engine.connect()
    except Exception as error:
        if any((getattr(each, "sqlstate", None) or "").startswith(_REFUSED) for each in causes(error)):
            raise Refused(str(error)) from error
        raise
    try:
        yield PostgresSession(driver_of(connection))
    finally:
        await connection.close()
        await engine.dispose()


class PostgresSession:
    """Tries in transactions of their own."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    async def look(self, service: str, url: URL) -> Home:
        [home] = await self._fetch(_HOME)
        namespace = home["namespace"] or ""
        tables = await self._fetch(_TABLES, _quoted(namespace)) if namespace else []
        return Home(
            service,
            url,
            f"postgresql {home['server']}",
            home["database"],
            namespace,
            home["account"],
            {row["relname"]: row["a_column"] for row in tables},
        )

    async def account(self, own: Home, others: Sequence[Home]) -> list[Breach]:
        owners = {home.account: home.service for home in others if home.server == own.server}
        found = []
        for name, is_own, right in await self._fetch(_ATTRIBUTES, list(owners)):
            if is_own and right == "MEMBERSHIP":
                right = "SAME ACCOUNT"  # noqa: PLW2901
            found.append(Breach("account", own.service, name, (right,), owners.get(name, "")))
        if any(home.server == own.server and home.database == own.database for home in others):
            found += await self._shared_rooms(own)
        return merged(found)

    async def _shared_rooms(self, own: Home) -> list[Breach]:
        """What belongs to no service, in a database of several."""
        rights = await self._fetch(_DATABASE)
        found = [Breach("namespace", own.service, own.database, (right,)) for (right,) in rights]
        if own.namespace != "public" and await self._may_create("public"):
            found.append(Breach("namespace", own.service, "public", ("CREATE",)))
        return found

    async def attempt(self, own: Home, other: Home) -> list[Breach]:
        schema = _quoted(other.namespace)
        found = []
        if await self._may_create(schema):
            found.append(Breach("namespace", own.service, other.namespace, ("CREATE",), other.service))
        for table, column in other.tables.items():
            name = f"{schema}.{_quoted(table)}"
            rights = [right for right, sql in _TRIED.items() if await self._may(sql.format(table=name, column=column))]
            if rights:
                found.append(Breach("table", own.service, f"{other.namespace}.{table}", tuple(rights), other.service))
        return merged([*found, *await self._granted(own, other)])

    async def _granted(self, own: Home, other: Home) -> list[Breach]:
        rows = await self._fetch(_IN_NAMESPACE, other.namespace)
        return [Breach(kind, own.service, what, (right,), other.service) for kind, what, right in rows]

    async def _may_create(self, schema: str) -> bool:
        return await self._may(f"CREATE TABLE {schema}.freehold_probe_{secrets.token_hex(6)} ()")

    async def _may(self, statement: str) -> bool:
        """Whether it is allowed. It is rolled back."""
        allowed = True
        try:
            await self._driver.execute(_BEGIN + statement)
        except asyncpg.PostgresError as error:
            if not self._driver.is_in_transaction():
                raise
            allowed = error.sqlstate not in _UNDECIDED
        await self._driver.execute("ROLLBACK")
        return allowed

    async def _fetch(self, query: str, *values: Any) -> list[Any]:
        async with self._driver.transaction(readonly=True):
            await self._driver.execute("SET LOCAL jit = off")  # compiling costs more than the query
            return list(await self._driver.fetch(query, *values))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
