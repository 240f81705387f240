"""The orders of the data sets, as their history would have left them, and the payouts that followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from freehold import Event, Tx
from systems.petpro.demo_rows import Bundle, DataSet, Row, demo_id, scattered, stamps
from systems.petpro.demo_shop import THRESHOLD, Shelf, Shop
from systems.petpro.gateway import ORDERS
from systems.petpro.inventory.contract import HoldState, MovementType
from systems.petpro.inventory.tables import OrderHold
from systems.petpro.vendor.contract import (
    InventoryReserved,
    OrderCancelled,
    OrderCreated,
    OrderedItem,
    OrderPaid,
    OrderStatus,
    OrderStatusChanged,
    PayoutCompleted,
    PayoutCreated,
    PayoutStatus,
    StockLine,
)
from systems.petpro.vendor.order_tables import Order, OrderItem, OrderPayment, OrderRefund, Payout
from systems.petpro.vendor.rules import order_number, price
from systems.petpro.vendor.sagas import Placing, place_order
from systems.petpro.vendor.settings import VendorSettings

KINDS: Sequence[tuple[str, int]] = (
    ("delivered", 30), ("processing", 9), ("shipped", 9), ("timed_out", 4), ("out_of_stock", 2), ("refunded", 3),
    ("pending", 3),
)  # fmt: skip
ITEMS = (1, 2, 2, 3, 3)
"""Of one order after the other; the last ten orders have two each: 130 in all."""
FIRST_NUMBER = 10_000_000
"""Numbers of real orders begin far below, so that a system in use can be given the data as well."""
SETTINGS = VendorSettings()


def add_orders(made: DataSet, shops: list[Shop], customers: list[Row], copy: int, random: Random) -> None:
    """60 orders with 130 items, and 6 payouts."""
    kinds = [kind for kind, count in KINDS for _ in range(count)]
    for number, kind in enumerate(kinds):
        lines = 2 if number >= len(kinds) - 10 else ITEMS[number % len(ITEMS)]
        deal = Deal(made, copy * len(kinds) + number, kind, customers[number % len(customers)])
        deal.place([shops[(number + line) % len(shops)] for line in range(lines)], random)
    for number, shop in enumerate(shops):
        _add_payouts(made, shop, copy * len(shops) + number)


@dataclass(slots=True)
class Deal:
    """An order, its items and its payment."""

    made: DataSet
    number: int
    kind: str
    customer: Row
    items: list[tuple[Row, Shelf, Shop]] = field(default_factory=list)

    def place(self, shops: list[Shop], random: Random) -> None:
        """The order with all that followed."""
        at = self._placed_at(random)
        order = self._order(at)
        for line, shop in enumerate(shops):
            self._item(order, line, shop, at, random)
        order["total_amount"] = sum(item["subtotal"] + item["tax"] for item, *_ in self.items)
        bundle = self.made.add(Order, order)
        for item, *_ in self.items:
            bundle.also(OrderItem, item)
        bundle.facts.append(self._created(order))
        if self.kind == "pending":
            self._leave_to_the_flow(bundle)
        else:
            self._go_on(bundle, at)

    def _placed_at(self, random: Random) -> datetime:
        if self.kind == "pending":
            return self.made.now
        if self.kind == "delivered":  # some paid out long ago, some lately, some not yet
            return self.made.ago(days=(40, 20, 6)[self.number % 5 % 3] + random.random())
        return self.made.ago(days=2 + random.random())

    def _order(self, at: datetime) -> Row:
        id = demo_id("order", self.number)
        address = {"street": "Jl. Anggrek 3", "city": "Jakarta", "postalCode": "10110", "name": self.customer["name"]}
        return {
            "id": id, "customer_id": self.customer["id"], "status": "pending",
            "order_number": order_number(at.year, FIRST_NUMBER + self.number), "order_date": at,
            "shipping_address": address, "billing_address": address, "payment_method": "bank_transfer", "notes": None,
            "reservation_state": "requested", "cancellation_reason": None, "version": 1,
            "payment_due_at": at + timedelta(seconds=SETTINGS.order_hold_seconds), **stamps(at),
        }  # fmt: skip

    def _item(self, order: Row, line: int, shop: Shop, at: datetime, random: Random) -> None:
        taken = {(item["vendor_id"], item["product_id"]) for item, *_ in self.items}
        offers = [
            (listing, shelf)
            for listing, shelf in shop.offers
            if shelf.target > THRESHOLD and (shop.vendor["id"], listing["product_id"]) not in taken
        ]
        listing, shelf = random.choice(offers)
        quantity, rate = random.randint(1, 3), shop.vendor["commission_rate"]
        priced = price(listing["marketplace_price"], quantity, SETTINGS.tax_rate_percent, rate)
        product = shelf.product.row
        item = {
            "id": demo_id("item", f"{self.number}/{line}"), "order_id": order["id"], "product_id": product["id"],
            "vendor_id": shop.vendor["id"], "quantity": quantity, "unit_price": listing["marketplace_price"],
            "subtotal": priced.subtotal, "tax": priced.tax, "commission_rate": rate,
            "commission_amount": priced.commission, "status": "pending", "delivered_at": None, "payout_id": None,
            "tracking_number": None, "taken_back": Decimal(0),
            "product_snapshot": {"name": product["name"], "sku": product["sku"], "imageUrl": None}, **stamps(at),
        }  # fmt: skip
        self.items.append((item, shelf, shop))

    def _created(self, order: Row) -> OrderCreated:
        ordered = [OrderedItem.model_validate({**item, "order_item_id": item["id"]}) for item, *_ in self.items]
        return OrderCreated.model_validate({**order, "order_id": order["id"], "currency": "IDR", "items": ordered})

    @property
    def lines(self) -> list[StockLine]:
        return [StockLine.model_validate({**item, "order_item_id": item["id"]}) for item, *_ in self.items]

    def _leave_to_the_flow(self, bundle: Bundle) -> None:
        """It is placed this moment: inventory and the saga do the rest."""
        order = bundle.row
        bundle.facts.append(
            InventoryReserved(
                order_id=order["id"], order_number=order["order_number"], items=self.lines,
                hold_until=order["payment_due_at"],
            )
        )  # fmt: skip

        async def begin(tx: Tx) -> None:
            await tx.start(place_order, Placing(order_id=order["id"]))

        bundle.then.append(begin)

    def _go_on(self, bundle: Bundle, at: datetime) -> None:
        if self.kind == "out_of_stock":
            self._hold(bundle.row, "rejected", at)
            self._cancel(bundle, "out_of_stock", "failed", at + timedelta(seconds=2))
            return
        self._book("reservation", at)
        if self.kind == "timed_out":
            self._hold(bundle.row, "released", at)
            due = bundle.row["payment_due_at"]
            self._book("release", due)
            bundle.also(OrderPayment, self._payment(bundle.row, "failed", None))
            self._cancel(bundle, "payment_timeout", "released", due)
            return
        paid_at = at + timedelta(minutes=4)
        self._book("stock_out", paid_at)
        self._pay(bundle, paid_at)
        if self.kind == "refunded":
            self._give_back(bundle, paid_at + timedelta(hours=3))
            return
        self._hold(bundle.row, "committed", at)
        if self.kind in ("shipped", "delivered"):
            self._move(bundle, "shipped", paid_at + timedelta(days=1))
        if self.kind == "delivered":
            self._move(bundle, "delivered", paid_at + timedelta(days=3))
            for item, _, shop in self.items:
                shop.delivered.append(item)

    def _payment(self, order: Row, status: str, paid_at: datetime | None) -> Row:
        id = demo_id("order payment", self.number)
        return {
            "id": id, "order_id": order["id"], "external_reference": f"{ORDERS}{id.hex}",
            "amount": order["total_amount"], "currency": "IDR", "payment_method": order["payment_method"],
            "status": status, "refunded_amount": Decimal(0), "payment_details": {}, "paid_at": paid_at,
            "payment_url": None, **stamps(order["created_at"], paid_at),
        }  # fmt: skip

    def _pay(self, bundle: Bundle, at: datetime) -> None:
        order = bundle.row
        payment = bundle.also(OrderPayment, self._payment(order, "success", at))
        self._become(order, "processing", at)
        order["reservation_state"] = "committed"
        bundle.facts.append(
            OrderPaid(
                order_id=order["id"], payment_id=payment["id"], amount=payment["amount"], currency="IDR",
                items=self.lines, version=order["version"], paid_at=at,
            )
        )  # fmt: skip

    def _give_back(self, bundle: Bundle, at: datetime) -> None:
        """Cancelled after it was paid: the stock and the money come back, and then it is refunded."""
        order, payment = bundle.row, next(row for table, row in bundle.parts if table is OrderPayment)
        self._book("returned", at)
        self._hold(order, "returned", order["created_at"])
        self._cancel(bundle, "changed plans", "committed", at, refund=payment["amount"])
        payment.update(status="refunded", refunded_amount=payment["amount"], updated_at=at)
        bundle.also(
            OrderRefund,
            {
                "id": demo_id("refund", self.number), "order_id": order["id"], "payment_id": payment["id"],
                "sequence": 1, "amount": payment["amount"], "reason": "changed plans",
                "item_ids": [str(item["id"]) for item, *_ in self.items], "status": "done", "tries": 1,
                "next_try_at": at, **stamps(at),
            },
        )  # fmt: skip
        self._move(bundle, "refunded", at + timedelta(minutes=1))

    def _cancel(self, bundle: Bundle, reason: str, state: str, at: datetime, *, refund: Decimal = Decimal(0)) -> None:
        order = bundle.row
        self._become(order, "cancelled", at)
        order.update(reservation_state=state, cancellation_reason=reason)
        bundle.facts.append(
            OrderCancelled(
                order_id=order["id"], reason=reason, stock_action="return" if refund else "release",
                status="cancelled", items=self.lines, refund_amount=refund, version=order["version"], cancelled_at=at,
            )
        )  # fmt: skip

    def _move(self, bundle: Bundle, status: OrderStatus, at: datetime) -> None:
        order, before = bundle.row, bundle.row["status"]
        self._become(order, status, at)
        items = [{**item, "order_item_id": item["id"]} for item, *_ in self.items]
        bundle.facts.append(
            OrderStatusChanged.model_validate(
                {**order, "order_id": order["id"], "previous_status": before, "items": items, "changed_at": at}
            )
        )

    def _become(self, order: Row, status: OrderStatus, at: datetime) -> None:
        order.update(status=status, version=order["version"] + 1, updated_at=at)
        for item, *_ in self.items:
            item.update(status=status, updated_at=at)
            if status == "delivered":
                item["delivered_at"] = at
            if status == "shipped":
                item["tracking_number"] = f"TRK{scattered(self.number):08d}"

    def _book(self, kind: MovementType, at: datetime) -> None:
        for item, shelf, _ in self.items:
            shelf.book(kind, item["quantity"], at, item["id"], item["order_id"])

    def _hold(self, order: Row, state: HoldState, at: datetime) -> None:
        rejection = {"reason": "out_of_stock", "shortages": []} if state == "rejected" else None
        self.made.add(
            OrderHold,
            {
                "order_id": order["id"], "state": state, "hold_until": order["payment_due_at"], "rejection": rejection,
                "lines": [line.model_dump(mode="json") for line in self.lines], **stamps(at),
            },
        )  # fmt: skip


# --- payouts ----------------------------------------------------------------------------------------------------------


def _add_payouts(made: DataSet, shop: Shop, number: int) -> None:
    """Two of each vendor: of what was delivered more than a month ago, and of the rest that is due."""
    due = made.ago(days=SETTINGS.payout_hold_days)
    long_ago = made.ago(days=30)
    old = [item for item in shop.delivered if item["delivered_at"] <= long_ago]
    lately = [item for item in shop.delivered if long_ago < item["delivered_at"] <= due]
    for which, items in enumerate((old, lately)):
        failed = which == 1 and number % 3 == 2
        _payout(made, shop.vendor["id"], number * 2 + which, items, "failed" if failed else "completed")


def _payout(made: DataSet, vendor_id: UUID, number: int, items: list[Row], status: PayoutStatus) -> None:
    id = demo_id("payout", number)
    at = max(item["delivered_at"] for item in items) + timedelta(days=SETTINGS.payout_hold_days, hours=1)
    amount = sum((item["subtotal"] - item["commission_amount"] for item in items), Decimal(0))
    details: dict[str, Any] = {"earned": f"{amount:.2f}", "carry": "0.00"}
    details |= {"tries": 3, "error": "the bank refused the account"} if status == "failed" else {"transfer": "tr_demo"}
    row = {
        "id": id, "vendor_id": vendor_id, "amount": amount, "currency": "IDR", "status": status,
        "reference_number": f"PAY-{scattered(number):08d}", "transaction_details": details,
        "payout_date": at if status == "completed" else None, **stamps(at),
    }  # fmt: skip
    facts: list[Event] = [PayoutCreated.model_validate({**row, "payout_id": id, "item_count": len(items)})]
    if status == "completed":
        facts.append(PayoutCompleted.model_validate({**row, "payout_id": id}))
    made.add(Payout, row, *facts)
    for item in items:
        item["payout_id"] = id
