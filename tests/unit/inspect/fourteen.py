"""A system of fourteen services with long names, made by rule: what diagrams must have room for."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import (
    Command,
    Event,
    Money,
    Portable,
    Query,
    Saga,
    Service,
    Step,
    System,
    Timestamp,
    Tx,
    internal,
    soft_ref,
)

NAMES = (
    "auth", "organisations", "catalogue", "inventory", "pricing", "carts", "orders", "payments", "shipments", "returns",
    "notifications", "recommendations", "reviews", "administration",
)  # fmt: skip
TABLES = ("records", "record_lines", "change_requests", "long_lived_directory_entries")
HAPPENED = ("created", "updated", "archived_by_administrator")


class Answer(BaseModel):
    name: str


def fourteen() -> System:
    """Each service has four tables and three events; it refers to, listens to and asks those before it."""
    bases = [_base(name, index) for index, name in enumerate(NAMES)]
    events = [[_event(name, what) for what in HAPPENED] for name in NAMES]
    queries = [_query(name) for name in NAMES]
    commands = [_command(name) for name in NAMES]
    services = []
    for index, name in enumerate(NAMES):
        asked = [queries[other] for other in sorted(_before(index))]
        service = Service(name, tables=bases[index], publishes=events[index], asks=asked)
        heard = [events[other][index % 3] for other in sorted(_before(index) | {(index + 5) % 14})]
        service.on(*heard, name="listen")(_listen)
        service.answers(queries[index], access=internal)(_answer)
        service.handles(commands[index], name="carry_out")(_listen)
        services.append(service)
    for number in (6, 9):
        steps = [
            Step(
                f"reserve at {NAMES[other]}",
                do=commands[other],
                ok=events[other][0],
                fail=events[other][2],
                undo=commands[other] if at < 4 else None,
                undone=events[other][1] if at % 2 else None,
                timeout="45s",
                retries=at,
                critical=at != 3,
            )
            for at, other in enumerate((3, 4, 7, 8, 10))
        ]
        services[number].saga(Saga(f"{NAMES[number]}_saga", key="id", starts_on=events[number][0], steps=steps))
    return System("fourteen", services=services, title="Fourteen services")


def _before(index: int) -> set[int]:
    return {other for other in (0, 1, index // 3, index // 2) if other < index}


def _base(name: str, index: int) -> type[DeclarativeBase]:
    base: Any = type(f"{name.title()}Base", (Portable, DeclarativeBase), {"__module__": __name__})
    for place, table in enumerate(TABLES):
        columns: dict[str, Any] = {
            "__module__": __name__,
            "__tablename__": f"{name}_{table}",
            "__annotations__": {
                "id": Mapped[UUID],
                "title": Mapped[str],
                "amount": Mapped[Money],
                "at": Mapped[Timestamp],
            },
            "id": mapped_column(primary_key=True),
            "title": mapped_column(String(200)),
        }
        if place:
            columns["parent_id"] = mapped_column(ForeignKey(f"{name}_{TABLES[0]}.id"))
            columns["__annotations__"]["parent_id"] = Mapped[UUID]
        for other in sorted(_before(index)):
            if (other + place) % 2:
                columns[f"{NAMES[other]}_id"] = soft_ref(f"{NAMES[other]}.{NAMES[other]}_{TABLES[place]}.id")
                columns["__annotations__"][f"{NAMES[other]}_id"] = Mapped[UUID | None]
        type(f"{name.title()}{place}", (base,), columns)
    found: type[DeclarativeBase] = base
    return found


def _event(name: str, what: str) -> type[Event]:
    class Happened(Event, name=f"{name}.{what}", topic=name, key="id"):
        id: UUID
        amount: Money

    return Happened


def _command(name: str) -> type[Command]:
    class Do(Command, name=f"{name}.reserve_for_order", key="id"):
        id: UUID

    return Do


def _query(name: str) -> type[Query[Answer]]:
    title = f"GetFrom{name.title()}"
    made: type[Query[Answer]] = type(Query)(
        title,
        (Query[Answer],),
        {"__module__": __name__, "__annotations__": {"id": UUID}},
        path=f"/internal/{name}/{{id}}",
    )
    return made


async def _listen(event: Any, tx: Tx) -> None:
    """What is done does not matter here."""


async def _answer(query: Any, tx: Tx) -> Answer:
    return Answer(name="")


system = fourteen()
