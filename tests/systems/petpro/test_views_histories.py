"""An event twice, late and out of order changes nothing: histories, shuffled, against a fresh computation."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from freehold import Event, System
from freehold.runtime.host import Host
from freehold.testing import World
from systems.petpro.auth.contract import UserCreated, UserDeactivated, UserUpdated
from systems.petpro.booking.contract import (
    BookingCancelled,
    BookingConfirmed,
    BookingCreated,
    BookingRescheduled,
    BookingStatusChanged,
    PaymentFailed,
    PaymentProcessed,
    PaymentRefunded,
    ReviewDeleted,
    ReviewSubmitted,
    ReviewUpdated,
)
from systems.petpro.inventory.contract import InventoryChanged, ProductCreated, ProductDeactivated, ProductUpdated
from systems.petpro.vendor.contract import (
    OrderCancelled,
    OrderCreated,
    OrderPaid,
    OrderStatusChanged,
    PayoutCompleted,
    PayoutCreated,
    VendorCreated,
    VendorProductChanged,
    VendorStatusChanged,
    VendorUpdated,
)
from systems.petpro.views.rules import Figures, Item, availability
from systems.petpro.views.service import views
from systems.petpro.views.tables import AvailabilityRow, PerformanceRow, UserBookingRow
from tests.systems.petpro.stage import stage_mark

pytestmark = stage_mark

system = System("petpro", services=[views])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    """Views alone: nobody is asked anything."""
    folder: Path = tmp_path_factory.mktemp("views")
    async with World(system, folder=folder) as world:
        yield world.process.units["views"].host


@dataclass
class Owners:
    """The owners of everything, living for a while: the events that they published, and what is true at the end."""

    rng: random.Random
    world_start: Any
    events: list[Event] = field(default_factory=list)
    users: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    bookings: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    vendors: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    products: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    listings: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    orders: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    payouts: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    steps: int = 0

    def id(self) -> UUID:
        return UUID(int=self.rng.getrandbits(128))

    def now(self) -> Any:
        self.steps += 1
        return self.world_start + timedelta(seconds=self.steps)

    def live(self, steps: int) -> None:
        for act in (self.new_user, self.new_vendor, self.new_product):
            act()
        acts = [
            self.new_user, self.rename, self.book, self.move_booking, self.pay, self.review, self.new_vendor,
            self.change_vendor, self.new_product, self.change_product, self.stock, self.list_product, self.order,
            self.move_order, self.pay_out,
        ]  # fmt: skip
        for _ in range(steps):
            self.rng.choice(acts)()

    def one(self, rows: dict[UUID, dict[str, Any]]) -> tuple[UUID, dict[str, Any]] | None:
        return (id := self.rng.choice(list(rows)), rows[id]) if rows else None

    # --- users and bookings -----------------------------------------------------------------------------------------

    def new_user(self) -> None:
        id = self.id()
        self.users[id] = {"name": f"u{len(self.users)}", "version": 1}
        self.events.append(UserCreated(user_id=id, created_at=self.now(), **self._user(id)))

    def _user(self, id: UUID) -> dict[str, Any]:
        row = self.users[id]
        return {
            "email": f"{row['name']}@x.id", "full_name": row["name"], "phone_number": None, "roles": ["customer"],
            "is_active": True, "version": row["version"],
        }  # fmt: skip

    def rename(self) -> None:
        id, row = self.one(self.users)  # type: ignore[misc]
        row["version"] += 1
        if self.rng.random() < 0.3:
            gone = {"reason": "left", "version": row["version"], "deactivated_at": self.now()}
            self.events.append(UserDeactivated(user_id=id, **gone))
            return
        row["name"] += "x"
        self.events.append(UserUpdated(user_id=id, updated_at=self.now(), **self._user(id)))

    def book(self) -> None:
        id, user = self.id(), self.rng.choice(list(self.users))
        start = self.now() + timedelta(days=2)
        row = {
            "reference_code": f"BP{len(self.bookings):08}", "user_id": user, "pet_id": self.id(),
            "clinic_id": self.id(), "service_id": self.id(), "slot_id": self.id(), "staff_id": None,
            "starts_at": start, "ends_at": start + timedelta(minutes=30), "amount": Decimal("250000.00"),
            "currency": "IDR", "status": "pending_payment", "version": 1,
        }  # fmt: skip
        self.bookings[id] = {**row, "payment": "pending", "refunded": Decimal(0), "review": None}
        names = {
            "user_name": "as booked", "user_email": None, "pet_name": "Rex", "pet_species": "dog",
            "clinic_name": "Paw", "service_name": "Check-up",
        }  # fmt: skip
        self.events.append(
            BookingCreated(booking_id=id, reservation_id=self.id(), created_at=self.now(), **row, **names)
        )

    def move_booking(self) -> None:
        if (found := self.one(self.bookings)) is None:
            return
        id, row = found
        row["version"] += 1
        at, previous = self.now(), row["status"]
        named = {name: row[name] for name in BookingConfirmed.model_fields if name in row}
        kind = self.rng.randrange(4)
        if kind == 0:
            row["status"] = named["status"] = "confirmed"
            self.events.append(BookingConfirmed(booking_id=id, confirmed_at=at, **named))
        elif kind == 1:
            row["starts_at"], row["ends_at"] = at + timedelta(days=3), at + timedelta(days=4)
            moved = {"previous_slot_id": self.id(), "slot_id": self.id(), "staff_id": None, "rescheduled_at": at}
            times = {"starts_at": row["starts_at"], "ends_at": row["ends_at"]}
            self.events.append(
                BookingRescheduled(booking_id=id, status=row["status"], version=row["version"], **moved, **times)
            )
        elif kind == 2:
            row["status"] = self.rng.choice(["in_progress", "no_show"])
            self.events.append(
                BookingStatusChanged(
                    booking_id=id, reference_code=row["reference_code"], previous_status=previous,
                    status=row["status"], version=row["version"], changed_by=None, changed_at=at,
                )
            )  # fmt: skip
        else:
            back = self.rng.choice([Decimal(0), row["amount"]])
            row["status"] = "cancelled"
            if back:
                row["payment"] = "refund_pending"
            named = {name: row[name] for name in ("reference_code", "user_id", "pet_id", "clinic_id", "version")}
            self.events.append(
                BookingCancelled(
                    booking_id=id, previous_status=previous, status="cancelled", cancellation_reason="ill",
                    cancelled_by="customer", refund_percent=100, refund_amount=back, refund_status="processing",
                    cancelled_at=at, **named,
                )
            )  # fmt: skip

    def pay(self) -> None:
        if (found := self.one(self.bookings)) is None:
            return
        id, row = found
        told = {"booking_id": id, "payment_id": self.id(), "currency": "IDR"}
        kind = self.rng.randrange(3)
        if kind == 0:
            row["payment"] = "failed"
            self.events.append(
                PaymentFailed(booking_id=id, payment_id=self.id(), reason="no", status="failed", failed_at=self.now())
            )
        elif kind == 1:
            row["payment"] = "success"
            self.events.append(
                PaymentProcessed(
                    **told, external_reference="bk_1", amount=row["amount"], payment_method="e_wallet",
                    status="success", processed_at=self.now(),
                )
            )  # fmt: skip
        else:
            row["payment"], row["refunded"] = "partially_refunded", row["refunded"] + 1
            self.events.append(
                PaymentRefunded(
                    **told, amount=Decimal(1), refunded_total=row["refunded"], status="partially_refunded",
                    reason="x", refunded_at=self.now(),
                )
            )  # fmt: skip

    def review(self) -> None:
        if (found := self.one(self.bookings)) is None:
            return
        id, row = found
        rating = self.rng.randint(1, 5)
        about = {"booking_id": id, "clinic_id": row["clinic_id"]}
        if row["review"] is None:
            row["review"] = (self.id(), rating, 1)
            review_id, _, version = row["review"]
            self.events.append(
                ReviewSubmitted(
                    **about, review_id=review_id, user_id=row["user_id"], service_id=row["service_id"], rating=rating,
                    is_published=True, version=version, submitted_at=self.now(),
                )
            )  # fmt: skip
            return
        review_id, old, version = row["review"]
        if self.rng.random() < 0.5:
            row["review"] = None
            self.events.append(
                ReviewDeleted(**about, review_id=review_id, rating=old, version=version + 1, deleted_at=self.now())
            )
            return
        row["review"] = (review_id, rating, version + 1)
        self.events.append(
            ReviewUpdated(
                **about, review_id=review_id, user_id=row["user_id"], service_id=row["service_id"], rating=rating,
                is_published=True, version=version + 1, updated_at=self.now(),
            )
        )  # fmt: skip

    # --- vendors, products, listings ----------------------------------------------------------------------------------

    def new_vendor(self) -> None:
        id = self.id()
        self.vendors[id] = {"business_name": f"v{len(self.vendors)}", "status": "pending", "version": 1}
        self.events.append(VendorCreated(vendor_id=id, created_at=self.now(), **self._vendor(id)))

    def _vendor(self, id: UUID) -> dict[str, Any]:
        return {**self.vendors[id], "user_id": id, "business_type": "shop", "commission_rate": Decimal("10.00")}

    def change_vendor(self) -> None:
        id, row = self.one(self.vendors)  # type: ignore[misc]
        row["version"] += 1
        if self.rng.random() < 0.4:
            row["business_name"] += "x"
            self.events.append(VendorUpdated(vendor_id=id, updated_at=self.now(), **self._vendor(id)))
            return
        previous, row["status"] = row["status"], self.rng.choice(["approved", "suspended"])
        self.events.append(
            VendorStatusChanged(
                vendor_id=id, previous_status=previous, status=row["status"], reason=None, version=row["version"],
                changed_at=self.now(),
            )
        )  # fmt: skip

    def new_product(self) -> None:
        id = self.id()
        self.products[id] = {
            "sku": f"P{len(self.products)}", "name": "ball", "is_active": True, "version": 1, "stock": (0, 0, 0),
        }  # fmt: skip
        self.events.append(ProductCreated(product_id=id, created_at=self.now(), **self._product(id)))

    def _product(self, id: UUID) -> dict[str, Any]:
        row = self.products[id]
        return {
            **{name: row[name] for name in ("sku", "name", "is_active", "version")}, "category_id": UUID(int=1),
            "category_name": "Toys", "vendor_id": None, "regular_price": Decimal("10.00"), "sale_price": None,
            "on_sale": False, "image_url": None,
        }  # fmt: skip

    def change_product(self) -> None:
        id, row = self.one(self.products)  # type: ignore[misc]
        row["version"] += 1
        if self.rng.random() < 0.3:
            row["is_active"] = False
            gone = {"reason": "old", "version": row["version"], "deactivated_at": self.now()}
            self.events.append(ProductDeactivated(product_id=id, **gone))
            return
        row["name"], row["is_active"] = row["name"] + "x", True
        self.events.append(ProductUpdated(product_id=id, updated_at=self.now(), **self._product(id)))

    def stock(self) -> None:
        id, row = self.one(self.products)  # type: ignore[misc]
        row["stock"] = (self.rng.randrange(9), self.rng.randrange(3), row["stock"][2] + 1)
        available, reserved, version = row["stock"]
        self.events.append(
            InventoryChanged(
                product_id=id, quantity_available=available, quantity_reserved=reserved, reorder_threshold=5,
                transaction_type="adjustment", quantity=1, version=version, changed_at=self.now(),
            )
        )  # fmt: skip

    def list_product(self) -> None:
        vendor, product = self.rng.choice(list(self.vendors)), self.rng.choice(list(self.products))
        known = {(row["vendor_id"], row["product_id"]): id for id, row in self.listings.items()}
        id = known.get((vendor, product)) or self.id()
        row = self.listings[id] = {
            "vendor_id": vendor, "product_id": product, "marketplace_price": Decimal(self.rng.randint(1, 99)),
            "is_active": self.rng.random() < 0.7,
        }  # fmt: skip
        self.events.append(VendorProductChanged(vendor_product_id=id, change="set", changed_at=self.now(), **row))

    # --- orders and payouts -------------------------------------------------------------------------------------------

    def order(self) -> None:
        id, at = self.id(), self.now()
        items = [
            {
                "order_item_id": self.id(), "product_id": self.rng.choice(list(self.products)),
                "vendor_id": self.rng.choice(list(self.vendors)), "quantity": self.rng.randint(1, 5),
                "unit_price": Decimal("10.00"), "subtotal": Decimal("20.00"), "tax": Decimal(2),
                "commission_amount": Decimal("2.50"),
            }
            for _ in range(self.rng.randint(1, 3))
        ]  # fmt: skip
        self.orders[id] = {
            "version": 1, "ordered_at": at, "items": [{**item, "status": "pending", "at": None} for item in items],
        }  # fmt: skip
        self.events.append(
            OrderCreated(
                order_id=id, order_number="PO-1", customer_id=self.id(), total_amount=Decimal(22), currency="IDR",
                status="pending", items=items, payment_due_at=at, version=1, created_at=at,
            )
        )  # fmt: skip

    def move_order(self) -> None:
        if (found := self.one(self.orders)) is None:
            return
        id, row = found
        row["version"] += 1
        at = self.now()
        told = {"order_id": id, "version": row["version"]}
        some = self.rng.sample(row["items"], self.rng.randint(1, len(row["items"])))
        lines = [{name: item[name] for name in ("order_item_id", "product_id", "quantity")} for item in some]
        kind = self.rng.randrange(3)
        for item in some:
            item["status"] = ("processing", self.rng.choice(["delivered", "shipped", "refunded"]), "cancelled")[kind]
            if kind == 1:
                item["at"] = at if item["status"] == "delivered" else None
        if kind == 0:
            self.events.append(
                OrderPaid(**told, payment_id=self.id(), amount=Decimal(1), currency="IDR", items=lines, paid_at=at)
            )
        elif kind == 1:
            states = [
                {name: item[name] for name in ("order_item_id", "vendor_id", "status")} | {"delivered_at": item["at"]}
                for item in some
            ]
            self.events.append(OrderStatusChanged(**told, previous_status="x", status="x", items=states, changed_at=at))
        else:
            self.events.append(
                OrderCancelled(
                    **told, reason="x", stock_action="release", status="cancelled", items=lines,
                    refund_amount=Decimal(0), cancelled_at=at,
                )
            )  # fmt: skip

    def pay_out(self) -> None:
        open_ones = {id: row for id, row in self.payouts.items() if not row["done"]}
        told = {"currency": "IDR", "reference_number": "PAY-1"}
        if open_ones and self.rng.random() < 0.5:
            id, row = self.one(open_ones)  # type: ignore[misc]
            row["done"] = True
            about = {"vendor_id": row["vendor_id"], "amount": row["amount"]}
            self.events.append(PayoutCompleted(payout_id=id, payout_date=self.now(), **about, **told))
            return
        id = self.id()
        about = {"vendor_id": self.rng.choice(list(self.vendors)), "amount": Decimal(self.rng.randint(1, 9))}
        self.payouts[id] = {**about, "done": False}
        self.events.append(PayoutCreated(payout_id=id, item_count=1, created_at=self.now(), **about, **told))

    # --- what is true -------------------------------------------------------------------------------------------------

    def user_bookings(self) -> dict[UUID, dict[str, Any]]:
        return {
            id: {
                "user_name": self.users[row["user_id"]]["name"],
                "pet_name": "Rex",
                "starts_at": row["starts_at"],
                "status": row["status"],
                "payment_status": row["payment"],
                "refunded_amount": row["refunded"],
                "has_review": row["review"] is not None,
                "rating": None if row["review"] is None else row["review"][1],
                "source_version": row["version"],
            }
            for id, row in self.bookings.items()
        }

    def availability(self) -> dict[UUID, dict[str, Any]]:
        found = {}
        for id, row in self.products.items():
            offers = sorted(
                (each["marketplace_price"], str(each["vendor_id"]))
                for each in self.listings.values()
                if each["product_id"] == id
                and each["is_active"]
                and self.vendors[each["vendor_id"]]["status"] == "approved"
            )
            available, reserved, version = row["stock"]
            found[id] = {
                "name": row["name"],
                "quantity_available": available,
                "quantity_reserved": reserved,
                "availability": availability(row["is_active"], available, 5 if version else 0),
                "offer_count": len(offers),
                "lowest_price": offers[0][0] if offers else None,
                "source_version": row["version"],
                "stock_version": version,
            }
        return found

    def performance(self) -> dict[UUID, dict[str, Any]]:
        found = {}
        for id, row in self.vendors.items():
            items = [
                Item(
                    order_id, item["quantity"], item["subtotal"], item["commission_amount"], item["status"],
                    order["ordered_at"], item["at"],
                )
                for order_id, order in self.orders.items()
                for item in order["items"]
                if item["vendor_id"] == id
            ]  # fmt: skip
            due = [(each["amount"], each["done"]) for each in self.payouts.values() if each["vendor_id"] == id]
            figures = Figures.of(items)
            found[id] = {
                "business_name": row["business_name"],
                "status": row["status"],
                "active_listings": sum(each["is_active"] for each in self.listings.values() if each["vendor_id"] == id),
                "orders_total": figures.orders_total,
                "items_sold": figures.items_sold,
                "items_cancelled": figures.items_cancelled,
                "gross_revenue": figures.gross_revenue,
                "cancellation_rate": figures.cancellation_rate,
                "avg_fulfilment_hours": figures.avg_fulfilment_hours,
                "payouts_completed": sum((amount for amount, done in due if done), Decimal(0)),
                "payouts_outstanding": sum((amount for amount, done in due if not done), Decimal(0)),
            }
        return found


async def tell(host: Host, events: Sequence[Event]) -> None:
    """As the consumer groups do, without the inbox that would keep repeated ones away: a batch for each view."""
    for handler in host.views.handlers():
        mine = [event for event in events if type(event) in handler.messages]
        if mine:
            await host.work().run(lambda tx, handle=handler.function, mine=mine: handle(mine, tx))  # type: ignore[misc]


async def kept(host: Host, table: type[Any], like: dict[UUID, dict[str, Any]]) -> dict[UUID, dict[str, Any]]:
    """The view, with the columns of what it is compared with."""
    async with host.work().transaction(readonly=True) as tx:
        rows = (await tx.execute(select(table.__table__))).mappings().all()
    columns = next(iter(like.values()), {})
    (key,) = table.__table__.primary_key.columns
    return {row[key.name]: {name: row[name] for name in columns} for row in rows}


async def check(host: Host, owners: Owners) -> None:
    for table, truth in (
        (UserBookingRow, owners.user_bookings()),
        (AvailabilityRow, owners.availability()),
        (PerformanceRow, owners.performance()),
    ):
        assert await kept(host, table, truth) == truth, table.__tablename__


async def empty(host: Host) -> None:
    async with host.engine.write() as connection:
        for metadata in (host.service.metadata, host.tables.metadata):
            for table in metadata.sorted_tables:
                if table.name != "leases":
                    await connection.execute(delete(table))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), steps=st.integers(5, 60))
async def test_twice_late_and_out_of_order_changes_nothing(host: Host, seed: int, steps: int) -> None:
    rng = random.Random(seed)
    owners = Owners(rng, host.clock.now())
    owners.live(steps)
    await empty(host)
    told = owners.events + rng.choices(owners.events, k=steps // 2)
    rng.shuffle(told)
    while told:
        some = rng.randint(1, len(told))
        await tell(host, told[:some])
        del told[:some]
    await check(host, owners)
    await tell(host, owners.events[::-1])
    await check(host, owners)
