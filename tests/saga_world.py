"""A shop whose checkout is a saga, a warehouse that carries its commands out, and a test that decides what travels when."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from pydantic import BaseModel
from sqlalchemy import delete, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold.model.columns import Portable
from freehold.model.envelope import Envelope
from freehold.model.ids import uuid7
from freehold.model.messages import Command, Event
from freehold.model.ports import Engine
from freehold.model.problem import Problem
from freehold.model.saga import Saga, Step
from freehold.model.service import Service
from freehold.model.system import System
from freehold.runtime.consume import Subscriber
from freehold.runtime.context import Context
from freehold.runtime.host import Host
from freehold.runtime.saga_store import SagaView
from freehold.runtime.transaction import Tx


class OrderPlaced(Event, name="order.placed", topic="orders", key="order_id"):
    order_id: UUID
    item: str


class StockReserved(Event, name="stock.reserved", topic="stock", key="order_id"):
    order_id: UUID
    shelf: str = "A1"


class StockRejected(Event, name="stock.rejected", topic="stock", key="order_id"):
    order_id: UUID


class StockReleased(Event, name="stock.released", topic="stock", key="order_id"):
    order_id: UUID


class CardCharged(Event, name="card.charged", topic="cards", key="order_id"):
    order_id: UUID


class CardDeclined(Event, name="card.declined", topic="cards", key="order_id"):
    order_id: UUID


class GiftAdded(Event, name="gift.added", topic="gifts", key="order_id"):
    order_id: UUID


class GiftMissing(Event, name="gift.missing", topic="gifts", key="order_id"):
    order_id: UUID


class Approved(Event, name="order.approved", topic="approvals", key="order_id"):
    order_id: UUID


class Denied(Event, name="order.denied", topic="approvals", key="order_id"):
    order_id: UUID


class ReserveStock(Command, name="stock.reserve", key="order_id"):
    order_id: UUID
    item: str


class ReleaseStock(Command, name="stock.release", key="order_id"):
    order_id: UUID


class ChargeCard(Command, name="card.charge", key="order_id"):
    order_id: UUID


class RefundCard(Command, name="card.refund", key="order_id"):
    order_id: UUID


class AddGift(Command, name="gift.add", key="order_id"):
    order_id: UUID


class RemoveGift(Command, name="gift.remove", key="order_id"):
    order_id: UUID


class Checkout(BaseModel):
    order_id: UUID
    item: str
    shelf: str | None = None
    confirmations: int = 0


@dataclass
class Mood:
    """What the warehouse refuses, how often it says everything, and what goes wrong in the shop's local steps."""

    refuses: set[str] = field(default_factory=set)
    repeats: int = 1
    confirm: list[Exception] = field(default_factory=list)
    unconfirm: list[Exception] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)


class ShopTables(Portable, DeclarativeBase):
    pass


class Confirmation(ShopTables):
    __tablename__ = "confirmations"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID]


class WarehouseTables(Portable, DeclarativeBase):
    pass


class Effect(WarehouseTables):
    __tablename__ = "effects"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID]
    what: Mapped[str]


async def confirm(data: Checkout, tx: Tx, mood: Mood) -> Checkout:
    mood.calls["confirm"] += 1
    tx.add(Confirmation(order_id=data.order_id))
    if mood.confirm:
        raise mood.confirm.pop(0)
    return data.model_copy(update={"confirmations": data.confirmations + 1})


async def unconfirm(data: Checkout, tx: Tx, mood: Mood) -> None:
    mood.calls["unconfirm"] += 1
    await tx.execute(delete(Confirmation).where(Confirmation.order_id == data.order_id))
    if mood.unconfirm:
        raise mood.unconfirm.pop(0)


RESERVE = Step(
    "reserve",
    do=ReserveStock,
    ok=StockReserved,
    fail=StockRejected,
    undo=ReleaseStock,
    undone=StockReleased,
    timeout="30s",
)
CHARGE = Step("charge", do=ChargeCard, ok=CardCharged, fail=CardDeclined, undo=RefundCard, timeout="30s", retries=1)
GIFT = Step("gift", do=AddGift, ok=GiftAdded, fail=GiftMissing, undo=RemoveGift, timeout="30s", critical=False)
CONFIRM = Step("confirm", do=confirm, undo=unconfirm, retries=2)
APPROVE = Step("approve", ok=Approved, fail=Denied, timeout="1h")


def checkout(*steps: Step, version: int = 1, former: tuple[Saga, ...] = (), deadline: str | None = None) -> Saga:
    return Saga(
        "checkout", key="order_id", starts_on=OrderPlaced, data=Checkout, steps=steps, version=version, former=former,
        deadline=deadline,
    )  # fmt: skip


warehouse = Service(
    "warehouse",
    tables=WarehouseTables,
    publishes=[StockReserved, StockRejected, StockReleased, CardCharged, CardDeclined, GiftAdded, GiftMissing],
)


async def carry_out(what: str, ok: type[Event], fail: type[Event], order_id: UUID, tx: Tx, mood: Mood) -> None:
    mood.calls[what] += 1
    refused = what in mood.refuses
    if not refused:
        tx.add(Effect(order_id=order_id, what=what))
    for _ in range(mood.repeats):
        tx.publish((fail if refused else ok).model_validate({"order_id": order_id}))


async def take_back(what: str, undo: str, order_id: UUID, tx: Tx, mood: Mood) -> None:
    mood.calls[undo] += 1
    await tx.execute(delete(Effect).where(Effect.order_id == order_id, Effect.what == what))


@warehouse.handles(ReserveStock)
async def reserve(command: ReserveStock, tx: Tx, mood: Mood) -> None:
    await carry_out("reserve", StockReserved, StockRejected, command.order_id, tx, mood)


