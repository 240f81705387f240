"""A small service that sells seats: one hot row for each zone, a row and an event for each hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold.model.columns import Portable
from freehold.model.messages import Event
from freehold.model.ports import Engine
from freehold.model.problem import Problem
from freehold.model.service import Service
from freehold.model.system import System
from freehold.runtime.host import Host
from freehold.runtime.once import Once, fingerprint
from freehold.runtime.transaction import Tx
from tests.databases import Databases


class Base(Portable, DeclarativeBase):
    pass


class Zone(Base):
    __tablename__ = "zones"
    name: Mapped[str] = mapped_column(primary_key=True)
    free: Mapped[int]


class Hold(Base):
    __tablename__ = "holds"
    label: Mapped[str] = mapped_column(primary_key=True)
    zone: Mapped[str]
    position: Mapped[int]


class SeatHeld(Event, name="seat.held", topic="seats", key="zone"):
    zone: str
    label: str


class Reserve(BaseModel):
    zone: str
    label: str
    seats: int = 1


class Reserved(BaseModel):
    label: str
    position: int


seats = Service("seats", tables=Base, publishes=[SeatHeld])
system = System("hall", [seats])
batches: list[list[str]] = []
"""The labels of each batch that the function was called with, in this test."""


@seats.coalesced(key=lambda call: call.zone, max_batch=64)
async def reserve(calls: Sequence[Reserve], tx: Tx) -> Sequence[Reserved | Exception]:
    """A label is a caller's wish.

    `raise…` raises, `keep…` raises a Problem that keeps, `odd…` is answered with an error, `drop…` makes it answer one
    call too few.
    """
    batches.append([call.label for call in calls])
    connection = await tx.connection()
    mine = Zone.name == calls[0].zone
    free = (await connection.execute(select(Zone.free).where(mine).with_for_update())).scalar_one()
    answers: list[Reserved | Exception] = []
    holds: list[dict[str, Any]] = []
    for call in calls:
        if call.label.startswith("raise"):
            raise Problem(418, "RAISED", call.label) if "problem" in call.label else ValueError(call.label)
        if call.label.startswith("odd"):
            answers.append(ValueError(call.label))
            continue
        if call.seats > free:
            answers.append(Problem(409, "INSUFFICIENT_SEATS", f"{free} are left", left=free))
            continue
        free -= call.seats
        holds.append({"label": call.label, "zone": call.zone, "position": free})
        answers.append(Reserved(label=call.label, position=free))
        tx.publish(SeatHeld(zone=call.zone, label=call.label))
    if holds:
        await connection.execute(insert(Hold), holds)
        await connection.execute(update(Zone).where(mine).values(free=free))
    if any(call.label.startswith("keep") for call in calls):
        raise Problem(410, "KEPT", "what was done stays", keep=True)
    return answers[1:] if any(call.label.startswith("drop") for call in calls) else answers


class TestClock:
    """A clock that moves when it is told to."""

    __test__ = False

    def __init__(self) -> None:
        self.time = datetime(2030, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def advance(self, **by: float) -> None:
        self.time += timedelta(**by)


class Hall:
    """Hosts of the seats service on one database: two of them stand for two processes."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self.clock = TestClock()

    async def host(self, **zones: int) -> Host:
        engine: Engine = await self._databases.open("seats")
        host = Host(system, seats, engine, clock=self.clock)
        await host.create_tables()
        for name, free in zones.items():
            async with host.work().transaction() as tx:
                tx.add(Zone(name=name, free=free))
        return host


async def state(host: Host, zone: str) -> tuple[int, int, int]:
    """(free seats, holds, events) of a zone."""
    async with host.work().transaction(readonly=True) as tx:
        free = await tx.scalar(select(Zone.free).where(Zone.name == zone))
        holds = await tx.scalar(select(func.count()).select_from(Hold).where(Hold.zone == zone))
        outbox = host.tables.outbox
        events = await tx.scalar(select(func.count()).select_from(outbox).where(outbox.c.partition_key == zone))
    return free, holds, events


async def records(host: Host) -> list[Any]:
    """The idempotency records, by key."""
    table = host.tables.idempotency
    async with host.engine.read() as connection:
        return list((await connection.execute(select(table).order_by(table.c.key))).all())


def once(key: str, body: Any = b"", *, scope: str = "alice") -> Once:
    """The key of a request to reserve."""
    text = body.model_dump_json().encode() if isinstance(body, BaseModel) else body
    return Once(scope, key, fingerprint("POST", "/reserve", text), 201)
