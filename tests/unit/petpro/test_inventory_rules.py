"""The arithmetic of stock."""

from __future__ import annotations

from typing import get_args
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from systems.petpro.inventory.contract import MovementType, Shortage, StockLine
from systems.petpro.inventory.rules import (
    Level,
    after,
    availability_of,
    gives_back,
    hold_state,
    level_of,
    shortages,
    signed,
    takes_out,
)

KINDS: tuple[MovementType, ...] = get_args(MovementType)


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(-50, 50))))
def test_whatever_is_booked_both_quantities_are_the_sums_of_the_ledger_and_never_below_zero(
    wishes: list[tuple[MovementType, int]],
) -> None:
    level, ledger = Level(), list[tuple[MovementType, int]]()
    for kind, quantity in wishes:
        try:
            level = after(level, kind, quantity)
        except ValueError:
            continue
        ledger.append((kind, quantity))
        assert min(level.available, level.reserved) >= 0
    sums = {kind: sum(q for k, q in ledger if k == kind) for kind in KINDS}
    assert level.available == sum(total for kind, total in sums.items() if kind != "stock_out")
    assert level.reserved == -(sums["reservation"] + sums["release"]) + sums["stock_out"]
    assert level == level_of(ledger) == level_of(sums.items())


def test_what_each_movement_does() -> None:
    start = Level(available=10, reserved=4)
    moved = {kind: after(start, kind, signed(kind, 3)) for kind in KINDS}
    assert moved == {
        "stock_in": Level(13, 4),
        "stock_out": Level(10, 1),
        "adjustment": Level(13, 4),
        "reservation": Level(7, 7),
        "release": Level(13, 1),
        "damaged": Level(7, 4),
        "returned": Level(13, 4),
    }
    assert after(start, "adjustment", -3) == Level(7, 4)


@pytest.mark.parametrize(
    ("kind", "quantity"),
    [("reservation", 1), ("release", -1), ("stock_in", -1), ("stock_out", 1), ("damaged", 1), ("adjustment", 0)],
)
def test_a_movement_of_the_wrong_sign_is_refused(kind: MovementType, quantity: int) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        after(Level(10, 10), kind, quantity)


@pytest.mark.parametrize(
    ("kind", "quantity"), [("reservation", -3), ("stock_out", -2), ("release", 2), ("damaged", -3)]
)
def test_more_than_there_is_is_refused(kind: MovementType, quantity: int) -> None:
    with pytest.raises(ValueError, match="there are only 2 free and 1 reserved"):
        after(Level(2, 1), kind, quantity)


# --- orders -----------------------------------------------------------------------------------------------------------


def line(product_id: UUID, quantity: int) -> StockLine:
    return StockLine(order_item_id=uuid4(), product_id=product_id, quantity=quantity)


def test_lines_of_one_product_share_what_there_is() -> None:
    food, toy = uuid4(), uuid4()
    lines = [line(food, 3), line(toy, 1), line(food, 3)]
    assert shortages(lines, {food: 6, toy: 1}) == []
    short = Shortage(order_item_id=lines[2].order_item_id, product_id=food, requested=3, available=2)
    assert shortages(lines, {food: 5, toy: 1}) == [short]
    assert [each.available for each in shortages(lines, {})] == [0, 0, 0]


@pytest.mark.parametrize(
    ("done", "pays", "cancels"),
    [
        (set(), False, None),
        ({"reservation"}, True, "release"),
        ({"reservation", "release"}, False, None),
        ({"reservation", "stock_out"}, False, "returned"),
        ({"reservation", "stock_out", "returned"}, False, None),
    ],
)
def test_a_lines_own_movements_decide(done: set[MovementType], pays: bool, cancels: str | None) -> None:
    assert takes_out(done) is pays
    assert gives_back(done) == cancels


def test_a_hold_stands_where_its_lines_do() -> None:
    held: set[MovementType] = {"reservation"}
    sold: set[MovementType] = {"reservation", "stock_out"}
    back: set[MovementType] = {"reservation", "stock_out", "returned"}
    freed: set[MovementType] = {"reservation", "release"}
    assert hold_state([held, held]) == "reserved"
    assert hold_state([sold, back]) == "committed"
    assert hold_state([back, back]) == "returned"
    assert hold_state([freed, freed]) == "released"


def test_how_stock_is_called() -> None:
    assert availability_of(True, 0, 5) == "out_of_stock"
    assert availability_of(True, 5, 5) == "low_stock"
    assert availability_of(True, 6, 5) == "in_stock"
    assert availability_of(False, 6, 5) == "inactive"
