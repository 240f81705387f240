"""A service that leaves a row for everything it does, for the tests of jobs and of the toolkit's upkeep."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Event, Portable, Service, System
from freehold.model.ports import Clock
from freehold.runtime.host import Host
from tests.databases import Databases


class Noted(Event, name="note.made", topic="notes", key="page"):
    page: str
    number: int


class Base(Portable, DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    text: Mapped[str]


def ledger() -> Service:
    return Service("ledger", tables=Base, publishes=[Noted])


async def process(databases: Databases, service: Service, clock: Clock) -> Host:
    """One more process that runs the service."""
    host = Host(System("books", [service]), service, await databases.open(service.name), clock=clock)
    await host.create_tables()
    return host


async def notes(host: Host) -> list[str]:
    async with host.engine.read() as connection:
        return list((await connection.scalars(select(Note.text).order_by(Note.id))).all())
