"""Movements of stock: each a row of the ledger, a new level and an event, in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import select

from freehold import Tx
from systems.petpro.inventory.contract import MovementType, StockLine
from systems.petpro.inventory.rules import signed
from systems.petpro.inventory.tables import Stock, StockMovement

ORDER_ITEM = "order_item"


async def lock_stock(product_ids: Collection[UUID], tx: Tx) -> dict[UUID, Stock]:
    """The products' stock, locked in the order of their ids, so that two orders never wait for each other."""
    wanted = select(Stock).where(Stock.product_id.in_(product_ids)).order_by(Stock.product_id).with_for_update()
    return {stock.product_id: stock for stock in await tx.scalars(wanted.execution_options(populate_existing=True))}


def move(
    stock: Stock,
    kind: MovementType,
    quantity: int,
    tx: Tx,
    *,
    reference: tuple[str, str] | None = None,
    **details: Any,
) -> None:
    """Book a movement of locked stock.

    Args:
        quantity: signed as in the ledger.
        reference: the kind of thing that it was made for, and which one.
        details: whatever else the ledger is to keep.

    Raises ValueError when there are not so many units.
    """
    now = tx.now()
    changed = stock.move(kind, quantity, now)
    tx.add(
        StockMovement(
            product_id=stock.product_id,
            transaction_type=kind,
            quantity=quantity,
            reference_type=reference[0] if reference else None,
            reference_id=reference[1] if reference else None,
            details=details,
            created_at=now,
        )
    )
    tx.publish(changed)


def move_line(stock: Stock, kind: MovementType, line: StockLine, order_id: UUID, tx: Tx) -> None:
    """Book a movement of all units of an order's line."""
    reference = ORDER_ITEM, str(line.order_item_id)
    move(stock, kind, signed(kind, line.quantity), tx, reference=reference, order_id=str(order_id))


async def movements_of(lines: Collection[StockLine], tx: Tx) -> dict[UUID, set[MovementType]]:
    """Which movements each line of an order has had, by its id."""
    found: dict[UUID, set[MovementType]] = defaultdict(set)
    had = select(StockMovement.reference_id, StockMovement.transaction_type).where(
        StockMovement.reference_type == ORDER_ITEM,
        StockMovement.reference_id.in_([str(line.order_item_id) for line in lines]),
    )
    for reference_id, kind in await tx.execute(had):
        found[UUID(reference_id)].add(kind)
    return found
