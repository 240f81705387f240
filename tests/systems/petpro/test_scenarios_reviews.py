"""Acceptance: 10, reviews and rating; and of 14 what is about clinics and reviews."""

from __future__ import annotations

from uuid import UUID

from systems.petpro.booking.contract import ReviewSubmitted, ReviewUpdated
from systems.petpro.clinic.contract import ClinicRatingUpdated
from tests.systems.petpro.clinic_stage import approved_clinic, new_booking, new_clinic, new_service
from tests.systems.petpro.stage import Stage, invalid, problem, stage_mark

pytestmark = stage_mark


async def shown(stage: Stage, clinic_id: str) -> tuple[float, int, dict[str, int]]:
    rating = (await stage.seen(f"/clinics/{clinic_id}"))["rating"]
    given = {stars: count for stars, count in rating["distribution"].items() if count}
    return rating["average"], rating["count"], given


async def test_10_review_and_rating(stage: Stage) -> None:
    customer = await stage.customer()
    clinic_id = await approved_clinic(stage, await stage.vendor(), await stage.admin())
    service_id = await new_service(stage, clinic_id)
    bookings = [await new_booking(stage, customer, clinic_id, service_id) for _ in range(3)]
    reviews = [
        await stage.made("/reviews", customer, bookingId=booking_id, rating=rating, review="Thank you")
        for booking_id, rating in zip(bookings, (5, 4, 4), strict=True)
    ]
    whole = (4.3, 3, {"4": 2, "5": 1})
    assert await shown(stage, clinic_id) == whole

    published = [event for event in await stage.published(ReviewSubmitted) if str(event.clinic_id) == clinic_id]
    assert len(published) == 3
    for event in published:
        await stage.world.deliver("clinic", event, times=2)
    assert await shown(stage, clinic_id) == whole
    rated = [str(event.clinic_id) for event in await stage.published(ClinicRatingUpdated)]
    assert rated.count(clinic_id) == 3

    confirmed = await new_booking(stage, customer, clinic_id, service_id, status="confirmed")
    body = {"rating": 5, "review": "Too early"}
    problem(await stage.call("POST", "/reviews", customer, bookingId=confirmed, **body), 409, "BOOKING_NOT_COMPLETED")
    problem(await stage.call("POST", "/reviews", customer, bookingId=bookings[0], **body), 409, "ALREADY_REVIEWED")
    other = await new_booking(stage, customer, clinic_id, service_id)
    stranger = await stage.customer()
    problem(await stage.call("POST", "/reviews", stranger, bookingId=other, **body), 403, "FORBIDDEN")
    invalid(await stage.call("POST", "/reviews", customer, bookingId=other, rating=6, review="Wow"), "rating")

    stage.clock.advance(hours=73)
    path = f"/reviews/{reviews[0]['id']}"
    problem(await stage.call("PUT", path, customer, rating=1), 409, "REVIEW_WINDOW_CLOSED")
    problem(await stage.call("DELETE", path, customer), 409, "REVIEW_WINDOW_CLOSED")
    assert await shown(stage, clinic_id) == whole


async def test_10_an_update_that_overtakes_its_review_leaves_the_same_rating(stage: Stage) -> None:
    customer = await stage.customer()
    clinic_id = await approved_clinic(stage, await stage.vendor(), await stage.admin())
    service_id = await new_service(stage, clinic_id)
    for rating in (5, 4, 4):
        booking_id = await new_booking(stage, customer, clinic_id, service_id)
        known = {
            "review_id": UUID(booking_id), "booking_id": booking_id, "user_id": customer.id, "clinic_id": clinic_id,
            "service_id": service_id, "is_published": True,
        }  # fmt: skip
        now = stage.clock.now()
        updated = ReviewUpdated.model_validate({**known, "rating": rating, "version": 2, "updated_at": now})
        submitted = ReviewSubmitted.model_validate({**known, "rating": 1, "version": 1, "submitted_at": now})
        for event in (updated, submitted):
            await stage.world.deliver("clinic", event, times=2)
    assert await shown(stage, clinic_id) == (4.3, 3, {"4": 2, "5": 1})


async def test_14_permissions_and_bad_input_of_clinics_and_reviews(stage: Stage) -> None:
    vendor, customer, admin = await stage.vendor(), await stage.customer(), await stage.admin()
    clinic_id = await new_clinic(stage, vendor)
    status = f"/admin/clinics/{clinic_id}/status"
    problem(await stage.call("PUT", status, vendor, status="approved"), 403, "FORBIDDEN")
    assert (await stage.call("PUT", status, status="approved")).status_code == 401
    invalid(await stage.call("PUT", status, admin, status="open"), "status")
    problem(await stage.call("PUT", f"/clinics/{clinic_id}", customer, city="Bogor"), 403, "FORBIDDEN")
    calendar = f"/clinics/{clinic_id}/appointments"
    problem(await stage.call("GET", calendar, customer), 403, "FORBIDDEN")
    problem(await stage.call("GET", f"{calendar}?from=2025-13-40", vendor), 400, "VALIDATION_ERROR")
    for content in (b"{", b"[]", b"null", b'"text"'):
        headers = {**vendor.headers, "Content-Type": "application/json"}
        assert (await stage.http.post("/api/v1/clinics", content=content, headers=headers)).status_code == 400
