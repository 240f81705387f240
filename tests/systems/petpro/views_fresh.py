"""What the wide views must say: computed anew from the owners' own tables, by other code than the service's."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from systems.petpro.auth.tables import Account
from systems.petpro.booking.money_tables import Payment
from systems.petpro.booking.tables import Booking, ClinicService, Review
from systems.petpro.clinic.tables import Clinic
from systems.petpro.inventory.tables import Category, Product, Stock
from systems.petpro.pet.tables import Pet
from systems.petpro.vendor.order_tables import Order, OrderItem, Payout
from systems.petpro.vendor.tables import Listing, Vendor
from systems.petpro.views.tables import AvailabilityRow, PerformanceRow, UserBookingRow
from tests.systems.petpro.stage import Stage

Rows = dict[UUID, dict[str, Any]]
CENT = Decimal("0.01")


async def kept(stage: Stage, table: type[Any]) -> Rows:
    """The view as it is, without the moments at which its rows changed."""
    columns = [column for column in table.__table__.columns if column.name != "updated_at"]
    async with stage.world.work("views").transaction(readonly=True) as tx:
        rows = (await tx.execute(select(*columns))).mappings().all()
    return {row[columns[0].name]: dict(row) for row in rows}


async def assert_fresh(stage: Stage) -> None:
    """Every view equals a fresh computation."""
    await stage.world.settle()
    for table, compute in FRESH.items():
        assert await kept(stage, table) == await compute(stage), table.__tablename__


async def user_bookings(stage: Stage) -> Rows:
    users = {user.id: user for user in await stage.rows("auth", Account)}
    pets = {pet.id: pet for pet in await stage.rows("pet", Pet)}
    clinics = {clinic.id: clinic for clinic in await stage.rows("clinic", Clinic)}
    services = {service.id: service for service in await stage.rows("booking", ClinicService)}
    payments = {payment.booking_id: payment for payment in await stage.rows("booking", Payment)}
    reviews = {review.booking_id: review for review in await stage.rows("booking", Review)}
    found: Rows = {}
    for booking in await stage.rows("booking", Booking):
        payment, review = payments[booking.id], reviews.get(booking.id)
        found[booking.id] = {
            "booking_id": booking.id,
            "user_id": booking.user_id,
            "user_name": users[booking.user_id].profile.full_name,
            "user_email": users[booking.user_id].email,
            "pet_id": booking.pet_id,
            "pet_name": pets[booking.pet_id].name,
            "pet_species": pets[booking.pet_id].species,
            "clinic_id": booking.clinic_id,
            "clinic_name": clinics[booking.clinic_id].name,
            "clinic_city": clinics[booking.clinic_id].city,
            "service_id": booking.service_id,
            "service_name": services[booking.service_id].name,
            "reference_code": booking.reference_code,
            "starts_at": booking.starts_at,
            "ends_at": booking.ends_at,
            "status": booking.status,
            "payment_status": payment.status,
            "amount": booking.amount,
            "refunded_amount": payment.refunded_amount,
            "currency": payment.currency,
            "has_review": review is not None,
            "rating": None if review is None else review.rating,
            "source_version": booking.version,
        }
    return found


async def availability(stage: Stage) -> Rows:
    categories = {category.id: category.name for category in await stage.rows("inventory", Category)}
    stock = {row.product_id: row for row in await stage.rows("inventory", Stock)}
    vendors = {vendor.id: vendor for vendor in await stage.rows("vendor", Vendor)}
    listings = [each for each in await stage.rows("vendor", Listing) if each.is_active]
    found: Rows = {}
    for product in await stage.rows("inventory", Product):
        there = stock[product.id]
        mine = [
            (listing.marketplace_price, str(listing.vendor_id), vendors[listing.vendor_id].business_name)
            for listing in listings
            if listing.product_id == product.id and vendors[listing.vendor_id].status == "approved"
        ]
        if not product.is_active:
            state = "inactive"
        elif there.quantity_available == 0:
            state = "out_of_stock"
        else:
            state = "low_stock" if there.quantity_available <= there.reorder_threshold else "in_stock"
        found[product.id] = {
            "product_id": product.id,
            "name": product.name,
            "sku": product.sku,
            "category_id": product.category_id,
            "category_name": categories[product.category_id],
            "regular_price": product.regular_price,
            "effective_price": product.effective_price,
            "quantity_available": there.quantity_available,
            "quantity_reserved": there.quantity_reserved,
            "reorder_threshold": there.reorder_threshold,
            "availability": state,
            "offers": [
                {"vendor_id": id, "business_name": name, "price": f"{price:.2f}"} for price, id, name in sorted(mine)
            ],
            "offer_count": len(mine),
            "lowest_price": min(mine)[0] if mine else None,
            "is_active": product.is_active,
            "source_version": product.version,
            "stock_version": there.version,
        }
    return found


async def performance(stage: Stage) -> Rows:
    ordered = {order.id: order.order_date for order in await stage.rows("vendor", Order)}
    items, payouts = await stage.rows("vendor", OrderItem), await stage.rows("vendor", Payout)
    listings = await stage.rows("vendor", Listing)
    found: Rows = {}
    for vendor in await stage.rows("vendor", Vendor):
        mine = [item for item in items if item.vendor_id == vendor.id]
        sold = [item for item in mine if item.status == "delivered"]
        units = sum(item.quantity for item in mine)
        lost = sum(
            item.quantity
            for item in mine
            if item.status == "cancelled" or (item.status == "refunded" and item.delivered_at is None)
        )
        hours = [
            Decimal((item.delivered_at - ordered[item.order_id]).total_seconds()) / 3600
            for item in sold
            if item.delivered_at is not None
        ]
        due = [(payout.amount, payout.status) for payout in payouts if payout.vendor_id == vendor.id]
        found[vendor.id] = {
            "vendor_id": vendor.id,
            "business_name": vendor.business_name,
            "status": vendor.status,
            "active_listings": sum(each.is_active and each.vendor_id == vendor.id for each in listings),
            "orders_total": len({item.order_id for item in mine}),
            "items_sold": sum(item.quantity for item in sold),
            "items_cancelled": lost,
            "gross_revenue": sum((item.subtotal for item in sold), Decimal(0)),
            "commission_total": sum((item.commission_amount for item in sold), Decimal(0)),
            "payouts_completed": sum((amount for amount, status in due if status == "completed"), Decimal(0)),
            "payouts_outstanding": sum((amount for amount, status in due if status != "completed"), Decimal(0)),
            "cancellation_rate": _rounded(Decimal(100 * lost) / units) if units else Decimal(0),
            "avg_fulfilment_hours": _rounded(sum(hours, Decimal(0)) / len(hours)) if hours else None,
            "last_order_at": max((ordered[item.order_id] for item in mine), default=None),
        }
    return found


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


FRESH: dict[type[Any], Callable[[Stage], Any]] = {
    UserBookingRow: user_bookings,
    AvailabilityRow: availability,
    PerformanceRow: performance,
}
