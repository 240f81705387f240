"""What orders hold: all of their lines or none, and whatever the ledger says has to follow."""

from __future__ import annotations

import logging
from uuid import UUID

from freehold import Tx
from systems.petpro.inventory.contract import (
    InventoryReservationConfirmed,
    InventoryReservationFailed,
    Shortage,
    StockLine,
)
from systems.petpro.inventory.declaration import inventory
from systems.petpro.inventory.rules import gives_back, hold_state, shortages, takes_out
from systems.petpro.inventory.stock import lock_stock, move_line, movements_of
from systems.petpro.inventory.tables import OrderHold
from systems.petpro.vendor.contract import InventoryReserved, OrderCancelled, OrderPaid

log = logging.getLogger(__name__)


@inventory.on(InventoryReserved)
async def reserve(event: InventoryReserved, tx: Tx) -> None:
    """Hold every line of the order or none. An order that was here before gets the answer that it got then."""
    lines = [StockLine.model_validate(item, from_attributes=True) for item in event.items]
    hold, known = await _hold_of(event.order_id, tx)
    if known:
        _answer(hold, tx)
        return
    hold.hold_until, hold.lines = event.hold_until, [line.model_dump(mode="json") for line in lines]
    if event.hold_until < tx.now():
        _reject(hold, "hold_expired", [], tx)
        return
    stock = await lock_stock({line.product_id for line in lines}, tx)
    short = shortages(lines, {product_id: row.quantity_available for product_id, row in stock.items()})
    if short:
        _reject(hold, "out_of_stock", short, tx)
        return
    for line in lines:
        move_line(stock[line.product_id], "reservation", line, event.order_id, tx)
    _answer(hold, tx)


@inventory.on(OrderPaid, OrderCancelled)
async def follow_order(event: OrderPaid | OrderCancelled, tx: Tx) -> None:
    """Take out what was paid; give back what was cancelled.

    One handler for both, since only a handler gets an order's events in order. Which movement a line needs is decided
    by its own ledger, so that what comes twice, or the wrong way round after a replay, does no harm.
    """
    hold, known = await _hold_of(event.order_id, tx)
    lines = [StockLine.model_validate(item, from_attributes=True) for item in event.items]
    if isinstance(event, OrderPaid) and not known:
        raise LookupError(f"order {event.order_id} was paid, and never held any stock here")
    if not known:
        hold.become("cancelled_early", tx.now())
    elif hold.state not in ("rejected", "cancelled_early"):
        await (_take_out if isinstance(event, OrderPaid) else _give_back)(hold, lines, tx)


async def _hold_of(order_id: UUID, tx: Tx) -> tuple[OrderHold, bool]:
    """The order's hold, locked, and whether it was there before; a new one holds until somebody says otherwise."""
    now = tx.now()
    row = {"order_id": order_id, "state": "reserved", "lines": [], "created_at": now, "updated_at": now}
    made = await tx.insert_new(OrderHold, [row], key=["order_id"])
    hold = await tx.get(OrderHold, order_id, lock=True)
    assert hold is not None  # noqa: S101 - it was there, or it is now
    return hold, not made


def _reject(hold: OrderHold, reason: str, short: list[Shortage], tx: Tx) -> None:
    hold.become("rejected", tx.now())
    hold.rejection = {"reason": reason, "shortages": [each.model_dump(mode="json") for each in short]}
    _answer(hold, tx)


def _answer(hold: OrderHold, tx: Tx) -> None:
    """Say what became of the order's wish."""
    rejection = {"reason": "order_cancelled"} if hold.state == "cancelled_early" else hold.rejection
    if rejection is None:
        tx.publish(
            InventoryReservationConfirmed(order_id=hold.order_id, items=_lines(hold), reserved_at=hold.created_at)
        )
        return
    short = [Shortage.model_validate(each) for each in rejection.get("shortages", [])]
    tx.publish(
        InventoryReservationFailed(
            order_id=hold.order_id, reason=rejection["reason"], shortages=short, failed_at=tx.now()
        )
    )


def _lines(hold: OrderHold) -> list[StockLine]:
    return [StockLine.model_validate(line) for line in hold.lines]


async def _take_out(hold: OrderHold, lines: list[StockLine], tx: Tx) -> None:
    done = await movements_of(lines, tx)
    stock = await lock_stock({line.product_id for line in lines}, tx)
    for line in lines:
        if takes_out(done[line.order_item_id]):
            move_line(stock[line.product_id], "stock_out", line, hold.order_id, tx)
    await _settle(hold, tx)


async def _give_back(hold: OrderHold, lines: list[StockLine], tx: Tx) -> None:
    done = await movements_of(lines, tx)
    stock = await lock_stock({line.product_id for line in lines}, tx)
    for line in lines:
        kind = gives_back(done[line.order_item_id])
        if kind is not None:
            move_line(stock[line.product_id], kind, line, hold.order_id, tx)
        elif not done[line.order_item_id]:
            log.warning("order %s: line %s was cancelled, and never held any stock", hold.order_id, line.order_item_id)
    await _settle(hold, tx)


async def _settle(hold: OrderHold, tx: Tx) -> None:
    """The hold stands where its lines do."""
    lines = _lines(hold)
    await tx.flush()
    done = await movements_of(lines, tx)
    hold.become(hold_state([done[line.order_item_id] for line in lines]), tx.now())
