"""Rules about events, queries and commands."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Change, Command, Event, Page, Portable, Query, Saga, Service, Step, System, Timestamp, Tx, View
from freehold.inspect import Violation, check


class OrderPlaced(Event, name="order.placed", topic="orders", key="order_id"):
    order_id: UUID
    at: Timestamp


class CopiedOrderPlaced(Event, name="order.placed", topic="orders", key="order_id"):
    order_id: UUID


class Info(BaseModel):
    total: int


class GetOrder(Query[Info], path="/internal/orders/{order_id}"):
    order_id: UUID


class ListOrders(Query[Page[Info]], path="/internal/orders"):
    cursor: str | None = None
    limit: int = 100


class Ship(Command, name="order.ship", key="order_id"):
    order_id: UUID


class Base(Portable, DeclarativeBase):
    pass


class OrderCard(Base):
    __tablename__ = "order_cards"
    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    version_at: Mapped[Timestamp]


def only(*services: Service) -> Violation:
    found = check(System("shop", services))
    assert len(found) == 1, [str(violation) for violation in found]
    return found[0]


def clean(*services: Service) -> bool:
    return check(System("shop", services)) == []


def listener(event: type[Event]) -> Service:
    mail = Service("mail")

    @mail.on(event)
    async def send(event: Any, tx: Tx) -> None: ...

    return mail


def test_a_handler_waits_for_an_event_that_nobody_publishes() -> None:
    found = only(Service("orders"), listener(OrderPlaced))

    assert (found.code, found.where) == ("FH030", "mail.send")
    assert "order.placed" in found.message
    assert found.line == listener.__code__.co_firstlineno + 3
    assert clean(Service("orders", publishes=[OrderPlaced]), listener(OrderPlaced))


def test_a_view_is_kept_from_an_event_that_nobody_publishes() -> None:
    view = View("order_cards", table=OrderCard, key="order_id", rebuild=ListOrders)

    @view.on(OrderPlaced)
    def placed(event: OrderPlaced) -> Change:
        return Change({"order_id": event.order_id}, event.at)

    mail, orders = Service("mail", tables=Base), Service("orders", publishes=[OrderPlaced])
    mail.view(view)

    @orders.answers(ListOrders)
    async def list_orders(query: ListOrders, tx: Tx) -> Page[Info]:
        return Page(data=[])

    silent = Service("orders")
    silent.answered.update(orders.answered)
    found = only(silent, mail)

    assert (found.code, found.where) == ("FH030", "mail view order_cards")
    assert clean(orders, mail)


def test_an_event_is_published_by_two_services() -> None:
    found = only(Service("orders", publishes=[OrderPlaced]), Service("sales", publishes=[OrderPlaced]))

    assert (found.code, found.where) == ("FH031", "event order.placed")
    assert "orders and sales" in found.message


def test_an_event_is_declared_again_instead_of_imported() -> None:
    found = only(Service("orders", publishes=[OrderPlaced]), listener(CopiedOrderPlaced))

    assert (found.code, found.where) == ("FH032", "mail: order.placed")
    assert "CopiedOrderPlaced" in found.message


def answering(name: str) -> Service:
    service = Service(name)

    @service.answers(GetOrder)
    async def get_order(query: GetOrder, tx: Tx) -> Info:
        return Info(total=1)

    return service


def test_a_query_is_asked_that_nobody_answers() -> None:
    found = only(Service("orders"), Service("mail", asks=[GetOrder]))

    assert (found.code, found.where) == ("FH040", "service mail")
    assert "GetOrder" in found.message
    assert clean(answering("orders"), Service("mail", asks=[GetOrder]))


def test_a_query_is_answered_by_two_services() -> None:
    found = only(answering("orders"), answering("sales"))

    assert (found.code, found.where) == ("FH041", "query GetOrder")
    assert "orders and sales" in found.message


def carrying_out(name: str) -> Service:
    service = Service(name)

    @service.handles(Ship)
    async def ship(command: Ship, tx: Tx) -> None: ...

    return service


def shipping() -> Service:
    orders = Service("orders", publishes=[OrderPlaced])
    orders.saga(
        Saga(
            "shipping",
            key="order_id",
            starts_on=OrderPlaced,
            steps=[Step("ship", do=Ship, ok=OrderPlaced, undo=Ship, timeout="1m")],
        )
    )
    return orders


def test_a_saga_sends_a_command_that_nobody_carries_out() -> None:
    found = check(System("shop", [shipping(), Service("vans")]))

    assert {(violation.code, violation.where) for violation in found} == {
        ("FH050", "orders saga shipping, step 'ship'")
    }
    assert clean(shipping(), carrying_out("vans"))


def test_a_command_has_two_handlers() -> None:
    found = only(carrying_out("vans"), carrying_out("bikes"))

    assert (found.code, found.where) == ("FH051", "command order.ship")
    assert "vans.ship and by bikes.ship" in found.message
