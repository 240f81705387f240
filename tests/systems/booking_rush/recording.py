"""What a run of Booking Rush leaves to be compared with another: its answers, and every row of every service."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Table, select

from freehold import System
from freehold.model.ports import Engine
from freehold.runtime.tables import FrameworkTables

BESIDE = {"date", "server"}
"""Headers of the web server, not of the system."""
NOT_COMPARED = {"leases"}
"""Who works just now, and until which second."""
SEQUENCES = {
    "outbox_events": ("seq", "partition_key"),
    "parked_events": ("position", "partition_key"),
    "saga_transitions": ("position", "saga_id"),
}
"""Numbers that databases give: they order the rows of a key or of a saga, and mean nothing beyond."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One request, and what came back."""

    request: str
    status: int
    headers: dict[str, str]
    body: Any

    @classmethod
    def of(cls, request: str, answer: httpx.Response) -> Answer:
        kept = {name: value for name, value in answer.headers.items() if name not in BESIDE}
        is_json = "json" in answer.headers.get("content-type", "")
        return cls(request, answer.status_code, dict(sorted(kept.items())), answer.json() if is_json else answer.text)


@dataclass
class Recording:
    """A run.

    Args:
        answers: in order.
        rows: of each `service.table`, as JSON values; events are the rows of `outbox_events`.
    """

    answers: list[Answer] = field(default_factory=list)
    rows: dict[str, list[Row]] = field(default_factory=dict)


async def rows_of(system: System, engines: Mapping[str, Engine]) -> dict[str, list[Row]]:
    """Every row of every table: the services' own, and the toolkit's in each."""
    found = {}
    for service in system.services:
        engine = engines[service.name]
        framework = FrameworkTables(engine.dialect, service.table_names).metadata
        for table in (*service.metadata.sorted_tables, *framework.sorted_tables):
            if table.name not in NOT_COMPARED:
                found[f"{service.name}.{table.name}"] = await _rows(engine, table)
    return found


async def _rows(engine: Engine, table: Table) -> list[Row]:
    sequence, group = SEQUENCES.get(table.name, ("", ""))
    query = select(table).order_by(table.c[sequence]) if sequence else select(table)
    async with engine.read() as connection:
        rows = [dict(row) for row in (await connection.execute(query)).mappings()]
    if sequence:
        _number(rows, sequence, group)
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _number(rows: Sequence[Row], sequence: str, group: str) -> None:
    """From 1 within each group."""
    counted: dict[Any, int] = {}
    for row in rows:
        row[sequence] = counted[row[group]] = counted.get(row[group], 0) + 1


def _plain(value: Any) -> Any:
    """As JSON, with everything that would tell two values apart: digits behind the point, offsets, types."""
    match value:
        case Enum():
            return _plain(value.value)
        case datetime():
            assert value.tzinfo is not None, "a time without an offset"
            return f"time {value.astimezone(UTC).isoformat()}"
        case date() | time() | UUID():
            return f"{type(value).__name__.lower()} {value}"
        case Decimal():
            return f"decimal {value}"
        case bytes():
            return f"bytes {value.hex()}"
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case None | bool() | int() | float() | str():
            return _parsed(value) if isinstance(value, str) else value
        case _:
            return repr(value)


def _parsed(text: str) -> Any:
    """JSON that is kept as text, so that a difference within is found there."""
    if text[:1] not in ("{", "["):
        return text
    try:
        return {"json": json.loads(text)}
    except ValueError:
        return text
