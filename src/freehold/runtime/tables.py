"""The toolkit's own tables, one set in each service's database."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.types import TypeEngine

from freehold.model.columns import JsonDocument, RawJson, UtcDateTime

ID: TypeEngine[Any] = Uuid().with_variant(Uuid(native_uuid=False), "mysql", "mariadb")
"""With SQLAlchemy's own dialect for MariaDB, too, what the engine keeps: digits."""
LONG = BigInteger().with_variant(Integer, "sqlite")


class FrameworkTables:
    """Outbox, inbox and the rest, in a MetaData of their own beside the service's.

    Args:
        dialect: `sqlite`, `postgresql` or `mysql`.
        names: other names than the usual ones, by the usual name.
    """

    def __init__(self, dialect: str, names: Mapping[str, str] | None = None) -> None:
        self.metadata = MetaData()
        self._dialect = dialect
        self._names = names or {}
        self.outbox = self._outbox()
        self.delayed = self._table(
            "delayed_events", *self._sequence("position"), *self._message(), self._time("due_at", index=True)
        )
        self.consumed = self._table(
            "consumed_events",
            Column("event_id", ID, primary_key=True),
            Column("consumer_name", String(200), primary_key=True),
            self._time("consumed_at", index=True),
        )
        self.parked = self._parked()
        self.dead_letters = self._dead_letters()
        self.leases = self._table(
            "leases",
            Column("name", String(200), primary_key=True),
            Column("holder", String(200), nullable=False),
            Column("epoch", LONG, nullable=False),
            self._time("expires_at"),
        )
        self.jobs = self._table(
            "scheduled_jobs",
            Column("name", String(200), primary_key=True),
            self._time("next_run_at"),
            self._time("last_run_at", nullable=True),
            Column("last_error", Text),
        )
        self.idempotency = self._table(
            "idempotency_records",
            Column("scope", String(200), primary_key=True),
            Column("key", String(200), primary_key=True),
            Column("fingerprint", String(64), nullable=False),
            Column("status", Integer),
            Column("body", Text),
            self._time("created_at"),
            self._time("expires_at", index=True),
        )
        self.sagas = self._sagas()
        self.saga_transitions = self._table(
            "saga_transitions",
            *self._sequence("position"),
            Column("saga_id", ID, nullable=False, index=True),
            Column("step", String(200)),
            Column("what", String(50), nullable=False),
            Column("detail", Text),
            self._time("at"),
        )
        self.views = self._table(
            "view_states",
            Column("name", String(200), primary_key=True),
            Column("state", String(20), nullable=False),
            Column("generation", Integer, nullable=False),
            Column("cursor", Text),
            Column("rows_read", LONG, nullable=False),
            self._time("started_at", nullable=True),  # of the rebuild
            Column("scopes", JsonDocument, nullable=False),  # column sets that changes of many rows were found by
            self._time("newest_at", nullable=True),  # version of the newest change, and when it was applied
            self._time("applied_at", nullable=True),
            self._time("updated_at"),
        )
        self.flags = self._table(
            "feature_flags",
            Column("name", String(200), primary_key=True),
            Column("percent", Integer, nullable=False),
            Column("users", JsonDocument, nullable=False),
            self._time("updated_at"),
        )
        self.audit = self._table(
            "audit_logs",
            Column("id", ID, primary_key=True),
            self._time("at", index=True),
            Column("actor_id", Uuid),
            Column("tenant_id", Uuid),
            Column("action", String(100), nullable=False),
            Column("resource", String(100), nullable=False),
            Column("resource_id", String(100)),
            Column("before", JsonDocument),
            Column("after", JsonDocument),
            Column("request_id", String(200)),
        )

        self.versions = self._table(
            "schema_versions",
            Column("history", String(100), primary_key=True),  # the service's name, or freehold for these tables
            Column("revision", String(20), nullable=False),  # the last that is done; empty: none
            Column("steps_done", Integer),  # of the one after it; NULL while a fresh database is being made
            self._time("changed_at"),
        )

    @classmethod
    def of(cls, dialect: str, names: Mapping[str, str]) -> FrameworkTables:
        """The one set of these names, which all share who only read it: to declare so many tables takes a while."""
        return _shared(dialect, tuple(sorted(names.items())))

    def _table(self, name: str, *columns: Column[object] | Index | UniqueConstraint) -> Table:
        return Table(self._names.get(name, name), self.metadata, *columns)

    @staticmethod
    def _time(name: str, *, nullable: bool = False, index: bool = False) -> Column[object]:
        return Column(name, UtcDateTime(), nullable=nullable, index=index)

    @staticmethod
    def _sequence(name: str) -> tuple[Column[object], ...]:
        return (Column(name, LONG, Identity(), primary_key=True),)

    def _message(self) -> tuple[Column[object], ...]:
        """What every table that keeps a message for later has."""
        return (
            Column("event_type", String(200), nullable=False),
            Column("version", Integer, nullable=False),
            Column("topic", String(200), nullable=False),
            Column("partition_key", String(255), nullable=False),
            Column("payload", RawJson, nullable=False),
            Column("headers", JsonDocument, nullable=False),
        )

    def _outbox(self) -> Table:
        # SQLite numbers rows by itself only in an integer primary key, MySQL keeps a table in the order of its primary
        # key, which is how the relay reads: there the two keys change places.
        if self._dialect in ("sqlite", "mysql"):
            keys = (*self._sequence("seq"), Column("event_id", ID, nullable=False, unique=True))
        else:
            keys = (
                Column("event_id", ID, primary_key=True),
                Column("seq", LONG, Identity(), nullable=False),
            )
        table = self._table(
            "outbox_events",
            *keys,
            Column("aggregate_type", String(100), nullable=False),
            Column("aggregate_id", String(255), nullable=False),
            *self._message(),
            self._time("created_at"),
            self._time("published_at", nullable=True),
            Column("retry_count", Integer, nullable=False, server_default="0"),
            Column("last_error", Text),
            self._time("dead_at", nullable=True),
        )
        if self._dialect == "mysql":  # which has no index on a part of the rows; this one serves both uses
            Index(f"ix_{table.name}_pending", table.c.published_at, table.c.dead_at, table.c.seq)
            return table
        pending = text("published_at IS NULL AND dead_at IS NULL")
        Index(f"ix_{table.name}_pending", table.c.seq, postgresql_where=pending, sqlite_where=pending)
        done = text("published_at IS NOT NULL")
        Index(f"ix_{table.name}_published", table.c.published_at, postgresql_where=done, sqlite_where=done)
        return table

    def _parked(self) -> Table:
        table = self._table(
            "parked_events",
            *self._sequence("position"),
            Column("consumer_name", String(200), nullable=False),
            Column("event_id", ID, nullable=False),
            Column("source", String(100), nullable=False),
            *self._message(),
            self._time("event_time"),
            self._time("parked_at"),
            Column("retry_count", Integer, nullable=False, server_default="0"),
            self._time("next_attempt_at", nullable=True, index=True),  # NULL: waits behind an earlier one of its key
            Column("last_error", Text),
            UniqueConstraint("consumer_name", "event_id"),
        )
        Index(f"ix_{table.name}_key", table.c.consumer_name, table.c.partition_key, table.c.position)
        return table

    def _dead_letters(self) -> Table:
        return self._table(
            "dead_letters",
            Column("id", ID, primary_key=True),
            Column("direction", String(10), nullable=False),  # publish | consume
            Column("consumer_name", String(200)),
            Column("event_id", ID, nullable=False, index=True),
            Column("source", String(100), nullable=False),
            *self._message(),
            self._time("event_time"),
            self._time("died_at", index=True),
            Column("retry_count", Integer, nullable=False),
            Column("error", Text, nullable=False),
            Column("held", Boolean, nullable=False),  # later events of its key wait for it
            Column("status", String(10), nullable=False, index=True),  # dead | replayed | discarded
            self._time("resolved_at", nullable=True),
            Column("resolved_by", String(200)),
        )

    def _sagas(self) -> Table:
        return self._table(
            "saga_instances",
            Column("id", ID, primary_key=True),
            Column("saga", String(200), nullable=False),
            Column("version", Integer, nullable=False),
            Column("saga_key", String(255), nullable=False),
            Column("status", String(20), nullable=False, index=True),
            Column("step", Integer, nullable=False),
            Column("attempt", Integer, nullable=False),
            Column("data", RawJson, nullable=False),
            Column("waits_for", String(10)),  # turn | answer; NULL: for nobody
            Column("effects", JsonDocument, nullable=False),  # [step, attempt, certain] of what can be undone, in order
            Column("early", JsonDocument, nullable=False),  # names of signals that came before their step
            Column("headers", JsonDocument, nullable=False),
            Column("error", Text),
            self._time("deadline_at", nullable=True, index=True),
            self._time("created_at"),
            self._time("updated_at"),
            self._time("completed_at", nullable=True, index=True),
            UniqueConstraint("saga", "saga_key"),
        )


@cache
def _shared(dialect: str, names: tuple[tuple[str, str], ...]) -> FrameworkTables:
    return FrameworkTables(dialect, dict(names))
