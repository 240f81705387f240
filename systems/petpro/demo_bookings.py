"""The bookings of the data sets, with payments, entries and reviews, as their history would have left them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import update

from freehold import Event, Tx
from systems.petpro.booking.contract import (
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingCreated,
    BookingStatus,
    BookingStatusChanged,
    EntryKind,
    EntryStatus,
    FinancialEntryRecorded,
    PaymentFailed,
    PaymentProcessed,
    PaymentRefunded,
    PaymentStatus,
    ReviewSubmitted,
)
from systems.petpro.booking.money_tables import FinancialEntry, Payment
from systems.petpro.booking.rules import Split, instant, share, split
from systems.petpro.booking.sagas import Appointment, book_appointment
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.tables import Booking, Reservation, Review
from systems.petpro.demo_clinics import DAYS_AHEAD, ZONE, Practice, today, working_days
from systems.petpro.demo_rows import Bundle, DataSet, Row, demo_id, scattered, stamps
from systems.petpro.gateway import BOOKINGS

HOW_MANY: Sequence[tuple[str, int]] = (
    ("completed", 70), ("confirmed", 20), ("no_show", 5), ("pending_approval", 5), ("pending_payment", 10),
    ("timed_out", 4), ("refunded", 4), ("half_refunded", 2),
)  # fmt: skip
BOOKED = sum(count for _, count in HOW_MANY)
PAST = {"completed", "no_show", "refunded", "half_refunded", "timed_out"}
STARS = (
    (5, 5, 5, 5, 5, 5, 5, 5, 5, 4),
    (5, 5, 5, 5, 5, 5, 4, 4, 4, 4, 3, 3),
    (5, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3, 2, 2),
    (5, 5, 4, 4, 3, 3, 2, 2, 2, 1),
)
"""What each approved clinic's reviews give: 4.9, 4.3, 3.8 and 3.1 on average."""
WORDS = {5: "Wonderful, thank you!", 4: "Good, with a short wait", 3: "All right", 2: "It took long", 1: "Not again"}
METHODS = ("credit_card", "bank_transfer", "e_wallet")
SETTINGS = BookingSettings()


@dataclass(slots=True)
class Story:
    """A booking on its way: each step changes the rows, and tells of it."""

    bundle: Bundle
    booking: Row
    payment: Row
    rate: Decimal
    facts: list[Event] = field(default_factory=list)

    def move(self, status: BookingStatus, at: datetime) -> str:
        """The next state; the one before."""
        before: str = self.booking["status"]
        self.booking.update(status=status, version=self.booking["version"] + 1, updated_at=at)
        if status in ("completed", "cancelled", "no_show"):
            self.booking["ended_at"] = at
        return before

    def tell(self, kind: type[Event], **more: Any) -> None:
        """An event with what the booking's row has of its fields."""
        self.facts.append(
            kind.model_validate({**self.booking, "booking_id": self.booking["id"], "currency": "IDR"} | more)
        )

    def pay(self, at: datetime) -> None:
        self.payment.update(status="success", paid_at=at, updated_at=at)
        self.tell(
            PaymentProcessed, payment_id=self.payment["id"], external_reference=self.payment["external_reference"],
            payment_method=self.payment["payment_method"], status="success", processed_at=at,
        )  # fmt: skip

    def confirm(self, at: datetime) -> None:
        self.move("confirmed", at)
        self.enter("booking_fee", split(self.booking["amount"], self.rate, SETTINGS.tax_rate_percent), at)
        self.tell(BookingConfirmed, confirmed_at=at)

    def change(self, status: BookingStatus, at: datetime) -> None:
        """A state that has no event of its own."""
        before = self.move(status, at)
        self.tell(BookingStatusChanged, previous_status=before, changed_by=None, changed_at=at)

    def complete(self, at: datetime, now: datetime) -> None:
        """The visit is over; the clinic has its share when that was long enough ago."""
        self.change("in_progress", at - timedelta(minutes=30))
        self.move("completed", at)
        self.tell(BookingCompleted, service_name=self.booking["snapshot"]["service"]["name"], completed_at=at)
        settled_at = at + timedelta(days=SETTINGS.settlement_hold_days)
        if settled_at <= now:
            self.close_entries("settled", settled_at)

    def give_up(self, at: datetime) -> None:
        """Nobody paid."""
        self.payment.update(status="failed", updated_at=at)
        self.tell(PaymentFailed, payment_id=self.payment["id"], reason="payment_timeout", status="failed", failed_at=at)
        self.cancel("payment_timeout", "system", 0, at)

    def refund(self, percent: int, at: datetime) -> None:
        """The customer called it off, and has so much of the money back."""
        amount, whole = share(self.booking["amount"], percent), percent == 100
        self.cancel("changed plans", "customer", percent, at)
        if whole:
            self.close_entries("cancelled", at)
        else:
            self.enter("refund", -split(amount, self.rate, SETTINGS.tax_rate_percent), at)
        status: PaymentStatus = "refunded" if whole else "partially_refunded"
        done = {"sequence": 1, "amount": f"{amount:.2f}", "reason": "changed plans", "id": "re_demo"}
        self.payment.update(
            status=status, refunded_amount=amount, payment_details={"refunds": [done]}, updated_at=at
        )  # fmt: skip
        self.tell(
            PaymentRefunded, payment_id=self.payment["id"], amount=amount, refunded_total=amount, status=status,
            reason="changed plans", refunded_at=at,
        )  # fmt: skip

    def cancel(self, reason: str, by: str, percent: int, at: datetime) -> None:
        amount = share(self.booking["amount"], percent)
        before = self.move("cancelled", at)
        self.booking.update(cancellation_reason=reason, holds_seat=False)
        self.tell(
            BookingCancelled, previous_status=before, cancelled_by=by, refund_percent=percent, refund_amount=amount,
            refund_status="processing" if amount else "none", cancelled_at=at,
        )  # fmt: skip

    def enter(self, kind: EntryKind, parts: Split, at: datetime) -> None:
        self.bundle.also(
            FinancialEntry,
            {
                "id": demo_id(kind, self.booking["id"]), "booking_id": self.booking["id"],
                "clinic_id": self.booking["clinic_id"], "type": kind, "total_amount": parts.total,
                "platform_fee": parts.platform_fee, "clinic_amount": parts.clinic_amount, "tax_amount": parts.tax,
                "currency": "IDR", "status": "pending", "settlement_date": None, "commission_rate": self.rate,
                **stamps(at),
            },
        )  # fmt: skip

    @property
    def entries(self) -> list[Row]:
        return [row for table, row in self.bundle.parts if table is FinancialEntry]

    def close_entries(self, status: EntryStatus, at: datetime) -> None:
        for entry in self.entries:
            entry.update(status=status, settlement_date=at if status == "settled" else None, updated_at=at)


