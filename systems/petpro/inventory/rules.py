"""The arithmetic of stock, written once: what a movement does, and what has to follow from the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from systems.petpro.inventory.contract import HoldState, MovementType, Shortage, StockLine

Availability = Literal["in_stock", "low_stock", "out_of_stock", "inactive"]

_SIGN: Mapping[MovementType, Literal[-1, 0, 1]] = {
    "stock_in": 1, "returned": 1, "release": 1, "reservation": -1, "stock_out": -1, "damaged": -1, "adjustment": 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Level:
    """How many units are free to sell, and how many are held for unpaid orders."""

    available: int = 0
    reserved: int = 0


def signed(kind: MovementType, units: int) -> int:
    """So many units with the sign that the ledger has for the movement."""
    return -units if _SIGN[kind] < 0 else units


def shift(level: Level, kind: MovementType, quantity: int) -> Level:
    """The level, moved by a quantity with the sign that the ledger has, or by a sum of such quantities."""
    if kind == "stock_out":
        return Level(level.available, level.reserved + quantity)
    held = quantity if kind in ("reservation", "release") else 0
    return Level(level.available + quantity, level.reserved - held)


def after(level: Level, kind: MovementType, quantity: int) -> Level:
    """The level after one movement.

    Raises ValueError when the quantity has the wrong sign for it, or there are not so many units.
    """
    sign = _SIGN[kind]
    if quantity == 0 or sign * quantity < 0:
        raise ValueError(f"{kind}: {quantity} is no quantity for it")
    moved = shift(level, kind, quantity)
    if moved.available < 0 or moved.reserved < 0:
        raise ValueError(f"{kind} of {quantity}: there are only {level.available} free and {level.reserved} reserved")
    return moved


def level_of(movements: Iterable[tuple[MovementType, int]]) -> Level:
    """What the movements, or their sums by kind, add up to."""
    level = Level()
    for kind, quantity in movements:
        level = shift(level, kind, quantity)
    return level


def shortages(lines: Sequence[StockLine], free: Mapping[UUID, int]) -> list[Shortage]:
    """The lines that cannot be served when all are; `free` says how many units there are of each product."""
    left, short = dict(free), []
    for line in lines:
        there = left.get(line.product_id, 0)
        if line.quantity > there:
            short.append(
                Shortage(
                    order_item_id=line.order_item_id,
                    product_id=line.product_id,
                    requested=line.quantity,
                    available=there,
                )
            )
        else:
            left[line.product_id] = there - line.quantity
    return short


# --- an order's line, by its own movements ----------------------------------------------------------------------------

Done = Collection[MovementType]
"""The movements that an order's line has had."""


def takes_out(done: Done) -> bool:
    """Whether a payment takes the line out of the reserved units: not twice, and not when it was given back before."""
    return "reservation" in done and "stock_out" not in done and "release" not in done


def gives_back(done: Done) -> Literal["release", "returned"] | None:
    """How a cancellation gives the line's units back; None when there is nothing to give."""
    if "release" in done or "returned" in done or "reservation" not in done:
        return None
    return "returned" if "stock_out" in done else "release"


def hold_state(lines: Collection[Done]) -> HoldState:
    """Where an order's hold stands by the movements of its lines: as long as one is held or sold, so is the order."""
    if any(gives_back(done) == "release" for done in lines):
        return "reserved"
    if any(gives_back(done) == "returned" for done in lines):
        return "committed"
    return "returned" if any("returned" in done for done in lines) else "released"


def availability_of(is_active: bool, available: int, threshold: int) -> Availability:
    """How a product's stock is called."""
    if not is_active:
        return "inactive"
    if available == 0:
        return "out_of_stock"
    return "low_stock" if available <= threshold else "in_stock"
