"""`user_bookings_view`: every booking with its payment, its review and the names of all that take part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select

from freehold import Change, Derived, Tx, View
from systems.petpro.booking.contract import (
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingCreated,
    BookingRescheduled,
    BookingRow,
    BookingStatusChanged,
    PaymentFailed,
    PaymentProcessed,
    PaymentRefunded,
    ReviewDeleted,
    ReviewRow,
    ReviewSubmitted,
    ReviewUpdated,
    SnapshotBookings,
    SnapshotReviews,
)
from systems.petpro.views.declaration import views
from systems.petpro.views.facts_tables import BookingFact, PaymentFact, ReviewFact
from systems.petpro.views.refs import NOTHING, Kind, ids_of, known, refs
from systems.petpro.views.states import note_event
from systems.petpro.views.tables import UserBookingRow

NAME = "user_bookings_view"
PARTIES: dict[Kind, Any] = {
    "clinic": BookingFact.clinic_id, "pet": BookingFact.pet_id, "service": BookingFact.service_id,
    "user": BookingFact.user_id,
}  # fmt: skip

# --- bookings ---------------------------------------------------------------------------------------------------------

bookings = views.view(
    View("booking_facts", table=BookingFact, key="booking_id", version="version", rebuild=SnapshotBookings)
)
_COLUMNS = set(BookingFact.__table__.columns.keys()) - {"version"}


@bookings.on(
    BookingCreated, BookingConfirmed, BookingCancelled, BookingCompleted, BookingRescheduled, BookingStatusChanged
)
def booking_told(event: Any) -> Change:
    """Each names some columns, and all are called as they are here."""
    return Change(event.model_dump(include=_COLUMNS), version=event.version)


# --- payments: their events have no version, but a time and a state --------------------------------------------------

payments = views.view(View("payment_facts", table=PaymentFact, key="booking_id", version="version"))
_STATES = ("pending", "processing", "failed", "success", "refund_pending", "partially_refunded", "refunded")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def payment_version(at: datetime, status: str) -> int:
    """Later is newer; of one moment, the state that comes later in a payment's life."""
    return (at - _EPOCH) // timedelta(microseconds=1) * len(_STATES) + _STATES.index(status)


def _paid(booking_id: UUID, at: datetime, status: str, refunded: Decimal | None = None) -> Change:
    values: dict[str, Any] = {"booking_id": booking_id, "payment_status": status}
    if refunded is not None:
        values["refunded_amount"] = refunded
    return Change(values, version=payment_version(at, status))


@payments.on(BookingCreated)
def payment_awaited(event: BookingCreated) -> Change:
    return _paid(event.booking_id, event.created_at, "pending")


@payments.on(PaymentProcessed)
def payment_processed(event: PaymentProcessed) -> Change:
    return _paid(event.booking_id, event.processed_at, event.status)


@payments.on(PaymentFailed)
def payment_failed(event: PaymentFailed) -> Change:
    return _paid(event.booking_id, event.failed_at, event.status)


@payments.on(PaymentRefunded)
def payment_refunded(event: PaymentRefunded) -> Change:
    return _paid(event.booking_id, event.refunded_at, event.status, event.refunded_total)


@payments.on(BookingCancelled)
def refund_begun(event: BookingCancelled) -> Change | None:
    return _paid(event.booking_id, event.cancelled_at, "refund_pending") if event.refund_amount else None


@payments.snapshot(SnapshotBookings)
def payment_of(row: BookingRow) -> Change:
    return _paid(row.booking_id, row.updated_at, row.payment_status, row.refunded_amount)


# --- reviews ----------------------------------------------------------------------------------------------------------

reviews = views.view(View("review_facts", table=ReviewFact, key="review_id", version="version"))


@reviews.on(ReviewSubmitted, ReviewUpdated)
@reviews.snapshot(SnapshotReviews)
def review_told(told: ReviewSubmitted | ReviewUpdated | ReviewRow) -> Change:
    return _review(told)


@reviews.on(ReviewDeleted)
def review_deleted(event: ReviewDeleted) -> Change:
    return _review(event, is_deleted=True)