@dataclass(frozen=True, slots=True)
class Visit:
    """Who comes where, and for what."""

    practice: Practice
    service: Row
    slot: Row
    pet: Row
    customer: Row


def add_bookings(made: DataSet, practices: list[Practice], pets: list[Row], numbers: range, random: Random) -> None:
    """120 bookings at the approved clinics, and 45 reviews of those that are completed."""
    open_ones = [practice for practice in practices if practice.services]
    reviewed = [iter(stars) for stars in STARS]
    kinds = [kind for kind, count in HOW_MANY for _ in range(count)]
    for number, (running, kind) in enumerate(zip(numbers, kinds, strict=True)):
        practice, pet = open_ones[number % len(open_ones)], pets[number % len(pets)]
        visit = Visit(practice, *_choose(made, practice, kind, random), pet, made.people[pet["user_id"]])
        story = _begin(made, visit, running, kind)
        _go_on(story, kind, made.now)
        _finish(story, visit.slot)
        if kind == "completed" and (stars := next(reviewed[number % len(open_ones)], None)) is not None:
            _review(made, story.booking, stars)


def _choose(made: DataSet, practice: Practice, kind: str, random: Random) -> tuple[Row, Row]:
    """A service and one of its slots with a free seat."""
    by_approval = [service for service in practice.services if service["requires_approval"]]
    others = [service for service in practice.services if not service["requires_approval"]]
    days = working_days(today(made), range(-50, 0) if kind in PAST else range(2, DAYS_AHEAD + 1))
    while True:
        service = random.choice(by_approval if kind == "pending_approval" and by_approval else others)
        slot = practice.slot(made, service, random.choice(days), random.randrange(8))
        if slot["booked_count"] < slot["capacity"]:
            return service, slot


def _begin(made: DataSet, visit: Visit, number: int, kind: str) -> Story:
    """The booking as it was made, with its reservation and its payment."""
    service, slot, pet, customer, clinic = (
        visit.service, visit.slot, visit.pet, visit.customer, visit.practice.clinic,
    )  # fmt: skip
    starts_at = instant(slot["slot_date"], slot["slot_start_time"], ZONE)
    at = {"pending_payment": made.now, "pending_approval": made.ago(hours=1)}.get(
        kind, min(starts_at - timedelta(days=4), made.ago(days=1))
    )
    id, payment_id = demo_id("booking", number), demo_id("payment", number)
    expires_at = at + timedelta(seconds=SETTINGS.payment_window_seconds)
    reservation = {
        "id": demo_id("reservation", number), "user_id": customer["id"], "pet_id": pet["id"],
        "service_id": service["id"], "slot_id": slot["id"], "lock_id": demo_id("lock", number).hex,
        "status": "pending", "expires_at": expires_at, "extend_count": 0, **stamps(at),
    }  # fmt: skip
    booking = {
        "id": id, "reservation_id": reservation["id"], "user_id": customer["id"], "pet_id": pet["id"],
        "clinic_id": clinic["id"], "service_id": service["id"], "slot_id": slot["id"], "payment_id": None,
        "reference_code": f"BP{scattered(number):08d}", "amount": visit.practice.prices[service["id"]],
        "status": "pending_payment", "cancellation_reason": None, "notes": None, "reschedule_count": 0,
        "holds_seat": True, "version": 1, "staff_id": slot["staff_id"], "starts_at": starts_at, "ended_at": None,
        "ends_at": instant(slot["slot_date"], slot["slot_end_time"], ZONE),
        "snapshot": _snapshot(visit), **stamps(at),
    }  # fmt: skip
    payment = {
        "id": payment_id, "booking_id": id, "external_reference": f"{BOOKINGS}{payment_id.hex}",
        "amount": booking["amount"], "currency": "IDR", "payment_method": METHODS[number % len(METHODS)],
        "status": "pending", "payment_details": {}, "paid_at": None, "refunded_amount": Decimal(0), "refund_tries": 0,
        "refund_due_at": None, **stamps(at),
    }  # fmt: skip
    bundle = made.add(Reservation, reservation)
    bundle.also(Booking, booking)
    bundle.also(Payment, payment)
    story = Story(bundle, booking, payment, clinic["commission_rate"])
    said = booking["snapshot"]
    story.tell(
        BookingCreated, user_name=customer["name"], user_email=customer["email"], pet_name=pet["name"],
        pet_species=pet["species"], clinic_name=clinic["name"], service_name=said["service"]["name"],
    )  # fmt: skip
    return story


