from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import (
    Change,
    Command,
    Event,
    Gateway,
    Money,
    Portable,
    Query,
    Saga,
    Service,
    Step,
    System,
    Timestamp,
    Tx,
    View,
    internal,
    owner,
    role,
    soft_ref,
    user,
)
from freehold.inspect import describe


class ProductRenamed(Event, name="product.renamed", topic="products", key="product_id"):
    product_id: UUID
    name: str
    at: Timestamp


class OrderPlaced(Event, name="order.placed", topic="orders", key="order_id", version=2):
    order_id: UUID
    total: Money
    note: str | None = None
    quantity: int = 1


class ShipOrder(Command, name="order.ship", key="order_id"):
    order_id: UUID


class Price(BaseModel):
    amount: Money


class GetPrice(Query[Price], path="/internal/prices/{product_id}", timeout=0.5):
    product_id: UUID


class ProductBase(Portable, DeclarativeBase):
    pass


class Product(ProductBase):
    __tablename__ = "products"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)


class OrderBase(Portable, DeclarativeBase):
    pass


class Order(OrderBase):
    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("total >= 0", name="total"),
        UniqueConstraint("product_id", "status"),
        Index("ix_open", text("total DESC")),
        Index("ux_total", "total", unique=True),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    product_id: Mapped[UUID] = soft_ref("products.products.id")
    before_id: Mapped[UUID | None] = mapped_column(ForeignKey("orders.id"))
    status: Mapped[Literal["new", "paid"]]
    total: Mapped[Money]


class ProductCard(OrderBase):
    __tablename__ = "product_cards"
    product_id: Mapped[UUID] = mapped_column(primary_key=True)
    version_at: Mapped[Timestamp]


def shop() -> System:
    products = Service("products", tables=ProductBase, publishes=[ProductRenamed])
    orders = Service(
        "orders",
        tables=OrderBase,
        database="order_data",
        publishes=[OrderPlaced],
        asks=[GetPrice],
        table_names={"outbox_events": "outbox"},
        description="Takes orders.",
    )
    cards = View("product_cards", table=ProductCard, key="product_id")

    @cards.on(ProductRenamed)
    def renamed(event: ProductRenamed) -> Change:
        return Change({"product_id": event.product_id}, event.at)

    orders.view(cards)

    @products.answers(GetPrice)
    async def get_price(query: GetPrice, tx: Tx) -> Price:
        return Price(amount=Decimal(1))

    @products.handles(ShipOrder)
    async def ship(command: ShipOrder, tx: Tx) -> None: ...

    @orders.post("/orders", access=user)
    async def place() -> None: ...

    @orders.get("/orders/{id}", access=owner(Order.product_id))
    async def one() -> None: ...

    @orders.get("/internal/orders", access=internal)
    async def every() -> None: ...

    @orders.get("/orders")
    async def open_to_nobody() -> None: ...

    @orders.every(minutes=1)
    async def expire_unpaid(tx: Tx) -> None: ...

    orders.resource(Order, "/admin/orders", read=role("admin", "clerk"), write=role("admin"), only=("list", "delete"))
    orders.saga(
        Saga(
            "shipping",
            key="order_id",
            starts_on=OrderPlaced,
            steps=[Step("ship", do=ShipOrder, ok=OrderPlaced, undo=undo_shipping, timeout="2m", critical=False)],
        )
    )
    return System("shop", services=[products, orders], gateway=Gateway(prefix="/api/v1"))


async def undo_shipping(data: OrderPlaced, tx: Tx) -> None: ...


def column(kind: str, **changes: Any) -> dict[str, Any]:
    usual = {"type": kind, "nullable": False, "primary_key": False, "soft_ref": None, "foreign_key": None}
    return usual | changes


def test_it_is_plain_json() -> None:
    assert json.loads(json.dumps(describe(shop()))) == describe(shop())


def test_tables() -> None:
    tables = describe(shop())["services"]["orders"]["tables"]

    assert tables["orders"] == {
        "columns": {
            "id": column("uuid", primary_key=True),
            "product_id": column("uuid", soft_ref="products.products.id"),
            "before_id": column("uuid", nullable=True, foreign_key="orders.orders.id"),
            "status": column("enum", values=["new", "paid"]),
            "total": column("decimal(12,2)"),
        },
        "unique": [["product_id", "status"], ["total"]],
        "indexes": [["product_id"], ["total DESC"]],
        "checks": ["total >= 0"],
    }
    assert list(tables) == ["orders", "product_cards"]


def test_unique_columns_count_as_unique() -> None:
    assert describe(shop())["services"]["products"]["tables"]["products"]["unique"] == [["name"]]


