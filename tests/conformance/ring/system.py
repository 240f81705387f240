"""Fourteen services in a ring: each asks the next while it holds a connection of its own, and tells it afterwards."""

# No `from __future__ import annotations`: handlers are annotated with classes that a function makes.
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Event, Gateway, Portable, Query, Service, System, Tx, internal, public, uuid7

NUMBER = 14
NAMES = [f"s{number:02}" for number in range(1, NUMBER + 1)]


class Counted(BaseModel):
    visits: int


def _messages(name: str) -> tuple[type[Any], type[Any]]:
    class Count(Query[Counted], path=f"/internal/{name}/count", timeout=20):
        pass

    class Visited(Event, name=f"{name}.visited", topic=name, key="visit_id"):
        visit_id: UUID

    return Count, Visited


MESSAGES = {name: _messages(name) for name in NAMES}


def _service(name: str, following: str, before: str) -> Service:
    class Base(DeclarativeBase, Portable):
        pass

    class Visit(Base):
        __tablename__ = "visits"
        id: Mapped[UUID] = mapped_column(primary_key=True)
        from_before: Mapped[bool]

    Count, Visited = MESSAGES[name]
    CountNext = MESSAGES[following][0]
    VisitedBefore = MESSAGES[before][1]
    service = Service(name, tables=Base, publishes=[Visited], asks=[CountNext])

    async def counted(tx: Tx) -> int:
        return int(await tx.scalar(select(func.count()).select_from(Visit)))

    @service.answers(Count, access=internal)
    async def count(query: Count, tx: Tx) -> Counted:  # type: ignore[valid-type]
        return Counted(visits=await counted(tx))

    @service.post(f"/{name}/visits", access=public, status_code=201)
    async def visit(tx: Tx) -> Counted:
        await counted(tx)  # from here on it holds a connection
        there = await tx.ask(CountNext())
        visit_id = uuid7()
        tx.add(Visit(id=visit_id, from_before=False))
        tx.publish(Visited(visit_id=visit_id))
        return Counted(visits=there.visits)

    @service.on(VisitedBefore)
    async def visited(event: VisitedBefore, tx: Tx) -> None:  # type: ignore[valid-type]
        await counted(tx)
        await tx.ask(CountNext(), after_write=True)
        tx.add(Visit(id=uuid7(), from_before=True))

    @service.get(f"/{name}/visits", access=public)
    async def visits(tx: Tx) -> Counted:
        return Counted(visits=await counted(tx))

    return service


system = System(
    "ring",
    services=[_service(name, NAMES[(i + 1) % NUMBER], NAMES[i - 1]) for i, name in enumerate(NAMES)],
    gateway=Gateway(prefix="/api"),
)