def _review(told: Any, *, is_deleted: bool = False) -> Change:
    names = {name: getattr(told, name) for name in ("review_id", "booking_id", "rating")}
    return Change({**names, "is_deleted": is_deleted}, version=told.version)


# --- the view ---------------------------------------------------------------------------------------------------------

user_bookings = views.view(Derived(NAME, table=UserBookingRow, key="booking_id", updated="updated_at"))


@user_bookings.follows(bookings)
@user_bookings.follows(payments)
async def themselves(booking_ids: Sequence[UUID], tx: Tx) -> Iterable[UUID]:
    return booking_ids


@user_bookings.follows(reviews)
async def reviewed(review_ids: Sequence[UUID], tx: Tx) -> Iterable[UUID]:
    return await tx.scalars(select(ReviewFact.booking_id).where(ReviewFact.review_id.in_(review_ids)))


@user_bookings.follows(refs)
async def taking_part(keys: Sequence[tuple[str, UUID]], tx: Tx) -> Iterable[UUID]:
    found: list[UUID] = []
    for kind, column in PARTIES.items():
        if ids := ids_of(kind, keys):
            found += await tx.scalars(select(BookingFact.booking_id).where(column.in_(ids)))
    return found


@user_bookings.computes
async def user_booking_rows(booking_ids: Sequence[UUID], tx: Tx) -> list[dict[str, Any]]:
    await note_event(NAME, tx)
    facts = select(BookingFact.__table__).where(BookingFact.booking_id.in_(booking_ids))
    booked = (await tx.execute(facts)).mappings().all()
    parties = {
        kind: await known(kind, (booking[column.key] for booking in booked), tx) for kind, column in PARTIES.items()
    }
    paid, rated = await _paid_of(booking_ids, tx), await _ratings_of(booking_ids, tx)
    return [
        {**_named(booking, parties), **paid.get(booking["booking_id"], _UNPAID), **rated[booking["booking_id"]]}
        for booking in booked
    ]


_UNPAID = {"payment_status": "pending", "refunded_amount": Decimal(0)}
_KEPT = (
    "booking_id", "user_id", "pet_id", "clinic_id", "service_id", "reference_code", "starts_at", "ends_at", "status",
    "amount", "currency",
)  # fmt: skip


def _named(booking: RowMapping, parties: dict[Kind, dict[UUID, Any]]) -> dict[str, Any]:
    """Everybody by the name of today; whom nobody told of yet, by that of the day of the booking."""
    clinic, pet, service, user = (
        parties[kind].get(booking[f"{kind}_id"], NOTHING).data for kind in ("clinic", "pet", "service", "user")
    )
    return {
        **{name: booking[name] for name in _KEPT},
        "user_name": user.get("full_name", booking["user_name"]),
        "user_email": user.get("email", booking["user_email"]),
        "pet_name": pet.get("name", booking["pet_name"]),
        "pet_species": pet.get("species", booking["pet_species"]),
        "clinic_name": clinic.get("name", booking["clinic_name"]),
        "clinic_city": clinic.get("city"),
        "service_name": service.get("name", booking["service_name"]),
        "source_version": booking["version"],
    }


async def _paid_of(booking_ids: Sequence[UUID], tx: Tx) -> dict[UUID, dict[str, Any]]:
    columns = PaymentFact.booking_id, PaymentFact.payment_status, PaymentFact.refunded_amount
    found = await tx.execute(select(*columns).where(PaymentFact.booking_id.in_(booking_ids)))
    return {id: {"payment_status": status, "refunded_amount": refunded} for id, status, refunded in found}


async def _ratings_of(booking_ids: Sequence[UUID], tx: Tx) -> dict[UUID, dict[str, Any]]:
    """A booking has one review at a time; one that follows a deleted one is another."""
    standing = select(ReviewFact.booking_id, ReviewFact.rating).where(
        ReviewFact.booking_id.in_(booking_ids), ~ReviewFact.is_deleted
    )
    found: dict[UUID, dict[str, Any]] = defaultdict(lambda: {"has_review": False, "rating": None})
    for booking_id, rating in await tx.execute(standing.order_by(ReviewFact.review_id)):
        found[booking_id] = {"has_review": True, "rating": rating}
    return found