def _snapshot(visit: Visit) -> Row:
    """What the booking keeps of all that it is about."""
    customer, pet, service, slot = visit.customer, visit.pet, visit.service, visit.slot
    return {
        "user": {"name": customer["name"], "email": customer["email"], "phone": customer["phone"]},
        "pet": {"name": pet["name"], "species": pet["species"], "breed": pet["breed"]},
        "clinic": {"name": visit.practice.clinic["name"], "timezone": ZONE},
        "service": {
            "name": service["name"], "duration": service["duration_minutes"], "price": f"{service['price']:.2f}",
        },
        "schedule": {
            "date": slot["slot_date"].isoformat(), "start_time": f"{slot['slot_start_time']:%H:%M}",
            "end_time": f"{slot['slot_end_time']:%H:%M}",
        },
    }  # fmt: skip


def _go_on(story: Story, kind: str, now: datetime) -> None:
    """What has happened since it was made."""
    made_at, starts_at, ends_at = (story.booking[name] for name in ("created_at", "starts_at", "ends_at"))
    soon = made_at + timedelta(minutes=5)
    if kind == "pending_payment":
        return
    if kind == "timed_out":
        story.give_up(made_at + timedelta(seconds=SETTINGS.payment_window_seconds))
        return
    story.pay(soon)
    if kind == "pending_approval":
        story.change("pending_approval", soon)
        return
    story.confirm(soon)
    if kind == "completed":
        story.complete(ends_at, now)
    elif kind == "no_show":
        story.change("no_show", ends_at + timedelta(hours=SETTINGS.no_show_after_end_hours))
    elif kind == "refunded":
        story.refund(100, starts_at - timedelta(hours=60))
    elif kind == "half_refunded":
        story.refund(50, starts_at - timedelta(hours=30))


def _finish(story: Story, slot: Row) -> None:
    """The seat, the reservation and the events follow from where the booking stands."""
    reservation, booking, payment = story.bundle.row, story.booking, story.payment
    if booking["holds_seat"]:
        slot["booked_count"] += 1
        slot["status"] = "booked" if slot["booked_count"] == slot["capacity"] else "available"
    ended = "expired" if booking["cancellation_reason"] == "payment_timeout" else "cancelled"
    if booking["status"] != "pending_payment":
        reservation["status"] = ended if booking["status"] == "cancelled" else "confirmed"
        reservation["updated_at"] = booking["updated_at"]
    for entry in story.entries:
        named = {"entry_id": entry["id"], "recorded_at": entry["updated_at"]}
        story.facts.append(FinancialEntryRecorded.model_validate({**entry, **named}))
    story.bundle.facts.extend(story.facts)
    story.bundle.then.append(partial(_link, booking["id"], payment["id"]))
    if booking["status"] == "pending_payment":
        waiting = Appointment(
            booking_id=booking["id"], reservation_id=reservation["id"], lock_id=reservation["lock_id"],
            payment_id=payment["id"], clinic_id=booking["clinic_id"],
        )  # fmt: skip
        story.bundle.then.append(partial(_wait, waiting))


async def _link(booking_id: UUID, payment_id: UUID, tx: Tx) -> None:
    """Booking and payment name each other, so that one of them is inserted first."""
    await tx.execute(update(Booking).where(Booking.id == booking_id).values(payment_id=payment_id))


async def _wait(waiting: Appointment, tx: Tx) -> None:
    await tx.start(book_appointment, waiting)


def _review(made: DataSet, booking: Row, stars: int) -> None:
    id, at = demo_id("review", booking["id"]), booking["ended_at"] + timedelta(hours=6)
    row = {
        "id": id, "rating": stars, "comment": WORDS[stars], "attachments": [], "is_verified": True,
        "is_published": True, "anonymous": stars == 1, "helpful_count": 0, "version": 1, "booking_id": booking["id"],
        **{name: booking[name] for name in ("user_id", "clinic_id", "service_id")}, **stamps(at),
    }  # fmt: skip
    made.add(Review, row, ReviewSubmitted.model_validate({**row, "review_id": id, "submitted_at": at}))
