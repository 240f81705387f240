"""What clinic keeps of others' events: its calendar, its ratings, its users; and the nightly comparison."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from freehold import Event, uuid7
from freehold.observe.metrics import METRICS
from systems.petpro.booking.contract import (
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingCreated,
    BookingRescheduled,
    BookingStatusChanged,
    ReviewDeleted,
    ReviewSubmitted,
    ReviewUpdated,
)
from systems.petpro.booking.tables import Review
from systems.petpro.clinic.contract import ClinicRatingUpdated
from systems.petpro.clinic.tables import Appointment, Rating, ReviewRef
from tests.systems.petpro.clinic_stage import approved_clinic, new_booking, new_service
from tests.systems.petpro.stage import Stage, problem, stage_mark

pytestmark = stage_mark

NINE = datetime(2030, 3, 4, 2, 0, tzinfo=UTC)  # 09:00 in Jakarta


# --- the calendar -----------------------------------------------------------------------------------------------------


def story(clinic_id: UUID, booking_id: UUID) -> list[Event]:
    """A booking that is made, confirmed, moved by a day, begun, and completed."""
    pet, service, slot, user, staff = (uuid7() for _ in range(5))
    known: dict[str, Any] = {
        "booking_id": booking_id, "reference_code": "BP12345678", "user_id": user, "pet_id": pet, "clinic_id": clinic_id,
        "service_id": service, "slot_id": slot, "staff_id": staff, "amount": Decimal("250000.00"), "currency": "IDR",
        "starts_at": NINE, "ends_at": NINE + timedelta(minutes=30),
    }  # fmt: skip
    later = NINE + timedelta(days=1)
    return [
        BookingCreated(
            **known, reservation_id=uuid7(), user_name="Ann Lee", user_email="ann@example.com", pet_name="Rex",
            pet_species="dog", clinic_name="Paw", service_name="Check-up", status="pending_payment", version=1,
            created_at=NINE,
        ),
        BookingConfirmed(**known, status="confirmed", version=2, confirmed_at=NINE),
        BookingRescheduled(
            booking_id=booking_id, previous_slot_id=slot, slot_id=uuid7(), staff_id=None, starts_at=later,
            ends_at=later + timedelta(minutes=30), status="confirmed", version=3, rescheduled_at=NINE,
        ),
        BookingStatusChanged(
            booking_id=booking_id, reference_code="BP12345678", previous_status="confirmed", status="in_progress",
            version=4, changed_by=None, changed_at=NINE,
        ),
        BookingCompleted(
            booking_id=booking_id, reference_code="BP12345678", user_id=user, pet_id=pet, clinic_id=clinic_id,
            service_id=service, service_name="Check-up", status="completed", version=5, completed_at=NINE,
        ),
    ]  # fmt: skip


async def test_the_calendar_is_the_same_in_whatever_order_it_is_told(stage: Stage) -> None:
    clinic_id = UUID(await approved_clinic(stage, await stage.vendor(), await stage.admin()))
    orders = [order for number, order in enumerate(permutations(range(5))) if number % 17 == 0]
    for order in orders:
        booking_id = uuid7()
        events = story(clinic_id, booking_id)
        for number in order:
            await stage.world.deliver("clinic", events[number], times=2)
        (row,) = await stage.rows("clinic", Appointment, Appointment.booking_id == booking_id)
        assert (row.status, row.version, row.starts_at) == ("completed", 5, NINE + timedelta(days=1)), order
        assert (row.customer_name, row.pet_name, row.service_name) == ("Ann Lee", "Rex", "Check-up")
        assert (row.staff_id, row.reference_code) == (None, "BP12345678")


async def test_a_cancelled_appointment_stays_cancelled(stage: Stage) -> None:
    clinic_id = UUID(await approved_clinic(stage, await stage.vendor(), await stage.admin()))
    created, confirmed, *_ = story(clinic_id, uuid7())
    assert isinstance(created, BookingCreated)
    cancelled = BookingCancelled(
        booking_id=created.booking_id, reference_code="BP12345678", user_id=created.user_id, pet_id=created.pet_id,
        clinic_id=clinic_id, previous_status="confirmed", status="cancelled", cancellation_reason="ill",
        cancelled_by="customer", refund_percent=100, refund_amount=Decimal("250000.00"), refund_status="processing",
        version=3, cancelled_at=NINE,
    )  # fmt: skip
    for event in (cancelled, confirmed, created):
        await stage.world.deliver("clinic", event)
    (row,) = await stage.rows("clinic", Appointment)
    assert (row.status, row.starts_at) == ("cancelled", NINE)


async def test_a_clinic_looks_into_its_calendar_by_its_own_days(stage: Stage) -> None:
    owner = await stage.vendor()
    clinic_id = await approved_clinic(stage, owner, await stage.admin())
    made = story(UUID(clinic_id), uuid7())[0]
    assert isinstance(made, BookingCreated)
    for starts_at in (datetime(2030, 3, 3, 17, tzinfo=UTC), datetime(2030, 3, 4, 16, 59, tzinfo=UTC),
                      datetime(2030, 3, 4, 17, tzinfo=UTC)):  # fmt: skip
        other = {"booking_id": uuid7(), "starts_at": starts_at, "ends_at": starts_at + timedelta(minutes=30)}
        await stage.world.deliver("clinic", made.model_copy(update=other))
    path = f"/clinics/{clinic_id}/appointments"
    assert len((await stage.seen(path, owner))["data"]) == 3
    day = (await stage.seen(f"{path}?from=2030-03-04&to=2030-03-04", owner))["data"]
    assert [row["startsAt"] for row in day] == ["2030-03-03T17:00:00Z", "2030-03-04T16:59:00Z"]
    assert day[0]["customerName"] == "Ann Lee"
    assert len((await stage.seen(f"{path}?staffId={made.staff_id}&limit=2", owner))["data"]) == 2
    assert (await stage.seen(f"{path}?staffId={uuid7()}", owner))["data"] == []
    problem(await stage.call("GET", f"{path}?from=2025-13-40", owner), 400, "VALIDATION_ERROR")


# --- ratings ----------------------------------------------------------------------------------------------------------


def review(clinic_id: str, rating: int, version: int = 1, **fields: Any) -> ReviewUpdated:
    told: dict[str, Any] = {
        "review_id": uuid7(), "booking_id": uuid7(), "user_id": uuid7(), "clinic_id": clinic_id, "service_id": uuid7(),
        "rating": rating, "is_published": True, "version": version, "updated_at": NINE,
    }  # fmt: skip
    return ReviewUpdated.model_validate(told | fields)


def gone(of: ReviewUpdated, version: int) -> ReviewDeleted:
    return ReviewDeleted(
        review_id=of.review_id, booking_id=of.booking_id, clinic_id=of.clinic_id, rating=of.rating, version=version,
        deleted_at=NINE,
    )  # fmt: skip


async def rating_of(stage: Stage, clinic_id: str) -> tuple[float, int]:
    summary = await stage.seen(f"/clinics/{clinic_id}/rating")
    assert summary == await stage.seen(f"/reviews/vendor/{clinic_id}/summary")
    return summary["averageRating"], summary["totalReviews"]


async def test_hidden_and_deleted_reviews_do_not_count(stage: Stage) -> None:
    clinic_id = await approved_clinic(stage, await stage.vendor(), await stage.admin())
    low, high = review(clinic_id, 1), review(clinic_id, 5)
    for event in (low, high):
        await stage.world.deliver("clinic", event)
    assert await rating_of(stage, clinic_id) == (3.0, 2)
    await stage.world.deliver("clinic", low.model_copy(update={"is_published": False, "version": 2}))
    assert await rating_of(stage, clinic_id) == (5.0, 1)
    assert [event.avg_rating for event in await stage.published(ClinicRatingUpdated)] == [1.0, 3.0, 5.0]
    await stage.world.deliver("clinic", gone(high, 2))
    await stage.world.deliver("clinic", high)
    assert await rating_of(stage, clinic_id) == (0.0, 0)
    assert len(await stage.published(ClinicRatingUpdated)) == 4


async def test_a_review_that_was_deleted_before_it_was_heard_of_does_not_count(stage: Stage) -> None:
    clinic_id = await approved_clinic(stage, await stage.vendor(), await stage.admin())
    late = review(clinic_id, 5)
    await stage.world.deliver("clinic", gone(late, 2))
    await stage.world.deliver("clinic", late)
    assert await rating_of(stage, clinic_id) == (0.0, 0)


# --- the nightly comparison -------------------------------------------------------------------------------------------


def drifted(check: str) -> float:
    line = f'reconciliation_drift_total{{check="{check}",service="clinic"}}'
    found = [row for row in METRICS.render().decode().splitlines() if row.startswith(line)]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


async def test_ratings_that_drifted_are_repaired_and_counted(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    clinic_id = await approved_clinic(stage, await stage.vendor(), await stage.admin())
    service_id, customer = await new_service(stage, clinic_id), await stage.customer()
    ids = []
    for rating in (5, 4, 4, 2):
        booking_id = await new_booking(stage, customer, clinic_id, service_id)
        made = await stage.made("/reviews", customer, bookingId=booking_id, rating=rating, review="ok")
        ids.append(UUID(made["id"]))
    checks = [f"clinic_ratings.{check}" for check in ("missing", "behind", "different", "surplus", "miscounted")]
    await stage.world.run_job("clinic", "reconcile_ratings")
    before = [drifted(check) for check in checks]
    stage.clock.advance(hours=1)
    await stage.world.run_job("clinic", "reconcile_ratings")
    assert [drifted(check) for check in checks] == before, "nothing had drifted"
    async with stage.world.work("clinic").transaction() as tx:
        missing, behind, different = [
            (await tx.scalars(select(ReviewRef).where(ReviewRef.review_id == id))).one() for id in ids[:3]
        ]
        await tx.delete(missing)
        behind.version, behind.rating = 0, 1
        different.is_counted = False
        tx.add(
            ReviewRef(
                review_id=uuid7(), clinic_id=UUID(clinic_id), rating=1, is_counted=True, version=1,
                updated_at=tx.now() - timedelta(hours=1),
            )
        )  # fmt: skip
        rating = await tx.find(Rating, Rating.clinic_id == UUID(clinic_id))
        assert rating is not None
        rating.review_count, rating.avg_rating = 99, 1.0
    await stage.world.run_job("clinic", "reconcile_ratings")
    assert [drifted(check) - was for check, was in zip(checks, before, strict=True)] == [1, 1, 1, 1, 0]
    assert await rating_of(stage, clinic_id) == (3.8, 4)
    assert "is missing" in caplog.text
    async with stage.world.work("clinic").transaction() as tx:
        rating = await tx.find(Rating, Rating.clinic_id == UUID(clinic_id))
        assert rating is not None
        rating.rating_distribution = {str(stars): 0 for stars in range(1, 6)}
    await stage.world.run_job("clinic", "reconcile_ratings")
    assert drifted("clinic_ratings.miscounted") == before[4] + 1
    assert (await stage.seen(f"/clinics/{clinic_id}/rating"))["ratingDistribution"]["4"] == 2


async def test_a_review_whose_event_may_be_on_its_way_is_not_judged(stage: Stage) -> None:
    clinic_id = await approved_clinic(stage, await stage.vendor(), await stage.admin())
    service_id, customer = await new_service(stage, clinic_id), await stage.customer()
    booking_id, before = await new_booking(stage, customer, clinic_id, service_id), drifted("clinic_ratings.missing")
    now = stage.clock.now()
    async with stage.world.work("booking").transaction() as tx:
        tx.add(
            Review(
                booking_id=UUID(booking_id), user_id=customer.id, clinic_id=UUID(clinic_id), service_id=service_id,
                rating=5, comment="just now", created_at=now, updated_at=now, version=1,
            )
        )  # fmt: skip
    await stage.world.run_job("clinic", "reconcile_ratings")
    assert (await rating_of(stage, clinic_id), drifted("clinic_ratings.missing")) == ((0.0, 0), before)
    stage.clock.advance(minutes=2)
    await stage.world.run_job("clinic", "reconcile_ratings")
    assert (await rating_of(stage, clinic_id), drifted("clinic_ratings.missing")) == ((5.0, 1), before + 1)


async def test_the_rating_is_the_same_in_whatever_order_its_reviews_are_told(stage: Stage) -> None:
    clinic_id = await approved_clinic(stage, await stage.vendor(), await stage.admin())
    of = review(clinic_id, 2)
    known = of.model_dump(exclude={"updated_at"})
    submitted = ReviewSubmitted(**known, submitted_at=NINE)
    updated = of.model_copy(update={"rating": 4, "version": 2})
    for events in permutations([submitted, updated, updated.model_copy(update={"rating": 5, "version": 3})]):
        fresh = uuid7()
        for event in events:
            await stage.world.deliver("clinic", event.model_copy(update={"review_id": fresh}), times=2)
        (ref,) = await stage.rows("clinic", ReviewRef, ReviewRef.review_id == fresh)
        assert (ref.rating, ref.version, ref.is_counted) == (5, 3, True)
    assert await rating_of(stage, clinic_id) == (5.0, 6)