@warehouse.handles(ReleaseStock)
async def release(command: ReleaseStock, tx: Tx, mood: Mood) -> None:
    await take_back("reserve", "release", command.order_id, tx, mood)
    for _ in range(mood.repeats):
        tx.publish(StockReleased(order_id=command.order_id))


@warehouse.handles(ChargeCard)
async def charge(command: ChargeCard, tx: Tx, mood: Mood) -> None:
    await carry_out("charge", CardCharged, CardDeclined, command.order_id, tx, mood)


@warehouse.handles(RefundCard)
async def refund(command: RefundCard, tx: Tx, mood: Mood) -> None:
    await take_back("charge", "refund", command.order_id, tx, mood)


@warehouse.handles(AddGift)
async def add_gift(command: AddGift, tx: Tx, mood: Mood) -> None:
    await carry_out("gift", GiftAdded, GiftMissing, command.order_id, tx, mood)


@warehouse.handles(RemoveGift)
async def remove_gift(command: RemoveGift, tx: Tx, mood: Mood) -> None:
    await take_back("gift", "ungift", command.order_id, tx, mood)


class Hands:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 5, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class World:
    """The two services on their databases; nothing travels and no time passes unless the test says so."""

    def __init__(self, shop: Engine, depot: Engine, *steps: Step, deadline: str | None = None) -> None:
        self.saga = checkout(*steps, deadline=deadline)
        self.clock = Hands()
        self.mood = Mood()
        self.shop_engine = shop
        self.shop = self.start_shop(self.saga)
        self.depot = Host(
            System("world", services=[warehouse]), warehouse, depot, clock=self.clock, given={Mood: self.mood}
        )
        self.order_id = uuid4()
        self._seen: set[UUID] = set()

    def start_shop(self, saga: Saga, engine: Engine | None = None) -> Host:
        """Another process of the shop, or the same one after a restart."""
        service = Service("shop", tables=ShopTables, publishes=[OrderPlaced])
        service.saga(saga)
        return Host(
            System("world", services=[service, warehouse]),
            service,
            engine or self.shop_engine,
            clock=self.clock,
            given={Mood: self.mood},
        )

    async def create(self) -> World:
        await self.shop.create_tables()
        await self.depot.create_tables()
        return self

    def event(self, kind: type[Event] = OrderPlaced, **values: str) -> Envelope:
        """An event from elsewhere, about the order."""
        spec = kind.__message__
        message = kind.model_validate({"order_id": self.order_id, "item": "teapot", **values})
        return Envelope(
            uuid7(), spec.name, spec.version, "elsewhere", spec.topic, message.key, self.clock.now(),
            message.model_dump_json(),
        )  # fmt: skip

    async def sent(self, host: Host) -> list[Envelope]:
        """What a service has put into its outbox so far, in order."""
        async with host.engine.read() as connection:
            rows = (await connection.execute(select(host.tables.outbox).order_by(host.tables.outbox.c.seq))).all()
        return [
            Envelope(
                row.event_id, row.event_type, row.version, host.service.name, row.topic, row.partition_key,
                row.created_at, row.payload, row.headers, row.seq,
            )
            for row in rows
        ]  # fmt: skip

    async def sent_names(self) -> list[str]:
        return [envelope.type for envelope in await self.sent(self.shop)]

    async def deliver(self, envelope: Envelope) -> None:
        """Hand a message to whoever handles it, as the consumer group does."""
        for host in (self.shop, self.depot):
            for handler in (*host.service.handlers, *host.sagas.handlers()):
                if any(message.__message__.name == envelope.type for message in handler.messages):
                    async with host.work(Context(cause=envelope)).transaction() as tx:
                        await Subscriber(host, handler).handle([envelope], tx)
        self._seen.add(envelope.event_id)

    async def pending(self) -> list[Envelope]:
        """What was sent and not yet delivered."""
        return [e for e in [*await self.sent(self.shop), *await self.sent(self.depot)] if e.event_id not in self._seen]

    async def settle(self) -> None:
        """Deliver everything, in order, and let the shop do what is due, until nothing is left to do."""
        while await self.shop.sagas.run_due() or await self.pending():
            for envelope in await self.pending():
                await self.deliver(envelope)

    async def place(self) -> None:
        await self.deliver(self.event())

    def later(self, seconds: float) -> None:
        self.clock.time += timedelta(seconds=seconds)

    async def instance(self) -> SagaView:
        async with self.shop.work().transaction(readonly=True) as tx:
            found = await self.shop.sagas.find(tx, self.saga, self.order_id)
        assert found is not None
        return found

    async def status(self) -> str:
        return (await self.instance()).status

    async def history(self) -> list[str]:
        saga_id = (await self.instance()).id
        async with self.shop.work().transaction(readonly=True) as tx:
            lines = await self.shop.sagas.history(tx, saga_id)
        return [f"{line.step}: {line.what}" if line.step else line.what for line in lines]

    async def effects(self) -> Counter[str]:
        """Every effect of the order that stands, wherever it is."""
        async with self.depot.work().transaction(readonly=True) as tx:
            found = Counter(await tx.scalars(select(Effect.what).where(Effect.order_id == self.order_id)))
        async with self.shop.work().transaction(readonly=True) as tx:
            rows = (await tx.scalars(select(Confirmation).where(Confirmation.order_id == self.order_id))).all()
        if rows:
            found["confirm"] = len(rows)
        return found


def refusal(*, keep: bool = False) -> Problem:
    return Problem(409, "NOT_CONFIRMABLE", "the order has expired", keep=keep)
