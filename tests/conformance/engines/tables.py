"""The tables that the engines' suite runs on."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, column
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold.model.columns import (
    ExactDecimal,
    Inet,
    JsonDocument,
    Money,
    Point,
    Portable,
    RawJson,
    TimeOfDay,
    Timestamp,
)
from freehold.model.ids import uuid7
from freehold.model.soft_refs import soft_ref


class Base(Portable, DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Counter(Base):
    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=0)


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID | None] = soft_ref("auth.users.id", on_missing="nullify")
    total: Mapped[Money]
    at: Mapped[Timestamp | None]
    starts: Mapped[TimeOfDay | None]
    document: Mapped[dict[str, Any] | None]
    tags: Mapped[list[str] | None]
    raw: Mapped[str | None] = mapped_column(RawJson())
    status: Mapped[Literal["open", "paid"]] = mapped_column(default="open")
    colour: Mapped[Colour | None]
    address: Mapped[str | None] = mapped_column(Inet())
    place: Mapped[Point | None]
    secret: Mapped[bytes | None]
    anything: Mapped[Any | None] = mapped_column(JsonDocument())

    __table_args__ = (
        CheckConstraint(column("total", ExactDecimal(12, 2)) >= Decimal("-1000.50"), name="total_in_bounds"),
    )


class Line(Base):
    __tablename__ = "lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"))
    price: Mapped[Money] = mapped_column()
    quantity: Mapped[int]
