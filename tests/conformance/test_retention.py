"""Retention: what is finished goes in small steps; what is not, stays however old it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, event, select

from freehold import ConfigurationError, uuid7
from freehold.runtime.host import Host
from freehold.runtime.retention import Retention, RetentionSettings
from freehold.runtime.view_tables import ViewTables
from freehold.testing import ManualClock
from tests.conformance.ledger import ledger, process
from tests.conformance.zones import Base as ZoneBase
from tests.conformance.zones import zone_view
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("G5")

MESSAGE = {
    "event_type": "note.made",
    "version": 1,
    "topic": "notes",
    "partition_key": "a",
    "payload": "{}",
    "headers": {},
}


@pytest.fixture
async def host(databases: Databases) -> Host:
    service = ledger()
    service.tables = ZoneBase
    service.view(zone_view())
    return await process(databases, service, ManualClock())


def ago(host: Host, **parts: float) -> Any:
    return host.clock.now() - timedelta(**parts)


async def add(host: Host, table: Table, *rows: dict[str, Any]) -> None:
    async with host.engine.write() as connection:
        for row in rows:
            await connection.execute(table.insert().values(row))


async def left(host: Host, table: Table, column: str) -> list[Any]:
    async with host.engine.read() as connection:
        return sorted((await connection.scalars(select(table.c[column]))).all())


def outbox_row(host: Host, kept: str, **times: Any) -> dict[str, Any]:
    return {
        "event_id": uuid7(), "aggregate_type": "note", "aggregate_id": kept, **MESSAGE, "created_at": ago(host, days=400),
        **times,
    }  # fmt: skip


async def test_published_rows_go_pending_and_dead_ones_stay(host: Host) -> None:
    table = host.tables.outbox
    await add(
        host, table,
        outbox_row(host, "old", published_at=ago(host, days=8)), outbox_row(host, "recent", published_at=ago(host, days=6)),
        outbox_row(host, "pending"), outbox_row(host, "dead", dead_at=ago(host, days=300)),
    )  # fmt: skip
    assert (await Retention(host).run_due())[table.name] == 1
    assert await left(host, table, "aggregate_id") == ["dead", "pending", "recent"]


async def test_inbox_marks_outlive_redelivery(host: Host) -> None:
    table = host.tables.consumed
    await add(
        host, table,
        *({"event_id": UUID(int=1), "consumer_name": n, "consumed_at": ago(host, days=d)} for n, d in (("a", 31), ("b", 29))),
    )  # fmt: skip
    await Retention(host).run_due()
    assert await left(host, table, "consumer_name") == ["b"]


async def test_idempotency_records_go_when_they_expire(host: Host) -> None:
    table = host.tables.idempotency
    await add(
        host, table,
        *(
            {"scope": "s", "key": key, "fingerprint": "f", "created_at": ago(host, days=2), "expires_at": ago(host, hours=h)}
            for key, h in (("expired", 1), ("valid", -1))
        ),
    )  # fmt: skip
    await Retention(host).run_due()
    assert await left(host, table, "key") == ["valid"]


async def test_finished_sagas_go_with_their_history(host: Host) -> None:
    instances, transitions = host.tables.sagas, host.tables.saga_transitions
    old, new = ago(host, days=91), ago(host, days=89)
    states = [
        ("completed", old), ("compensated", old), ("completed", new), ("running", None), ("compensating", None),
        ("needs_attention", None), ("needs_attention", old),
    ]  # fmt: skip
    for number, (status, at) in enumerate(states):
        row = {
            "id": UUID(int=number), "saga": "s", "version": 1, "saga_key": str(number), "status": status, "step": 0,
            "attempt": 0, "data": "{}", "effects": [], "early": [], "headers": {}, "created_at": ago(host, days=400),
            "updated_at": ago(host, days=400), "completed_at": at,
        }  # fmt: skip
        await add(host, instances, row)
        entry = {"saga_id": UUID(int=number), "what": "started", "at": ago(host, days=400)}
        await add(host, transitions, *[entry] * 3)
    await Retention(host).run_due()
    assert await left(host, instances, "saga_key") == ["2", "3", "4", "5", "6"]
    assert set(await left(host, transitions, "saga_id")) == {UUID(int=n) for n in range(2, 7)}


async def test_resolved_dead_letters_go_dead_ones_stay(host: Host) -> None:
    table = host.tables.dead_letters
    for status, days in (("dead", None), ("replayed", 91), ("discarded", 91), ("replayed", 89)):
        resolved = None if days is None else ago(host, days=days)
        await add(
            host, table,
            {"id": uuid7(), "direction": "consume", "event_id": uuid7(), "source": "a", **MESSAGE, "retry_count": 5,
             "event_time": ago(host, days=400), "died_at": ago(host, days=400), "error": "e", "held": False,
             "status": status, "resolved_at": resolved},
        )  # fmt: skip
    await Retention(host).run_due()
    assert await left(host, table, "status") == ["dead", "replayed"]


async def test_what_a_view_remembers_goes(host: Host) -> None:
    table = ViewTables.of(host.service.views[0], host.tables.metadata).scopes
    for name, days in (("old", 31), ("new", 29)):
        await add(host, table, {"scope__id": name, "scope__versions": {}, "scope__at": ago(host, days=days)})
    await Retention(host).run_due()
    assert await left(host, table, "scope__id") == ["new"]


async def test_it_goes_in_steps_and_counts_nothing(host: Host) -> None:
    table, statements = host.tables.consumed, []
    row = {"consumer_name": "a", "consumed_at": ago(host, days=31)}
    await add(host, table, *({"event_id": UUID(int=n), **row} for n in range(25)))

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    engine: Any = host.engine
    for connections in (engine._writer, engine._reader):
        event.listen(connections.sync_engine, "before_cursor_execute", note)
    purged = await Retention(host, RetentionSettings(step=10, pause=0)).run_due()
    assert purged["consumed_events"] == 25
    assert sum("DELETE FROM consumed_events" in s for s in statements) == 3
    assert not [s for s in statements if "count(" in s.lower()]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"consumed": timedelta(days=1)}, "retention.consumed: is 1 day, 0:00:00, shorter than retention.published"),
        ({"sagas": timedelta()}, "retention.sagas: is not longer than nothing"),
        ({"step": 0}, "retention.step"),
    ],
)
def test_settings_that_would_break_a_guarantee_are_refused(settings: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        RetentionSettings(**settings)
