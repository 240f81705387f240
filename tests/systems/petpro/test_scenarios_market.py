"""The acceptance scenarios of the marketplace, numbered as in the specification."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from freehold import uuid7
from systems.petpro.inventory.contract import InventoryReservationConfirmed, InventoryReservationFailed
from systems.petpro.inventory.rules import Level
from systems.petpro.vendor.contract import InventoryReserved, OrderCancelled, OrderPaid, PayoutCompleted
from tests.databases import Databases
from tests.systems.petpro.market_stage import Market, open_market


@pytest.fixture
async def market(databases: Databases, tmp_path: Path) -> AsyncIterator[Market]:
    async with open_market(databases, tmp_path) as opened:
        yield opened


async def test_11_marketplace_order(market: Market) -> None:
    a, b, customer = await market.shop("10.00"), await market.shop("12.50"), await market.customer()
    first, second = await market.listed(a, "85000.00"), await market.listed(b, "42500.00")
    order_id = await market.placed(customer, (first, 2), (second, 3))
    order = await market.order_row(order_id)
    assert (order.total_amount, order.reservation_state) == (Decimal("330225.00"), "reserved")
    assert await market.stock(first) == Level(available=8, reserved=2)
    assert await market.stock(second) == Level(available=7, reserved=3)

    assert (await market.notice(order_id)).status_code == 200
    await market.go_on()
    order = await market.order_row(order_id)
    assert (order.status, order.reservation_state) == ("processing", "committed")
    assert await market.stock(first) == Level(available=8, reserved=0)
    assert await market.stock(second) == Level(available=7, reserved=0)
    assert await market.ledger(second) == [("stock_in", 10), ("reservation", -3), ("stock_out", -3)]

    for shop in (a, b):
        await market.progress(shop, order_id, "shipped")
        await market.progress(shop, order_id, "delivered")
    assert (await market.order_row(order_id)).status == "delivered"

    await market.wait(days=8)
    owed = {a.vendor_id: 153000.00, b.vendor_id: 111562.50}
    made = await market.payouts()
    amounts = [(payout["vendorId"], payout["amount"]) for payout in made["created"]]
    assert sorted(amount for amount in amounts if amount[0] in owed) == sorted(owed.items())
    assert made["total"] == sum(amount for _, amount in amounts)
    assert owed.keys().isdisjoint(payout["vendorId"] for payout in (await market.payouts())["created"])
    await market.wait(minutes=1)
    for vendor_id, amount in owed.items():
        assert market.gateway.done("transfer", vendor_id) == [Decimal(str(amount))]
    completed = [str(event.vendor_id) for event in await market.world.published(PayoutCompleted)]
    assert [completed.count(vendor_id) for vendor_id in owed] == [1, 1]


@pytest.mark.engines(2, 4)
async def test_12_not_enough_stock_concurrently(market: Market) -> None:
    shop = await market.shop()
    scarce, plenty = await market.listed(shop, "10000.00", 5), await market.listed(shop, "20000.00", 50)
    customers = [await market.customer() for _ in range(10)]
    answers = await asyncio.gather(*(market.order(customer, (scarce, 2)) for customer in customers))
    await market.go_on()
    placed = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code == 409]
    orders = [await market.order_row(order_id) for order_id in placed]
    assert [order.reservation_state for order in orders].count("reserved") == 2
    cancelled = [order for order in orders if order.status == "cancelled"]
    assert {order.cancellation_reason for order in cancelled} <= {"out_of_stock"}
    assert len(cancelled) + len(refused) == 8
    assert {answer.json()["code"] for answer in refused} <= {"INSUFFICIENT_STOCK"}
    assert await market.stock(scarce) == Level(available=1, reserved=4)
    assert (await market.ledger(scarce)).count(("reservation", -2)) == 2

    # The stock that the advisory check still saw is gone when the order's turn comes.
    other = uuid7()
    late = InventoryReserved.model_validate(
        (await market.told(InventoryReserved, placed[0]))[0].model_dump()
        | {"order_id": other, "items": [
            {"order_item_id": customers[0].id, "product_id": plenty, "quantity": 4},
            {"order_item_id": customers[1].id, "product_id": scarce, "quantity": 2},
        ]}
    )  # fmt: skip
    await market.world.deliver("inventory", late)
    (failed,) = await market.told(InventoryReservationFailed, str(other))
    assert [(str(s.product_id), s.requested, s.available) for s in failed.shortages] == [(scarce, 2, 1)]
    assert await market.stock(plenty) == Level(available=50, reserved=0)


async def test_13_unpaid_order(market: Market) -> None:
    shop, customer = await market.shop(), await market.customer()
    product = await market.listed(shop, "85000.00")
    order_id = await market.placed(customer, (product, 2))
    await market.wait(seconds=600 - market.ahead_seconds)
    assert (await market.order_row(order_id)).status == "pending"
    await market.wait(seconds=5 + market.ahead_seconds)
    order = await market.order_row(order_id)
    assert (order.status, order.cancellation_reason) == ("cancelled", "payment_timeout")
    assert order.reservation_state == "released"
    assert await market.stock(product) == Level(available=10, reserved=0)
    assert await market.hold(order_id) == "released"
    (told,) = await market.told(OrderCancelled, order_id)
    assert (told.stock_action, told.refund_amount) == ("release", Decimal(0))

    await market.redeliver(OrderCancelled, order_id, times=2)
    await market.redeliver(OrderCancelled, order_id, times=2, anew=True)
    assert await market.stock(product) == Level(available=10, reserved=0)
    assert await market.ledger(product) == [("stock_in", 10), ("reservation", -2), ("release", 2)]


async def test_13_a_cancellation_that_overtakes_the_reservation(market: Market) -> None:
    shop, customer = await market.shop(), await market.customer()
    product = await market.listed(shop, "85000.00")
    order_id = await market.placed(customer, (product, 2))
    await market.call("PUT", f"/orders/{order_id}/cancel", customer, reason="changed my mind")
    await market.go_on()

    other = uuid7()  # an order of which inventory hears the end first
    reserved = (await market.told(InventoryReserved, order_id))[0].model_copy(update={"order_id": other})
    cancelled = (await market.told(OrderCancelled, order_id))[0].model_copy(update={"order_id": other})
    await market.world.deliver("inventory", cancelled, times=2)
    assert await market.hold(str(other)) == "cancelled_early"
    await market.world.deliver("inventory", reserved, times=2)
    (failed,) = await market.told(InventoryReservationFailed, str(other))
    assert failed.reason == "order_cancelled"
    assert await market.told(InventoryReservationConfirmed, str(other)) == []
    assert await market.stock(product) == Level(available=10, reserved=0)


async def test_14_permissions_and_bad_input_of_the_marketplace(market: Market) -> None:
    shop, customer, other = await market.shop(), await market.customer(), await market.customer()
    product = await market.listed(shop, "85000.00")
    order_id = await market.placed(customer, (product, 1))
    assert (await market.ask("GET", f"/orders/{order_id}", other)).status_code == 403
    assert (await market.ask("GET", f"/orders/{order_id}", None)).status_code == 401
    pending = await market.stage.vendor()
    made = await market.call("POST", "/vendors", pending, 201, **market.application())
    assert (await market.ask("PUT", f"/admin/vendors/{made['id']}/approve", pending)).status_code == 403
    wish = {"items": [{"productId": product, "quantity": 1}], "shippingAddress": {"city": "Jakarta"}}
    cash = await market.ask("POST", "/orders", customer, **wish, paymentMethod="cash")
    assert cash.status_code == 400
    assert [error["field"] for error in cash.json()["errors"]] == ["paymentMethod"]
    unknown = await market.ask("GET", "/orders/not-a-uuid", customer)
    assert (unknown.status_code, unknown.json()["code"]) == (400, "VALIDATION_ERROR")
    skipped = await market.ask("PUT", f"/orders/{order_id}/status", shop, status="delivered")
    assert (skipped.status_code, skipped.json()["code"]) == (409, "INVALID_STATUS_TRANSITION")
    assert skipped.json()["details"] == {"from": "pending", "to": "delivered"}
    history = await market.ask("GET", f"/products/{product}/inventory/history?startDate=2025-13-40", market.admin)
    assert history.status_code == 400
    assert await market.told(OrderPaid, order_id) == []
