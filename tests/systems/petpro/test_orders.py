"""Orders: prices that stay, payments that come late, parts that are cancelled, money that goes back."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from systems.petpro.inventory.contract import InventoryReservationConfirmed
from systems.petpro.inventory.rules import Level
from systems.petpro.vendor.contract import (
    InventoryReserved,
    OrderCancelled,
    OrderCreated,
    OrderPaid,
    OrderRefunded,
    OrderStatusChanged,
    PaymentNotice,
    TakePaymentNotice,
)
from systems.petpro.vendor.order_tables import Order, OrderRefund
from systems.petpro.vendor.orders import expire
from tests.systems.petpro.market_stage import ADDRESS, open_on
from tests.systems.petpro.stage import Stage, problem, stage_mark

pytestmark = stage_mark

# --- placing ----------------------------------------------------------------------------------------------------------


async def test_an_order_is_answered_with_its_lines_and_told(stage: Stage) -> None:
    market = await open_on(stage)
    shop, customer = await market.shop(), await market.customer()
    product = await market.listed(shop, "85000.00")
    answer = await market.order(customer, (product, 1), (product, 1))
    assert answer.status_code == 202
    order = answer.json()
    assert (order["status"], order["reservationState"], order["totalAmount"]) == ("pending", "requested", 188700.0)
    assert [(item["quantity"], item["unitPrice"], item["tax"]) for item in order["items"]] == [(2, 85000.0, 18700.0)]
    assert order["items"][0]["productSnapshot"]["name"] == "Product 2"
    assert order["billingAddress"] == ADDRESS
    assert order["orderNumber"] == "PO-2030-00001"
    await market.go_on()
    (created,) = await market.told(OrderCreated, order["id"])
    (wished,) = await market.told(InventoryReserved, order["id"])
    assert (created.total_amount, created.currency) == (Decimal("188700.00"), "IDR")
    assert created.payment_due_at == wished.hold_until
    assert [item.commission_amount for item in created.items] == [Decimal("17000.00")]
    shown = await market.call("GET", f"/orders/{order['id']}", customer)
    assert shown["reservationState"] == "reserved"
    assert shown["payment"]["status"] == "pending"
    assert shown["payment"]["paymentUrl"].startswith("https://")


async def test_a_repeated_order_is_placed_once_and_numbers_run_on(stage: Stage) -> None:
    market = await open_on(stage)
    shop, customer = await market.shop(), await market.customer()
    product = await market.listed(shop, "85000.00")
    first = await market.order(customer, (product, 1), key="the same")
    again = await market.order(customer, (product, 1), key="the same")
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await market.order(customer, (product, 1))).json()["orderNumber"] == "PO-2030-00002"
    await market.go_on()
    assert await market.stock(product) == Level(available=8, reserved=2)


async def test_without_a_vendor_the_cheapest_approved_one_sells(stage: Stage) -> None:
    market = await open_on(stage)
    dear, cheap, closed = await market.shop(), await market.shop(), await market.shop()
    product = await market.listed(dear, "90.00")
    await market.offer(cheap, product, "80.00")
    await market.offer(closed, product, "70.00")
    await market.call("PUT", f"/vendors/{closed.vendor_id}/status", market.admin, status="suspended", reason="fraud")
    customer = await market.customer()
    (item,) = (await market.order(customer, (product, 1))).json()["items"]
    assert (item["vendorId"], item["unitPrice"]) == (cheap.vendor_id, 80.0)
    wish: dict[str, Any] = {"shippingAddress": ADDRESS, "paymentMethod": "e_wallet"}
    named = [{"productId": product, "vendorId": closed.vendor_id, "quantity": 1}]
    problem(await market.ask("POST", "/orders", customer, **wish, items=named), 422, "NOT_FOR_SALE")
    unknown = [{"productId": str(uuid4()), "quantity": 1}]
    problem(await market.ask("POST", "/orders", customer, **wish, items=unknown), 422, "NOT_FOR_SALE")


async def test_prices_and_rates_of_an_order_stay(stage: Stage) -> None:
    market = await open_on(stage)
    shop, customer = await market.shop("10.00"), await market.customer()
    product = await market.listed(shop, "100.00")
    order_id = await market.placed(customer, (product, 1))
    path = f"/vendors/{shop.vendor_id}/products/{product}"
    await market.call("PUT", path, shop, marketplacePrice=500.0)
    await market.call("PUT", f"/vendors/{shop.vendor_id}/status", market.admin, status="approved", commissionRate=50.0)
    (item,) = (await market.order_row(order_id)).items
    assert (item.unit_price, item.commission_rate) == (Decimal("100.00"), Decimal("10.00"))
    (dearer,) = (await market.order(customer, (product, 1))).json()["items"]
    assert dearer["unitPrice"] == 500.0


async def test_plainly_too_little_is_refused_at_once(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.listed(await market.shop(), "85000.00", 1)
    answer = await market.order(await market.customer(), (product, 2))
    problem(answer, 409, "INSUFFICIENT_STOCK")
    assert answer.json()["details"] == [{"productId": product, "requested": 2, "available": 1}]
    assert await stage.published(OrderCreated) == []


async def test_a_wish_that_comes_after_its_time_holds_nothing(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.listed(await market.shop(), "85000.00")
    order_id = await market.placed(await market.customer(), (product, 2))
    (wished,) = await market.told(InventoryReserved, order_id)
    stage.clock.advance(seconds=601)
    late = wished.model_copy(update={"order_id": uuid4()})
    await stage.world.deliver("inventory", late)
    assert await market.hold(str(late.order_id)) == "rejected"
    await market.go_on()
    assert await market.stock(product) == Level(available=10, reserved=0)


# --- paying -----------------------------------------------------------------------------------------------------------


async def test_the_gateways_word_counts_once_and_only_with_its_signature(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.listed(await market.shop(), "100.00")
    order_id = await market.placed(await market.customer(), (product, 1))
    body, _ = market.gateway.webhook("ord_unknown", Decimal("111.00"))
    url = "/api/v1/orders/webhook/payment"
    problem(await stage.http.post(url, content=body), 400, "INVALID_SIGNATURE")
    signed = {"X-Webhook-Signature": market.gateway.sign(body)}
    problem(await stage.http.post(url, content=body, headers=signed), 404, "PAYMENT_NOT_FOUND")
    nonsense = b'{"status": "completed", "amount": "many"}'
    signed = {"X-Webhook-Signature": market.gateway.sign(nonsense)}
    problem(await stage.http.post(url, content=nonsense, headers=signed), 400, "VALIDATION_ERROR")
    problem(await market.notice(order_id, amount="110.99"), 400, "AMOUNT_MISMATCH")
    payment = await market.payment(order_id)
    assert payment.status == "pending"
    assert payment.payment_details["notes"] == ["completed: the gateway says 110.99, not 111.00"]
    for status in ("failed", "completed", "completed", "failed", "expired"):
        assert (await market.notice(order_id, status)).json() == {"status": "ok"}
        await market.go_on()
    assert (await market.payment(order_id)).status == "success"
    assert len(await market.told(OrderPaid, order_id)) == 1
    saga = await market.saga("place_order", order_id)
    assert saga is not None
    assert saga.status == "completed"


async def test_a_notice_that_came_to_booking_is_taken(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.listed(await market.shop(), "100.00")
    order_id = await market.placed(await market.customer(), (product, 1))
    reference = (await market.payment(order_id)).external_reference
    assert reference is not None
    assert reference.startswith("ord_")
    body, signature = market.gateway.webhook(reference, Decimal("111.00"))
    answer = await stage.ask("vendor", TakePaymentNotice(body=body.decode(), signature=signature))
    assert answer == PaymentNotice()
    await market.go_on()
    assert (await market.order_row(order_id)).status == "processing"


async def test_who_pays_too_late_gets_the_money_back(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.listed(await market.shop(), "100.00")
    order_id = await market.placed(await market.customer(), (product, 1))
    await market.wait(seconds=605)
    assert (await market.payment(order_id)).status == "failed"
    assert (await market.notice(order_id)).status_code == 200
    payment = await market.payment(order_id)
    assert (payment.status, payment.paid_at) == ("refund_pending", stage.clock.now())
    assert (await market.order_row(order_id)).status == "cancelled"
    await market.wait(minutes=1)
    payment = await market.payment(order_id)
    assert (payment.status, payment.refunded_amount) == ("refunded", Decimal("111.00"))
    assert (await market.order_row(order_id)).status == "refunded"
    assert market.gateway.done("refund", payment.external_reference) == [Decimal("111.00")]
    assert await market.stock(product) == Level(available=10, reserved=0)
    assert await market.told(OrderPaid, order_id) == []


async def test_who_pays_just_before_the_order_expires_has_it(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.listed(await market.shop(), "100.00")
    order_id = await market.placed(await market.customer(), (product, 1))
    stage.clock.advance(seconds=601)  # overdue, and the job that expires orders has found it already
    assert (await market.notice(order_id)).status_code == 200
    await stage.world.work("vendor").run(partial(expire, UUID(order_id)))
    await market.go_on()
    order = await market.order_row(order_id)
    assert (order.status, order.reservation_state) == ("processing", "committed")
    assert await market.told(OrderCancelled, order_id) == []
    assert await market.stock(product) == Level(available=9, reserved=0)


async def test_an_order_that_was_cancelled_before_its_stock_was_held(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.listed(await market.shop(), "100.00")
    customer = await market.customer()
    order_id = (await market.order(customer, (product, 1))).json()["id"]
    await market.call("PUT", f"/orders/{order_id}/cancel", customer, reason="no more")
    await market.go_on()
    # Whichever of its events was faster at inventory, nothing stays reserved, and nobody is asked for money.
    assert await market.stock(product) == Level(available=10, reserved=0)
    order = await market.order_row(order_id)
    assert (order.status, order.payment) == ("cancelled", None)
    saga = await market.saga("place_order", order_id)
    assert saga is not None
    assert saga.status == "compensated"


async def test_stock_that_is_held_for_a_cancelled_order_is_let_go_again(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.listed(await market.shop(), "100.00")
    customer = await market.customer()
    order_id = (await market.order(customer, (product, 1))).json()["id"]
    async with stage.world.work("vendor").transaction() as tx:  # as if the event that says so were still on its way
        order = await tx.get(Order, UUID(order_id), lock=True)
        assert order is not None
        order.move(order.items, "cancelled", tx.now())
        order.reservation_state, order.cancellation_reason = "failed", "no more"
    await market.go_on()
    assert len(await market.told(InventoryReservationConfirmed, order_id)) == 1
    (told,) = await market.told(OrderCancelled, order_id)
    assert (told.stock_action, told.reason) == ("release", "no more")
    assert await market.stock(product) == Level(available=10, reserved=0)


async def test_the_gateway_is_asked_for_a_session_until_it_answers(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.listed(await market.shop(), "100.00")
    market.gateway.fail("session", 1)
    order_id = await market.placed(await market.customer(), (product, 1))
    assert (await market.payment(order_id)).payment_url is None
    await market.wait(seconds=1)
    assert (await market.payment(order_id)).payment_url is not None


# --- calling off ------------------------------------------------------------------------------------------------------


async def test_one_vendor_cancels_its_items_and_the_rest_goes_on(stage: Stage) -> None:
    market = await open_on(stage)
    a, b, customer = await market.shop(), await market.shop(), await market.customer()
    first, second = await market.listed(a, "100.00"), await market.listed(b, "50.00")
    order_id = await market.paid(customer, (first, 2), (second, 3))
    path = f"/vendors/{a.vendor_id}/orders/{order_id}"
    problem(await market.ask("POST", f"{path}/cancel", b, reason="broken"), 403, "FORBIDDEN")
    shown = await market.call("POST", f"{path}/cancel", a, reason="broken")
    assert [item["status"] for item in shown["items"]] == ["cancelled"]
    assert shown["payment"] is None
    await market.go_on()
    await market.wait(minutes=1)
    assert await market.stock(first) == Level(available=10, reserved=0)
    assert (await market.ledger(first))[-1] == ("returned", 2)
    assert await market.stock(second) == Level(available=7, reserved=0)
    assert await market.hold(order_id) == "committed"
    order = await market.order_row(order_id)
    assert (order.status, sorted(item.status for item in order.items)) == ("processing", ["processing", "refunded"])
    payment = await market.payment(order_id)
    assert (payment.status, payment.refunded_amount) == ("partially_refunded", Decimal("222.00"))
    (told,) = await market.told(OrderCancelled, order_id)
    assert (told.stock_action, told.status, told.refund_amount) == ("return", "processing", Decimal("222.00"))
    assert len(await market.told(OrderRefunded, order_id)) == 1

    await market.progress(b, order_id, "shipped")
    assert (await market.order_row(order_id)).status == "shipped"
    problem(await market.ask("PUT", f"/orders/{order_id}/cancel", customer, reason="no"), 409, "ORDER_NOT_CANCELLABLE")
    await market.call("PUT", f"/orders/{order_id}/received", customer)
    assert (await market.order_row(order_id)).status == "delivered"


async def test_cancelling_all_of_a_paid_order_brings_all_of_it_back(stage: Stage) -> None:
    market = await open_on(stage)
    product, customer = await market.listed(await market.shop(), "100.00"), await market.customer()
    order_id = await market.paid(customer, (product, 2))
    for _ in range(2):  # the second time it is cancelled already
        shown = await market.call("PUT", f"/orders/{order_id}/cancel", customer, reason="no more")
        assert (shown["status"], shown["payment"]["status"]) == ("cancelled", "refund_pending")
    await market.wait(minutes=1)
    order = await market.order_row(order_id)
    assert (order.status, order.cancellation_reason) == ("refunded", "no more")
    assert (await market.payment(order_id)).status == "refunded"
    assert await market.stock(product) == Level(available=10, reserved=0)
    assert await market.hold(order_id) == "returned"
    assert len(await market.told(OrderCancelled, order_id)) == 1
    (last,) = await market.told(OrderStatusChanged, order_id)
    assert (last.previous_status, last.status) == ("cancelled", "refunded")


async def test_a_vendor_does_not_cancel_its_part_of_what_is_not_paid(stage: Stage) -> None:
    market = await open_on(stage)
    a, b, customer = await market.shop(), await market.shop(), await market.customer()
    first, second = await market.listed(a, "100.00"), await market.listed(b, "50.00")
    both = await market.placed(customer, (first, 1), (second, 1))
    path = f"/vendors/{a.vendor_id}/orders/{both}/cancel"
    problem(await market.ask("POST", path, a, reason="broken"), 409, "ORDER_NOT_CANCELLABLE")
    alone = await market.placed(customer, (first, 1))
    await market.call("POST", f"/vendors/{a.vendor_id}/orders/{alone}/cancel", a, reason="broken")
    await market.go_on()
    assert (await market.order_row(alone)).status == "cancelled"
    assert await market.stock(first) == Level(available=9, reserved=1)


async def test_a_refund_is_tried_until_the_gateway_gives_it_back_once(stage: Stage) -> None:
    market = await open_on(stage)
    product, customer = await market.listed(await market.shop(), "100.00"), await market.customer()
    order_id = await market.paid(customer, (product, 1))
    market.gateway.fail("refund", 2)
    await market.call("PUT", f"/orders/{order_id}/cancel", customer, reason="no more")
    reference = (await market.payment(order_id)).external_reference
    for minutes, status, tries in ((1, "pending", 1), (1, "pending", 2), (1, "pending", 2), (1, "done", 2)):
        await market.wait(minutes=minutes)
        (refund,) = await stage.rows("vendor", OrderRefund)
        assert (refund.status, refund.tries) == (status, tries)
        saga = await market.saga("cancel_order", refund.id)
        assert saga is not None
        assert saga.status == ("completed" if status == "done" else "running")
    assert market.gateway.done("refund", reference) == [Decimal("111.00")]


# --- delivering -------------------------------------------------------------------------------------------------------


async def test_vendors_ship_and_deliver_their_own_items(stage: Stage) -> None:
    market = await open_on(stage)
    a, b, customer = await market.shop(), await market.shop(), await market.customer()
    first, second = await market.listed(a, "100.00"), await market.listed(b, "50.00")
    order_id = await market.paid(customer, (first, 1), (second, 1))
    shown = await market.progress(a, order_id, "shipped", trackingNumber="JNE-1")
    assert [(item["status"], item["trackingNumber"]) for item in shown["items"]] == [("shipped", "JNE-1")]
    assert (await market.order_row(order_id)).status == "processing"
    again = await market.ask("PUT", f"/orders/{order_id}/status", a, status="shipped")
    assert again.status_code == 200
    theirs = [str(item.id) for item in (await market.order_row(order_id)).items if str(item.vendor_id) == b.vendor_id]
    named = await market.ask("PUT", f"/orders/{order_id}/status", a, status="shipped", itemIds=theirs)
    problem(named, 403, "FORBIDDEN")
    path = f"/vendors/{b.vendor_id}/orders/{order_id}/status"
    problem(await market.ask("PATCH", path, b, status="delivered"), 409, "INVALID_STATUS_TRANSITION")
    await market.call("PATCH", path, b, status="shipped")
    assert [each.status for each in await market.told(OrderStatusChanged, order_id)] == ["processing", "shipped"]
    await market.call("PUT", f"/orders/{order_id}/received", customer)
    order = await market.order_row(order_id)
    assert order.status == "delivered"
    assert {item.delivered_at for item in order.items} == {stage.clock.now()}
    refused = await market.ask("PUT", f"/orders/{order_id}/status", a, status="refunded")
    problem(refused, 403, "FORBIDDEN")


async def test_administrators_refund_what_was_delivered_within_two_weeks(stage: Stage) -> None:
    market = await open_on(stage)
    product, customer = await market.listed(await market.shop(), "100.00"), await market.customer()
    early, late = [await market.delivered(customer, (product, 1)) for _ in range(2)]
    await market.wait(days=14)
    shown = await market.call("PUT", f"/orders/{early}/status", market.admin, status="refunded")
    assert (shown["status"], shown["payment"]["status"]) == ("refunded", "refund_pending")
    await market.wait(minutes=1)
    assert (await market.payment(early)).status == "refunded"
    assert await market.stock(product) == Level(available=8, reserved=0)  # the customer has it
    answer = await market.ask("PUT", f"/orders/{late}/status", market.admin, status="refunded")
    problem(answer, 409, "REFUND_WINDOW_CLOSED")
