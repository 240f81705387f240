"""Three services that ask each other and tell each other, small enough to be started as processes in every test."""

from __future__ import annotations

import os
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import (
    Event,
    Gateway,
    Portable,
    Query,
    Service,
    System,
    TokenIssuer,
    Tx,
    User,
    internal,
    public,
    soft_ref,
    user,
    uuid7,
)


class Weight(BaseModel):
    grams: int


class GetWeight(Query[Weight], path="/internal/weights/{item}", timeout=20):
    item: int


class ParcelSent(Event, name="parcel.sent", topic="parcels", key="item"):
    parcel_id: UUID
    item: int


class DepotBase(DeclarativeBase, Portable):
    pass


class Parcel(DepotBase):
    __tablename__ = "parcels"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    sender_id: Mapped[UUID] = soft_ref("gate.guests.id")
    item: Mapped[int]
    grams: Mapped[int]


class ScaleBase(DeclarativeBase, Portable):
    pass


class Weighed(ScaleBase):
    __tablename__ = "weighed"

    parcel_id: Mapped[UUID] = soft_ref("depot.parcels.id", primary_key=True)
    process: Mapped[int]


class GateBase(DeclarativeBase, Portable):
    pass


class Guest(GateBase):
    __tablename__ = "guests"

    id: Mapped[UUID] = mapped_column(primary_key=True)


class Passport(BaseModel):
    token: str


class Wish(BaseModel):
    item: int


class Sent(BaseModel):
    id: UUID
    grams: int
    process: int


gate = Service("gate", tables=GateBase)
depot = Service("depot", tables=DepotBase, publishes=[ParcelSent], asks=[GetWeight])
scale = Service("scale", tables=ScaleBase)


@gate.post("/guests", access=public, status_code=201)
async def enter(tx: Tx) -> Passport:
    guest = Guest(id=uuid7())
    tx.add(guest)
    return Passport(token=tx.use(TokenIssuer).issue(User(guest.id, None, frozenset(), frozenset(), None)))


@depot.post("/parcels", access=user, status_code=201)
async def send(body: Wish, tx: Tx, caller: User) -> Sent:
    weight = await tx.ask(GetWeight(item=body.item))
    parcel = Parcel(id=uuid7(), sender_id=caller.id, item=body.item, grams=weight.grams)
    tx.add(parcel)
    tx.publish(ParcelSent(parcel_id=parcel.id, item=body.item))
    return Sent(id=parcel.id, grams=weight.grams, process=os.getpid())


@scale.answers(GetWeight, access=internal)
async def weigh(query: GetWeight, tx: Tx) -> Weight:
    return Weight(grams=100 * query.item)


@scale.on(ParcelSent)
async def note(event: ParcelSent, tx: Tx) -> None:
    tx.add(Weighed(parcel_id=event.parcel_id, process=os.getpid()))


class Count(BaseModel):
    weighed: int
    processes: int


@scale.get("/weighed", access=public)
async def count(tx: Tx) -> Count:
    wanted = select(func.count(), func.count(Weighed.process.distinct()))
    weighed, processes = (await (await tx.connection()).execute(wanted)).one()
    return Count(weighed=weighed, processes=processes)


@scale.every(seconds=1)
async def dust(tx: Tx) -> None:
    """A job, so that processes meet at its row."""


system = System("parcels", services=[gate, depot, scale], auth="gate", gateway=Gateway(prefix="/api"))
