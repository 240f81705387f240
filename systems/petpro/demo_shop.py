"""The marketplace of the data sets: a catalogue with its stock ledger, vendors with their listings, orders, payouts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random
from uuid import UUID

from systems.petpro.demo_rows import Bundle, DataSet, People, Row, demo_id, stamps
from systems.petpro.inventory.contract import InventoryChanged, MovementType, ProductCreated
from systems.petpro.inventory.rules import level_of, signed
from systems.petpro.inventory.tables import Category, Product, Stock, StockMovement
from systems.petpro.vendor.contract import (
    VendorCreated,
    VendorProductChanged,
)
from systems.petpro.vendor.tables import Listing, Vendor

TOP = ("Food", "Toys", "Accessories", "Health", "Grooming", "Beds", "Training")
BELOW = {
    "Food": ("Dry food", "Wet food", "Treats", "Supplements"),
    "Health": ("Vitamins", "Flea and tick", "Dental care", "First aid"),
    "Grooming": ("Shampoo", "Brushes", "Clippers", "Wipes"),
}
THINGS = ("Salmon", "Chicken", "Bamboo", "Rope", "Classic", "Deluxe", "Mini", "Family", "Organic", "Soft")
PRODUCTS, LOW, OUT, THRESHOLD = 80, 6, 3, 5
SHOPS = (("Paws & Co", "Jakarta", "10.00"), ("Whisker Store", "Bandung", "12.50"), ("Happy Tails", "Surabaya", "10.00"),
         ("Feather & Fin", "Jakarta", "10.00"))  # fmt: skip
LISTINGS = 110


@dataclass(slots=True)
class Shelf:
    """A product with its stock; what orders do to it is booked in the ledger, and the level follows in the end."""

    product: Bundle
    target: int
    moves: list[tuple[MovementType, int, datetime, UUID, UUID]] = field(default_factory=list)
    stock: Row = field(default_factory=dict)

    def book(self, kind: MovementType, quantity: int, at: datetime, item_id: UUID, order_id: UUID) -> None:
        """A movement for an order's line."""
        self.moves.append((kind, signed(kind, quantity), at, item_id, order_id))

    def close(self, made: DataSet) -> None:
        """Let the first delivery have been as large as it takes to be left with the target; make rows of it all."""
        row, ledger = self.product.row, [(kind, quantity) for kind, quantity, *_ in self.moves]
        first, begun = self.target - level_of(ledger).available, made.ago(days=70)
        level = level_of([("stock_in", first), *ledger]) if first else level_of(ledger)
        version = 1 + len(ledger) + bool(first)
        changed_at = max([begun, *(at for _, _, at, *_ in self.moves)])
        if first:
            self._note(0, "stock_in", first, begun, None)
        for number, (kind, quantity, at, item_id, order_id) in enumerate(self.moves, 1):
            self._note(number, kind, quantity, at, (item_id, order_id))
        self.stock = {
            "id": demo_id("stock", row["id"]), "product_id": row["id"], "quantity_available": level.available,
            "quantity_reserved": level.reserved, "reorder_threshold": THRESHOLD, "warehouse_location": "A1",
            "last_restock_date": begun, "version": version, "low_stock_told_at": None, **stamps(begun, changed_at),
        }  # fmt: skip
        self.product.parts.insert(0, (Stock, self.stock))
        kind, quantity = ledger[-1] if ledger else ("stock_in", first)
        told = {"transaction_type": kind, "quantity": quantity, "changed_at": changed_at}
        self.product.facts.append(InventoryChanged.model_validate(self.stock | told))

    def _note(self, number: int, kind: str, quantity: int, at: datetime, line: tuple[UUID, UUID] | None) -> None:
        product_id = self.product.row["id"]
        self.product.also(
            StockMovement,
            {
                "id": demo_id("movement", f"{product_id}/{number}"), "product_id": product_id, "transaction_type": kind,
                "quantity": quantity, "reference_type": "order_item" if line else None,
                "reference_id": str(line[0]) if line else None,
                "details": {"order_id": str(line[1])} if line else {"reason": "first delivery"}, "created_at": at,
            },
        )  # fmt: skip


@dataclass(slots=True)
class Shop:
    """A vendor with what it offers, and what its delivered items bring."""

    vendor: Row
    offers: list[tuple[Row, Shelf]] = field(default_factory=list)
    delivered: list[Row] = field(default_factory=list)


# --- the catalogue ----------------------------------------------------------------------------------------------------


def add_categories(made: DataSet) -> list[Row]:
    """Seven at the top, and four below each of three of them."""
    at, leaves = made.ago(days=150), []
    for number, name in enumerate(TOP):
        top = made.add(Category, _category(name, None, number, at))
        below = [top.also(Category, _category(child, top.row, n, at)) for n, child in enumerate(BELOW.get(name, ()))]
        leaves += below or [top.row]
    return leaves