def test_a_service() -> None:
    orders = describe(shop())["services"]["orders"]

    assert {name: value for name, value in orders.items() if name not in ("tables", "framework_tables", "jobs")} == {
        "description": "Takes orders.",
        "database": "order_data",
        "publishes": ["order.placed"],
        "consumes": ["order.placed", "product.renamed"],
        "handles": [],
        "asks": ["products.GetPrice"],
        "answers": [],
        "sagas": ["shipping"],
        "routes": [
            {"method": "POST", "path": "/api/v1/orders", "access": "user"},
            {"method": "GET", "path": "/api/v1/orders/{id}", "access": "owner"},
            {"method": "GET", "path": "/internal/orders", "access": "internal"},
            {"method": "GET", "path": "/api/v1/orders", "access": None},
            {"method": "GET", "path": "/api/v1/admin/orders", "access": "role:admin,clerk"},
            {"method": "DELETE", "path": "/api/v1/admin/orders/{id}", "access": "role:admin"},
        ],
    }
    assert "outbox" in orders["framework_tables"]
    assert "outbox_events" not in orders["framework_tables"]
    assert "consumed_events" in orders["framework_tables"]


def test_jobs_with_the_toolkits_own() -> None:
    services = describe(shop())["services"]

    assert {"expire_unpaid", "outbox_relay", "saga_timeout_worker"} <= set(services["orders"]["jobs"])
    assert "saga_timeout_worker" not in services["products"]["jobs"]


def test_an_answered_query_is_a_route_and_a_query() -> None:
    described = describe(shop())

    assert {"method": "GET", "path": "/internal/prices/{product_id}", "access": "internal"} in described["services"][
        "products"
    ]["routes"]
    assert described["queries"] == {
        "products.GetPrice": {
            "method": "GET",
            "path": "/internal/prices/{product_id}",
            "timeout": 0.5,
            "idempotent": True,
            "fields": {"product_id": "uuid"},
            "answer": {"amount": "decimal(12,2)"},
            "asked_by": ["orders"],
        }
    }


def test_events_and_commands() -> None:
    described = describe(shop())

    assert described["events"] == {
        "order.placed": {
            "topic": "orders",
            "key": "order_id",
            "version": 2,
            "fields": {"order_id": "uuid", "total": "decimal(12,2)", "note": "string?", "quantity": "int?"},
        },
        "product.renamed": {
            "topic": "products",
            "key": "product_id",
            "version": 1,
            "fields": {"product_id": "uuid", "name": "string", "at": "timestamptz"},
        },
    }
    assert described["commands"] == {
        "order.ship": {
            "handler": "products",
            "topic": "commands.order",
            "key": "order_id",
            "version": 1,
            "fields": {"order_id": "uuid"},
        }
    }


def test_views_and_sagas() -> None:
    described = describe(shop())

    assert described["views"] == [
        {
            "name": "product_cards",
            "service": "orders",
            "table": "product_cards",
            "key": ["product_id"],
            "sources": ["product.renamed"],
            "rebuild": [],
            "one": None,
        }
    ]
    assert described["sagas"] == [
        {
            "name": "shipping",
            "service": "orders",
            "version": 1,
            "key": "order_id",
            "starts_on": "order.placed",
            "deadline": None,
            "steps": [
                {
                    "name": "ship",
                    "do": "order.ship",
                    "ok": "order.placed",
                    "fail": None,
                    "undo": "undo_shipping()",
                    "undone": None,
                    "timeout": 120.0,
                    "retries": 0,
                    "critical": False,
                }
            ],
        }
    ]


def test_a_query_that_nobody_answers_has_only_its_own_name() -> None:
    described = describe(System("shop", [Service("orders", asks=[GetPrice])]))

    assert described["services"]["orders"]["asks"] == ["GetPrice"]
    assert list(described["queries"]) == ["GetPrice"]


class Colour(Enum):
    RED = "red"


class Line(BaseModel):
    product_id: UUID
    parts: list[Line] = []


def test_every_kind_of_field_has_a_name() -> None:
    from freehold.inspect.shapes import fields
    from freehold.model.columns import Point, TimeOfDay

    class Everything(BaseModel):
        flag: bool
        rate: float
        plain: Decimal
        day: date
        at: TimeOfDay | None
        amount: Money | None
        colour: Colour
        kind: Literal["a"]
        data: dict[str, Any]
        anything: Any
        either: int | str | None
        ids: list[UUID]
        names: tuple[str, ...] = ()
        place: Point
        raw: bytes
        line: Line
        lines: list[Line]

    line = {"product_id": "uuid", "parts": "json[]?"}
    assert fields(Everything) == {
        "flag": "bool",
        "rate": "float",
        "plain": "decimal",
        "day": "date",
        "at": "timetz?",
        "amount": "decimal(12,2)?",
        "colour": "enum",
        "kind": "enum",
        "data": "json",
        "anything": "json",
        "either": "json?",
        "ids": "uuid[]",
        "names": "string[]?",
        "place": "point",
        "raw": "bytes",
        "line": line,
        "lines": [line],
    }
