"""The rows of sagas: an instance that is held, changed and put back within one transaction, and what operators read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Row, func, insert, select, update

from freehold.model.saga import FINAL, Saga
from freehold.runtime.host import Host
from freehold.runtime.saga_machine import Effect, Happening, Move, Note, SagaMachine, State
from freehold.runtime.transaction import Tx

UNFINISHED = ("running", "compensating", "needs_attention")


@dataclass(slots=True)
class Instance:
    """An instance as a transaction holds it."""

    id: UUID
    machine: SagaMachine
    state: State
    data: BaseModel
    headers: Mapping[str, str]
    deadline: datetime | None
    begun_at: datetime

    def decide(self, happened: Happening, now: datetime) -> Move | None:
        """What follows, given what is left of the saga's own deadline."""
        limit = self.machine.saga.limit
        left = None if limit is None else self.begun_at + limit - now
        return self.machine.decide(self.state, happened, left)


@dataclass(frozen=True, slots=True)
class SagaView:
    """An instance as it is shown. `step` counts from 0; `deadline_at` is when it goes on by itself."""

    id: UUID
    saga: str
    version: int
    key: str
    status: str
    step: int
    step_name: str
    attempt: int
    data: dict[str, Any]
    error: str | None
    deadline_at: datetime | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Transition:
    """A line of an instance's history."""

    at: datetime
    step: str | None
    what: str
    detail: str | None


class SagaStore:
    """Reads and writes `saga_instances` and `saga_transitions` of one service."""

    def __init__(self, host: Host, machines: Mapping[tuple[str, int], SagaMachine]) -> None:
        self._host = host
        self._machines = machines
        self._table = host.tables.sagas
        self._history = host.tables.saga_transitions

    async def insert(self, tx: Tx, instance: Instance, key: str) -> bool:
        """Put a new instance there; False when its key has one already."""
        saga, now = instance.machine.saga, tx.now()
        row = {
            "id": instance.id,
            "saga": saga.name,
            "version": saga.version,
            "saga_key": key,
            "headers": dict(instance.headers),
            "created_at": instance.begun_at,
            **self._columns(instance, now),
        }
        new = await tx.execute(self._host.engine.insert_new(self._table, [row], key=["saga", "saga_key"]))
        return new.first() is not None

    async def save(self, tx: Tx, instance: Instance, notes: Sequence[Note]) -> None:
        """Put the instance back and write its history on."""
        now = tx.now()
        changed = self._columns(instance, now)
        await tx.execute(update(self._table).where(self._table.c.id == instance.id).values(changed))
        if notes:
            rows = [{"saga_id": instance.id, "at": now, **_note(note)} for note in notes]
            await tx.execute(insert(self._history), rows)

    async def hold_by_key(self, tx: Tx, saga: Saga, key: str) -> Instance | None:
        """The saga's instance with this key, locked."""
        return await self._hold(tx, (self._table.c.saga == saga.name) & (self._table.c.saga_key == key))

    async def hold(self, tx: Tx, saga_id: UUID) -> Instance | None:
        """This instance, locked."""
        return await self._hold(tx, self._table.c.id == saga_id)

    async def hold_due(self, tx: Tx, saga_id: UUID) -> Instance | None:
        """This instance, locked; None when it is no longer due, or another process has it."""
        due = (self._table.c.id == saga_id) & (self._table.c.deadline_at <= tx.now())
        return await self._hold(tx, due, skip_locked=True)

    async def due(self, now: datetime, limit: int) -> list[tuple[UUID, dict[str, str]]]:
        """Instances whose deadline has passed, with their headers, the longest waiting first."""
        table = self._table
        overdue = select(table.c.id, table.c.headers).where(table.c.deadline_at <= now)
        async with self._host.engine.read() as connection:
            rows = await connection.execute(overdue.order_by(table.c.deadline_at).limit(limit))
            return [(row.id, row.headers) for row in rows]

    async def _hold(self, tx: Tx, which: ColumnElement[bool], *, skip_locked: bool = False) -> Instance | None:
        statement = select(self._table).where(which).with_for_update(skip_locked=skip_locked)
        row = (await tx.execute(statement)).one_or_none()
        return None if row is None else self._instance(row)

    def _instance(self, row: Row[Any]) -> Instance:
        machine = self._machines.get((row.saga, row.version))
        if machine is None:
            raise LookupError(
                f"saga {row.saga}: an instance runs on version {row.version}, which is not declared. "
                "Keep it in Saga(former=[…]) until its last instance has ended"
            )
        state = State(
            row.status, row.step, row.attempt, row.waits_for,
            tuple(Effect(*effect) for effect in row.effects), tuple(row.early), row.error,
        )  # fmt: skip
        data = machine.saga.data_type.model_validate_json(row.data)
        return Instance(row.id, machine, state, data, row.headers, row.deadline_at, row.created_at)

    @staticmethod
    def _columns(instance: Instance, now: datetime) -> dict[str, Any]:
        state = instance.state
        return {
            "status": state.status,
            "step": state.step,
            "attempt": state.attempt,
            "waits_for": state.waits_for,
            "effects": [astuple(effect) for effect in state.effects],
            "early": list(state.early),
            "error": state.error,
            "data": instance.data.model_dump_json(),
            "deadline_at": instance.deadline,
            "updated_at": now,
            "completed_at": now if state.status in FINAL else None,
        }

    # --- for people ---------------------------------------------------------------------------------------------------

    async def views(
        self, tx: Tx, *conditions: ColumnElement[bool], limit: int = 1, after: UUID | None = None
    ) -> list[SagaView]:
        """Instances that meet the conditions, newest first."""
        older = [self._table.c.id < after] if after is not None else []
        statement = select(self._table).where(*conditions, *older).order_by(self._table.c.id.desc()).limit(limit)
        return [self._view(row) for row in await tx.execute(statement)]

    def _view(self, row: Row[Any]) -> SagaView:
        machine = self._machines.get((row.saga, row.version))
        name = machine.saga.steps[row.step].name if machine is not None else ""
        return SagaView(
            row.id, row.saga, row.version, row.saga_key, row.status, row.step, name, row.attempt, json.loads(row.data),
            row.error, row.deadline_at, row.created_at, row.updated_at, row.completed_at,
        )  # fmt: skip

    async def history(self, tx: Tx, saga_id: UUID) -> list[Transition]:
        """What an instance went through, in order."""
        table = self._history
        statement = select(table).where(table.c.saga_id == saga_id).order_by(table.c.position)
        return [Transition(row.at, row.step, row.what, row.detail) for row in await tx.execute(statement)]

    async def unfinished(self, tx: Tx) -> dict[tuple[str, str], int]:
        """How many instances have not ended, by saga and status."""
        table = self._table
        statement = (
            select(table.c.saga, table.c.status, func.count().label("instances"))
            .where(table.c.status.in_(UNFINISHED))
            .group_by(table.c.saga, table.c.status)
        )
        return {(row.saga, row.status): row.instances for row in await tx.execute(statement)}


def moved(instance: Instance, move: Move, now: datetime) -> None:
    """Bring the instance to where the move leads."""
    instance.state = move.state
    if not move.keeps_deadline:
        instance.deadline = None if move.due_in is None else now + move.due_in


def _note(note: Note) -> dict[str, str | None]:
    return {"step": note.step, "what": note.what, "detail": note.detail}