def _category(name: str, parent: Row | None, number: int, at: datetime) -> Row:
    return {
        "id": demo_id("category", name), "parent_id": parent["id"] if parent else None, "name": name,
        "description": None, "image_url": None, "is_active": True, "display_order": number, **stamps(at),
    }  # fmt: skip


def _add_products(made: DataSet, categories: list[Row], copy: int, random: Random) -> list[Shelf]:
    shelves = []
    for number in range(PRODUCTS):
        category, cost = categories[number % len(categories)], Decimal(random.randrange(15_000, 400_000, 500))
        id, on_sale = demo_id("product", f"{copy}.{number}"), number % 9 == 0
        row = {
            "id": id, "category_id": category["id"], "vendor_id": None, "details": None, "barcode": None,
            "name": f"{THINGS[number % len(THINGS)]} {category['name'].lower()} {copy * PRODUCTS + number + 1}",
            "description": f"{category['name']} for every day", "images": [], "regular_price": cost,
            "sale_price": cost - 2_000 if on_sale else None, "on_sale": on_sale, "weight": 0.5, "dimensions": {},
            "sku": f"DEMO-{copy * PRODUCTS + number + 1:05d}", "is_active": True, "is_featured": number < 5,
            "version": 1, **stamps(made.ago(days=75)),
        }  # fmt: skip
        told = ProductCreated.model_validate(
            {**row, "product_id": id, "category_name": category["name"], "image_url": None}
        )
        target = 0 if number < OUT else random.randint(1, THRESHOLD) if number < OUT + LOW else random.randint(40, 200)
        shelves.append(Shelf(made.add(Product, row, told), target))
    return shelves


# --- vendors ----------------------------------------------------------------------------------------------------------


def _add_vendors(made: DataSet, people: People, copy: int) -> list[Shop]:
    """Four; the last waits for approval."""
    shops = []
    for number, (name, city, rate) in enumerate(SHOPS):
        owner, id = people.owners[number + 2], demo_id("vendor", f"{copy}.{number}")
        approved = number < len(SHOPS) - 1
        row = {
            "id": id, "user_id": owner["id"], "business_name": f"{name} {copy + 1}" if copy else name,
            "business_type": "retail", "contact_name": owner["name"], "email": f"shop{copy}.{number}@petpro.test",
            "phone": owner["phone"], "address": f"Jl. Kenanga {number + 1}", "city": city, "province": city,
            "postal_code": "10110", "tax_id": None, "website": None, "status": "approved" if approved else "pending",
            "verification_data": {}, "commission_rate": Decimal(rate), "version": 2 if approved else 1,
            **stamps(made.ago(days=80)),
        }  # fmt: skip
        shops.append(Shop(made.add(Vendor, row, VendorCreated.model_validate({**row, "vendor_id": id})).row))
    return shops


def _add_listings(made: DataSet, shops: list[Shop], shelves: list[Shelf], random: Random) -> None:
    """110 of the approved vendors; what is out of stock is listed as well, and ordered no more."""
    approved, at = [shop for shop in shops if shop.vendor["status"] == "approved"], made.ago(days=72)
    for number in range(LISTINGS):
        shop, shelf = approved[number % len(approved)], shelves[number * 7 % len(shelves)]
        cost: Decimal = shelf.product.row["regular_price"]
        id = demo_id("listing", f"{shop.vendor['id']}/{shelf.product.row['id']}")
        row = {
            "id": id, "vendor_id": shop.vendor["id"], "product_id": shelf.product.row["id"], "vendor_price": cost,
            "marketplace_price": cost + random.randrange(1_000, 20_000, 500), "quantity_available": 0,
            "is_active": True, "stock_version": 0, **stamps(at),
        }  # fmt: skip
        told = {"vendor_product_id": id, "change": "created", "changed_at": at}
        made.add(Listing, row, VendorProductChanged.model_validate(row | told))
        shop.offers.append((row, shelf))


def add_shop(made: DataSet, categories: list[Row], people: People, copy: int, random: Random) -> list[Shop]:
    """80 products, and 4 vendors with 110 listings; the vendors that sell something."""
    shelves = _add_products(made, categories, copy, random)
    shops = _add_vendors(made, people, copy)
    _add_listings(made, shops, shelves, random)
    return [shop for shop in shops if shop.offers]


def close_shelves(made: DataSet, shops: list[Shop]) -> None:
    """Once all is ordered, the stock follows from the ledger, and listings show it."""
    shelves = {id(shelf): shelf for shop in shops for _, shelf in shop.offers}
    for shelf in shelves.values():
        shelf.close(made)
    for listing, shelf in (offer for shop in shops for offer in shop.offers):
        listing.update(quantity_available=shelf.stock["quantity_available"], stock_version=shelf.stock["version"])
