"""The rows of PetPro's data sets: the same every time, and each copy with keys of its own."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from systems.petpro import demo
from systems.petpro.auth.tables import Account
from systems.petpro.booking.tables import Booking, Reservation
from systems.petpro.clinic.tables import Clinic
from systems.petpro.inventory.tables import OrderHold, Product
from systems.petpro.pet.tables import Pet
from systems.petpro.vendor.order_tables import Order, Payout
from systems.petpro.vendor.tables import Vendor


def test_two_copies_share_no_key() -> None:
    now = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
    roles = {role: demo.demo_id("role", role) for role in ("admin", "vendor", "staff", "customer")}
    made = demo.make(2, now, "-", roles)
    again = demo.make(2, now, "-", roles)
    for table, bundles in made.bundles.items():
        assert [bundle.row for bundle in bundles] == [bundle.row for bundle in again.bundles[table]]
    rows: dict[type[Any], list[dict[str, Any]]] = defaultdict(list)
    for table, bundle in ((table, bundle) for table, bundles in made.bundles.items() for bundle in bundles):
        for kind, row in [(table, bundle.row), *bundle.parts]:
            rows[kind].append(row)
    unique = {Account: "email", Clinic: "email", Product: "sku", Booking: "reference_code", Order: "order_number",
              Payout: "reference_number", Pet: "microchip_id", Vendor: "email", Reservation: "lock_id"}  # fmt: skip
    for kind, found in rows.items():
        key = unique.get(kind, "order_id" if kind is OrderHold else "id")
        assert len({row[key] for row in found}) == len(found), kind
