"""One service's tables as three versions of it declare them, and the history that leads from one to the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Money, Portable, Service, Timestamp

INITIAL = '''"""Initial."""

import sqlalchemy as sa
from alembic.operations import Operations

import freehold


def upgrade(op: Operations) -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("total", freehold.ExactDecimal(12, 2), nullable=False),
        sa.Column("status", sa.Enum("open", "paid", name="status", native_enum=False, create_constraint=True, length=32),
                  nullable=False),
        sa.Column("placed_at", freehold.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
    )
    op.create_index("ix_orders_status", "orders", ["status"])
    op.create_index("uq_orders_open", "orders", ["placed_at"], unique=True,
                    postgresql_where=sa.text("status = 'open'"), sqlite_where=sa.text("status = 'open'"))
    op.create_table(
        "order_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_lines")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_lines_order_id"), ondelete="CASCADE"),
    )
'''
EXPAND = '''"""Orders cost satang."""

import sqlalchemy as sa
from alembic.operations import Operations

import freehold


def upgrade(op: Operations) -> None:
    op.add_column("orders", sa.Column("satang", sa.Integer(), nullable=True))
    op.add_column("orders", sa.Column("note", sa.Text(), nullable=True))
    op.execute("UPDATE orders SET note = COALESCE(note, '') || 'x'")
    op.create_index("ix_orders_satang", "orders", ["satang"])
    op.alter_column("orders", "total", existing_type=freehold.ExactDecimal(12, 2), nullable=True)
'''
CONTRACT = '''"""Orders have no total."""

from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    op.drop_column("orders", "total")
'''
FILES = {"0001_initial.py": INITIAL, "0002_satang.py": EXPAND, "0003_no_total.py": CONTRACT}


def write_history(folder: Path, *, until: int) -> None:
    """The first so many revisions, as a version of the service has them beside it."""
    folder.mkdir(exist_ok=True)
    for name in sorted(FILES)[:until]:
        (folder / name).write_text(FILES[name])


def declared(version: int) -> tuple[Service, type[Any]]:
    """The service and its class of orders: 1 has a total, 2 has satang beside it, 3 has satang alone."""

    class Base(Portable, DeclarativeBase):
        pass

    class Order(Base):
        __tablename__ = "orders"
        id: Mapped[UUID] = mapped_column(primary_key=True)
        status: Mapped[Literal["open", "paid"]] = mapped_column(index=True)
        placed_at: Mapped[Timestamp | None]
        if version == 1:
            total: Mapped[Money]
        if version == 2:
            total: Mapped[Money | None]
        if version > 1:
            satang: Mapped[int | None] = mapped_column(index=True)
            note: Mapped[str | None] = mapped_column(Text)

    class Line(Base):
        __tablename__ = "order_lines"
        id: Mapped[int] = mapped_column(primary_key=True)
        order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))

    open_ones = Order.status == "open"
    Index("uq_orders_open", Order.placed_at, unique=True, postgresql_where=open_ones, sqlite_where=open_ones)
    return Service("orders", tables=Base), Order
