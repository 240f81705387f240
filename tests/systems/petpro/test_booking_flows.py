"""Reservations, bookings and payments beside the numbered scenarios."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from freehold import Unavailable, uuid7
from systems.petpro.auth.contract import UserDeactivated
from systems.petpro.booking.contract import (
    BookingConfirmed,
    BookingCreated,
    BookingNotification,
    BookingRescheduled,
    BookingStatusChanged,
    PaymentFailed,
    PaymentRefunded,
    ReservationCancelled,
)
from systems.petpro.booking.tables import Booking, ClinicRef, OfferingRef, PetRef, Reservation, Slot, UserRef
from systems.petpro.clinic.contract import GetClinic
from systems.petpro.pet.contract import PetDeleted
from tests.systems.petpro.booking_stage import JAKARTA, PRICE, Bookings
from tests.systems.petpro.stage import invalid, problem, stage_mark

pytestmark = stage_mark


# --- reservations -----------------------------------------------------------------------------------------------------


async def test_a_reservation_is_extended_once(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    held = await play.reserved(who, await play.slot(clinic))
    path = f"/reservations/{held['reservationId']}"
    await play.world.advance(seconds=500)
    extended = await play.stage.call("PUT", f"{path}/extend", who)
    row = await play.reservation(held)
    assert extended.status_code == 200
    assert row.expires_at - row.created_at == timedelta(seconds=900)
    problem(await play.stage.call("PUT", f"{path}/extend", who), 409, "ALREADY_EXTENDED")
    await play.world.advance(seconds=390)
    assert (await play.stage.seen(path, who))["status"] == "pending"
    play.clock.advance(seconds=20)
    problem(await play.stage.call("PUT", f"{path}/extend", who), 410, "RESERVATION_EXPIRED")
    assert (await play.reservation(held)).status == "expired"


async def test_a_reservation_is_given_up_once(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot = await play.slot(clinic)
    held = await play.reserved(who, slot)
    path = f"/reservations/{held['reservationId']}"
    assert (await play.stage.call("PUT", f"{path}/cancel", who, reason="changed my mind")).json() == {"success": True}
    assert (await play.slot_row(slot)).booked_count == 0
    assert (await play.stage.call("DELETE", path, who)).status_code == 204
    (told,) = await play.stage.published(ReservationCancelled)
    assert told.reason == "changed my mind"
    problem(await play.stage.call("PUT", f"/reservations/{uuid7()}/cancel", who), 404, "RESERVATION_NOT_FOUND")


async def test_reservations_by_service_date_and_time(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot, pet = await play.slot(clinic), await play.pet(who)
    row = await play.slot_row(slot)
    wish = {
        "petId": str(pet), "serviceId": clinic.service["id"], "date": row.slot_date.isoformat(),
        "time": f"{row.slot_start_time:%H:%M}",
    }  # fmt: skip
    made = await play.stage.made("/reservations", who, **wish)
    assert made["slotId"] == slot
    problem(await play.stage.call("POST", "/reservations", who, **wish), 409, "RESERVATION_EXISTS")
    problem(await play.stage.call("POST", "/reservations", who, **(wish | {"time": "03:03"})), 404, "SLOT_NOT_FOUND")
    problem(await play.stage.call("POST", "/reservations", who, petId=str(pet)), 400, "VALIDATION_ERROR")


async def test_the_same_key_reserves_once(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot, pet = await play.slot(clinic, capacity=3), await play.pet(who)
    asked = [await play.stage.call("POST", f"/slots/{slot}/reserve", who, key="k-1", petId=str(pet)) for _ in range(2)]
    assert asked[0].json() == asked[1].json()
    assert asked[1].headers["Idempotent-Replayed"] == "true"
    assert (await play.slot_row(slot)).booked_count == 1


async def test_a_pet_has_three_at_most(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    pet = await play.pet(who)
    slots = [await play.slot(clinic, hours=72 + 2 * n) for n in range(4)]
    await play.confirmed(who, slots[0], pet)
    held = [await play.reserved(who, slot, pet) for slot in slots[1:3]]
    problem(await play.reserve(who, slots[3], pet), 422, "PET_LIMIT")
    await play.stage.call("DELETE", f"/reservations/{held[0]['reservationId']}", who)
    await play.reserved(who, slots[3], pet)


async def test_an_admin_reserves_for_the_pets_owner(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    held = await play.reserved(clinic.admin, await play.slot(clinic), await play.pet(who))
    assert held["userId"] == str(who.id)


async def test_unknown_copies_are_asked_for_once(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot, pet = await play.slot(clinic), await play.pet(who)
    async with play.world.work("booking").transaction() as tx:
        for table in (UserRef, PetRef, ClinicRef, OfferingRef):
            await tx.execute(table.__table__.delete())
    assert (await play.reserve(who, slot, pet)).status_code == 201
    assert len(await play.stage.rows("booking", PetRef)) == 1
    problem(await play.reserve(who, await play.slot(clinic, hours=80), uuid7()), 404, "PET_NOT_FOUND")


async def test_what_is_not_paid_ends_with_its_user_or_pet(play: Bookings) -> None:
    clinic, who, other = await play.clinic(), await play.stage.customer(), await play.stage.customer()
    slots = [await play.slot(clinic, hours=72 + 2 * n) for n in range(4)]
    held, paid = await play.reserved(who, slots[0]), await play.confirmed(who, slots[1])
    pet = await play.pet(other)
    unpaid = await play.booked(other, slots[2], pet)
    now = play.clock.now()
    gone = UserDeactivated(user_id=who.id, reason="fraud", version=2, deactivated_at=now)
    await play.world.deliver("booking", gone, times=2)
    await play.world.deliver("booking", PetDeleted(pet_id=pet, user_id=other.id, version=2, deleted_at=now))
    assert (await play.reservation(held)).status == "cancelled"
    assert (await play.row(paid)).status == "confirmed"
    row = await play.row(unpaid)
    assert (row.status, row.cancellation_reason) == ("cancelled", "pet_deleted")
    assert [(await play.slot_row(slot)).booked_count for slot in slots] == [0, 1, 0, 0]
    problem(await play.reserve(who, slots[3]), 403, "FORBIDDEN")
    problem(await play.reserve(other, slots[3], pet), 404, "PET_NOT_FOUND")


# --- bookings ---------------------------------------------------------------------------------------------------------


async def test_a_booking_in_one_step(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    pet = await play.pet(who)
    await play.slot(clinic)
    start = (play.clock.now() + timedelta(hours=72)).astimezone(JAKARTA).replace(second=0)
    wish = {"serviceId": clinic.service["id"], "petId": str(pet), "notes": "shy", "specialRequests": "treats"}
    made = await play.stage.made("/bookings", who, **wish, appointmentDate=start.replace(tzinfo=None).isoformat())
    assert made["schedule"]["date"] == start.date().isoformat()
    assert (made["schedule"]["startTime"], made["notes"]) == (f"{start:%H:%M}", "shy\ntreats")
    assert (made["pet"]["name"], made["clinic"]["name"], made["payment"]["paymentMethod"]) == (
        "Rex", "Paw Clinic", "credit_card",
    )  # fmt: skip
    (created,) = await play.stage.published(BookingCreated)
    assert (created.pet_species, created.starts_at) == ("dog", start)
    full = await play.stage.call("POST", "/bookings", who, **wish, startTime=start.isoformat())
    problem(full, 409, "RESERVATION_EXISTS")


async def test_what_a_booking_may_not_be(play: Bookings) -> None:
    clinic, who, other = await play.clinic(), await play.stage.customer(), await play.stage.customer()
    held = await play.reserved(who, await play.slot(clinic))
    good = {"reservationId": held["reservationId"], "paymentMethod": "e_wallet"}
    post = play.stage.call
    problem(await post("POST", "/bookings", other, **good), 403, "FORBIDDEN")
    problem(await post("POST", "/bookings", who, **good, lockId="other"), 409, "LOCK_MISMATCH")
    problem(await post("POST", "/bookings", who, reservationId=held["reservationId"]), 400, "VALIDATION_ERROR")
    invalid(await post("POST", "/bookings", who, **good, notes="x" * 501), "notes")
    invalid(await post("POST", "/bookings", who, serviceId=str(uuid7()), petId=str(uuid7()), startTime=5), "startTime")
    assert (await post("POST", "/bookings", who, **good, lockId=held["lockId"])).status_code == 201
    problem(await post("POST", "/bookings", who, **good), 409, "BOOKING_EXISTS")


async def test_a_repeated_booking_is_answered_as_before(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    held = await play.reserved(who, await play.slot(clinic))
    good = {"reservationId": held["reservationId"], "paymentMethod": "e_wallet"}
    first, again = [await play.stage.call("POST", "/bookings", who, key="b-1", **good) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert len(await play.stage.rows("booking", Booking)) == 1


async def test_the_lists_of_bookings(play: Bookings) -> None:
    clinic, who, other = await play.clinic(), await play.stage.customer(), await play.stage.customer()
    near = await play.confirmed(who, await play.slot(clinic, hours=30))
    far = await play.booked(who, await play.slot(clinic, hours=24 * 20))
    await play.booked(other, await play.slot(clinic, hours=80))
    gone = await play.booked(who, await play.slot(clinic, hours=90))
    await play.cancel(gone, who)

    async def ids(path: str, person: Any = who) -> set[str]:
        return {each["id"] for each in (await play.stage.seen(path, person))["data"]}

    mine = {near["id"], far["id"], gone["id"]}
    assert (
        await ids("/bookings")
        == mine
        == await ids(f"/users/{who.id}/bookings")
        == await ids(f"/users/{who.id}/bookings", clinic.admin)
    )
    assert len(await ids("/bookings", clinic.owner)) == len(await ids("/bookings", clinic.admin)) == 4
    assert await ids(f"/bookings?clinicId={clinic.id}&status=confirmed", clinic.owner) == {near["id"]}
    assert await ids("/bookings?status=active") == {near["id"], far["id"]} == await ids("/bookings?status=upcoming")
    assert await ids("/bookings?status=past") == {gone["id"]}
    assert await ids("/bookings/upcoming") == {near["id"]}
    day = near["schedule"]["date"]
    assert await ids(f"/bookings?startDate={day}&endDate={day}") == {near["id"]}
    assert await ids(f"/bookings?petId={near['petId']}") == {near["id"]}
    assert (await play.stage.seen(f"/bookings/reference/{near['referenceCode']}", who))["id"] == near["id"]
    problem(await play.stage.call("GET", f"/users/{who.id}/bookings", other), 403, "FORBIDDEN")
    problem(
        await play.stage.call("GET", f"/bookings?clinicId={clinic.id}", await play.stage.vendor()), 403, "FORBIDDEN"
    )
    invalid(await play.stage.call("GET", "/bookings?limit=101", who), "limit")


async def test_approval_by_the_clinic(play: Bookings) -> None:
    clinic, who = await play.clinic(requiresApproval=True, commission="12.50"), await play.stage.customer()
    made = await play.confirmed(who, await play.slot(clinic))
    assert (await play.row(made)).status == "pending_approval"
    assert await play.entries(made) == {}
    approved = [await play.stage.call("PATCH", f"/bookings/{made['id']}/confirm", clinic.owner) for _ in range(2)]
    assert [answer.json()["status"] for answer in approved] == ["confirmed"] * 2
    assert len(await play.told(BookingConfirmed, made)) == 1
    assert [each.status for each in await play.told(BookingStatusChanged, made)] == ["pending_approval"]
    assert (await play.entries(made))["booking_fee"].commission_rate == Decimal("12.50")


@pytest.mark.parametrize(("hours", "wait"), [(72, 24), (10, 8)])
async def test_what_is_not_approved_in_time_is_cancelled(play: Bookings, hours: int, wait: int) -> None:
    clinic, who = await play.clinic(requiresApproval=True), await play.stage.customer()
    slot = await play.slot(clinic, hours=hours)
    made = await play.confirmed(who, slot)
    await play.world.advance(hours=wait, seconds=-60)
    assert (await play.row(made)).status == "pending_approval"
    await play.world.advance(minutes=2)
    row, payment = await play.row(made), await play.payment(made)
    assert (row.status, row.cancellation_reason, payment.status) == ("cancelled", "approval_timeout", "refunded")
    assert (await play.slot_row(slot)).booked_count == 0


async def test_a_clinic_refuses_what_waits_for_its_approval(play: Bookings) -> None:
    clinic, who = await play.clinic(requiresApproval=True), await play.stage.customer()
    made = await play.confirmed(who, await play.slot(clinic, hours=5))
    answer = await play.stage.call("PUT", f"/bookings/{made['id']}/status", clinic.owner, status="cancelled")
    row = await play.row(made)
    assert (answer.json()["status"], row.cancellation_reason) == ("cancelled", "rejected_by_clinic")
    assert (await play.payment(made)).refunded_amount == PRICE


async def test_an_appointment_takes_place(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.confirmed(who, await play.slot(clinic, hours=4))
    path = f"/bookings/{made['id']}"
    problem(await play.stage.call("PUT", f"{path}/check-in", clinic.owner), 409, "INVALID_STATUS_TRANSITION")
    early = await play.stage.call("PUT", f"{path}/status", clinic.owner, status="no_show")
    problem(early, 409, "INVALID_STATUS_TRANSITION")
    play.clock.advance(hours=2)
    assert (await play.stage.call("PUT", f"{path}/check-in", clinic.owner)).json()["status"] == "in_progress"
    problem(await play.cancel(made, who), 409, "INVALID_STATUS_TRANSITION")
    done = await play.stage.call("PUT", f"{path}/status", clinic.owner, status="completed", notes="all well")
    assert (done.json()["status"], (await play.row(made)).notes) == ("completed", "all well")
    again = await play.stage.call("PUT", f"{path}/status", clinic.owner, status="completed")
    assert (again.status_code, (await play.row(made)).status) == (200, "completed")


async def test_nobody_came(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.confirmed(who, await play.slot(clinic, hours=2))
    play.clock.advance(hours=3)
    problem(await play.cancel(made, who), 422, "CANCELLATION_NOT_ALLOWED")
    await play.world.advance(hours=1, minutes=46)
    assert (await play.row(made)).status == "no_show"


async def test_a_suspended_clinics_customers_get_everything_back(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.confirmed(who, await play.slot(clinic, hours=5))
    await play.set_clinic(clinic.id, status="suspended")
    assert (await play.row(made)).status == "confirmed"
    assert (await play.cancel(made, who)).json()["refund"]["amount"] == float(PRICE)


# --- another time -----------------------------------------------------------------------------------------------------


async def test_rescheduling_moves_the_seat(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    old, new, third = [await play.slot(clinic, hours=hours) for hours in (50, 60, 70)]
    made = await play.confirmed(who, old)
    path = f"/bookings/{made['id']}/reschedule"
    answer = await play.stage.call("PUT", path, who, newSlotId=new)
    assert answer.status_code == 200, answer.text
    moved = answer.json()
    assert (moved["previousSlot"]["slotId"], moved["newSlot"]["slotId"], moved["fee"]) == (old, new, {"amount": 0})
    assert [(await play.slot_row(slot)).booked_count for slot in (old, new)] == [0, 1]
    before, after = await play.stage.rows("booking", Reservation)
    assert {before.status, after.status} == {"cancelled", "confirmed"}
    await play.world.run_due()
    row = await play.row(made)
    assert (row.reschedule_count, row.amount, row.status) == (1, PRICE, "confirmed")
    assert len(await play.told(BookingRescheduled, made)) == 1
    assert [each.type for each in await play.told(BookingNotification, made)][-1] == "booking_rescheduled"
    assert (await play.saga("reschedule_booking", str(row.reservation_id))).status == "completed"
    problem(await play.stage.call("PUT", path, who, newSlotId=third), 422, "RESCHEDULE_LIMIT")
    assert (await play.stage.call("PUT", path, clinic.owner, newSlotId=third)).status_code == 200


async def test_rescheduling_that_cannot_be_changes_nothing(play: Bookings) -> None:
    clinic, who, other = await play.clinic(), await play.stage.customer(), await play.stage.customer()
    bath = await play.service(clinic.id, clinic.owner, name="Bath")
    old, full = await play.slot(clinic, hours=50), await play.slot(clinic, hours=60)
    elsewhere, soon = await play.slot(clinic, hours=65, service=bath), await play.slot(clinic, hours=0.5)
    made = await play.confirmed(who, old)
    await play.reserved(other, full)
    path = f"/bookings/{made['id']}/reschedule"
    for slot, status, code in (
        (full, 409, "SLOT_UNAVAILABLE"), (elsewhere, 422, "OTHER_SERVICE"), (soon, 422, "LEAD_TIME"),
        (old, 409, "SLOT_UNAVAILABLE"), (str(uuid7()), 404, "SLOT_NOT_FOUND"),
    ):  # fmt: skip
        problem(await play.stage.call("PUT", path, who, newSlotId=slot), status, code)
    assert [(await play.slot_row(slot)).booked_count for slot in (old, full, elsewhere)] == [1, 1, 0]
    await play.world.advance(hours=47, minutes=30)
    later = await play.slot(clinic, hours=20)
    problem(await play.stage.call("PUT", path, who, newSlotId=later), 422, "TOO_LATE")
    assert (await play.row(made)).reschedule_count == 0


async def test_notes_and_time_are_changed_by_put(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.confirmed(who, await play.slot(clinic, hours=50))
    await play.slot(clinic, hours=60)
    start = (play.clock.now() + timedelta(hours=60)).replace(second=0).isoformat()
    answer = await play.stage.call("PUT", f"/bookings/{made['id']}", who, notes="shy", startTime=start)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["notes"], answer.json()["rescheduleCount"]) == ("shy", 1)


# --- payments ---------------------------------------------------------------------------------------------------------


async def test_the_gateway_is_away_when_the_booking_is_made(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    play.gateway.fail("session", 3)
    made = await play.booked(who, await play.slot(clinic))
    assert (made["status"], made["payment"]["paymentUrl"]) == ("pending_payment", None)
    assert play.gateway.calls("session") == 3
    retried = await play.stage.call("POST", f"/payments/{made['payment']['paymentId']}/retry", who)
    assert retried.json()["paymentUrl"].startswith("https://")


async def test_a_failed_payment_is_tried_again_while_the_seat_is_held(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot = await play.slot(clinic)
    made = await play.booked(who, slot)
    await play.webhook(made, "failed")
    await play.webhook(made, "failed")
    assert (await play.payment(made)).status == "failed"
    assert len(await play.told(PaymentFailed, made)) == 1
    assert ((await play.row(made)).status, (await play.slot_row(slot)).booked_count) == ("pending_payment", 1)
    path = f"/payments/{made['payment']['paymentId']}/retry"
    retried = await play.stage.call("POST", path, who, paymentMethod="bank_transfer")
    assert (retried.json()["status"], retried.json()["paymentMethod"]) == ("pending", "bank_transfer")
    assert retried.json()["paymentUrl"] != made["payment"]["paymentUrl"]
    await play.webhook(made)
    assert (await play.row(made)).status == "confirmed"
    problem(await play.stage.call("POST", path, who), 409, "INVALID_STATUS_TRANSITION")


async def test_a_payment_is_not_tried_again_after_its_window(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.booked(who, await play.slot(clinic))
    await play.webhook(made, "failed")
    play.clock.advance(seconds=901)
    path = f"/payments/{made['payment']['paymentId']}/retry"
    problem(await play.stage.call("POST", path, who), 410, "RESERVATION_EXPIRED")
    assert (await play.row(made)).cancellation_reason == "payment_timeout"


async def test_a_success_after_a_failure_counts(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.booked(who, await play.slot(clinic))
    await play.webhook(made, "failed")
    await play.webhook(made)
    assert (await play.row(made)).status == "confirmed"


async def test_a_wrong_amount_is_noted_and_changes_nothing(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.booked(who, await play.slot(clinic))
    problem(await play.webhook(made, amount=Decimal("1.00")), 400, "AMOUNT_MISMATCH")
    payment = await play.payment(made)
    assert (payment.status, payment.payment_details["notes"][0]["amount"]) == ("pending", "1.00")
    assert (await play.row(made)).status == "pending_payment"


async def test_webhooks_that_are_not_the_gateways(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.booked(who, await play.slot(clinic))
    body, signed = play.gateway.webhook(made["payment"]["externalReference"], PRICE)
    post = play.world.http.post
    for path in ("/api/v1/payments/webhook", "/api/v1/webhooks/payment"):
        for headers in ({}, {"X-Webhook-Signature": "00"}):
            problem(await post(path, content=body, headers=headers), 400, "INVALID_SIGNATURE")
        changed = body.replace(b"250000", b"250001")
        problem(await post(path, content=changed, headers={"X-Webhook-Signature": signed}), 400, "INVALID_SIGNATURE")
    for text in (b"{", b"[]", b'{"status": "completed"}'):
        signed = play.gateway.sign(text)
        refused = await post("/api/v1/payments/webhook", content=text, headers={"X-Webhook-Signature": signed})
        problem(refused, 400, "VALIDATION_ERROR")
    unknown, signed = play.gateway.webhook("bk_unknown", PRICE)
    answer = await post("/api/v1/payments/webhook", content=unknown, headers={"X-Webhook-Signature": signed})
    problem(answer, 404, "PAYMENT_NOT_FOUND")
    assert (await play.payment(made)).status == "pending"


async def test_a_webhook_may_carry_its_signature_and_name_the_payment(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.booked(who, await play.slot(clinic))
    said = {"payment_id": made["payment"]["paymentId"], "status": "completed", "amount": 250000.0, "signature": ""}
    blank = json.dumps(said).encode()
    body = json.dumps(said | {"signature": play.gateway.sign(blank)}).encode()
    assert (await play.world.http.post("/api/v1/payments/webhook", content=body)).json() == {"status": "ok"}
    await play.world.run_due()
    assert (await play.row(made)).status == "confirmed"


async def test_money_goes_back_in_parts(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.confirmed(who, await play.slot(clinic))
    path = f"/payments/{made['payment']['paymentId']}/refund"
    first = await play.stage.call("POST", path, clinic.owner, amount=50000, reason="late")
    assert (first.json()["status"], first.json()["refundedAmount"]) == ("partially_refunded", 50000.0)
    problem(await play.stage.call("POST", path, clinic.admin, amount=200001, reason="x"), 422, "AMOUNT_TOO_HIGH")
    await play.stage.call("POST", path, clinic.admin, amount=50000, reason="again")
    entries = await play.entries(made)
    assert (entries["refund"].total_amount, entries["booking_fee"].status) == (Decimal("-100000.00"), "pending")
    rest = await play.stage.call("POST", path, clinic.admin, reason="all of it")
    assert (rest.json()["status"], rest.json()["refundedAmount"]) == ("refunded", 250000.0)
    assert {entry.status for entry in (await play.entries(made)).values()} == {"cancelled"}
    problem(await play.stage.call("POST", path, clinic.admin, reason="more"), 409, "NOT_REFUNDABLE")
    assert play.gateway.done("refund") == [Decimal(50000), Decimal(50000), Decimal(150000)]
    assert [each.refunded_total for each in await play.told(PaymentRefunded, made)] == [50000, 100000, 250000]


async def test_a_cancellation_gives_back_what_is_left_of_its_share(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.confirmed(who, await play.slot(clinic, hours=30))
    path = f"/payments/{made['payment']['paymentId']}/refund"
    await play.stage.call("POST", path, clinic.owner, amount=50000, reason="late")
    answer = await play.cancel(made, who)
    assert answer.json()["refund"] == {"eligible": True, "percent": 50, "amount": 125000.0, "status": "refunded"}
    assert play.gateway.done("refund") == [Decimal(50000), Decimal(75000)]
    assert (await play.entries(made))["refund"].total_amount == Decimal("-125000.00")


async def test_refunds_wait_longer_and_longer_and_alert(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.confirmed(who, await play.slot(clinic))
    play.gateway.fail("refund", 11)
    await play.cancel(made, who)
    for _ in range(12):
        await play.world.advance(hours=1)
    payment = await play.payment(made)
    assert (payment.status, play.gateway.calls("refund")) == ("refunded", 12)


# --- the clinic does not answer ---------------------------------------------------------------------------------------


@pytest.fixture
def clinic_is_away(play: Bookings, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether clinic answers what it is at the moment: it does not, until the list is emptied."""
    host, away = play.stage.host("booking"), [True]
    ask = host.ask

    async def unanswered(query: Any, asking: Any) -> Any:
        if away and isinstance(query, GetClinic):
            raise Unavailable("clinic does not answer")
        return await ask(query, asking)

    monkeypatch.setattr(host, "ask", unanswered)
    return away


async def test_a_fresh_copy_confirms_while_clinic_is_away(play: Bookings, clinic_is_away: list[bool]) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.confirmed(who, await play.slot(clinic))
    assert (await play.row(made)).status == "confirmed"


@pytest.mark.parametrize("comes_back", [True, False])
async def test_with_an_old_copy_it_waits_for_clinic(
    play: Bookings, clinic_is_away: list[bool], comes_back: bool
) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot = await play.slot(clinic)
    made = await play.booked(who, slot)
    async with play.world.work("booking").transaction() as tx:
        copy = await tx.get(ClinicRef, clinic.id)
        assert copy is not None
        copy.synced_at = tx.now() - timedelta(hours=25)
    await play.world.advance(minutes=14)  # the last minute of the payment window
    await play.webhook(made)
    assert (await play.row(made)).status == "pending_payment"
    for _ in range(12):
        await play.world.advance(seconds=10)
    assert ((await play.row(made)).status, (await play.slot_row(slot)).booked_count) == ("pending_payment", 1)
    extended = await play.stage.call("PUT", f"/reservations/{made['reservationId']}/extend", who)
    assert extended.status_code == 200  # what is paid does not end by the clock, whoever meets it
    if comes_back:
        clinic_is_away.clear()
        await play.world.advance(seconds=10)
        assert (await play.row(made)).status == "confirmed"
        return
    for _ in range(50):
        await play.world.advance(seconds=10)
    await play.world.advance(minutes=1)
    row = await play.row(made)
    assert (row.status, row.cancellation_reason) == ("cancelled", "clinic_unavailable")
    assert ((await play.payment(made)).status, (await play.slot_row(slot)).booked_count) == ("refunded", 0)


# --- jobs -------------------------------------------------------------------------------------------------------------


async def test_wrong_counts_of_seats_are_mended(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot, other = await play.slot(clinic, capacity=2), await play.slot(clinic, hours=80)
    await play.confirmed(who, slot)
    async with play.world.work("booking").transaction() as tx:
        for id, count, status in ((slot, 2, "booked"), (other, 1, "booked")):
            row = await tx.get(Slot, UUID(id))
            assert row is not None
            row.booked_count, row.status = count, status  # type: ignore[assignment]  # one of the three
    await play.world.run_job("booking", "reconcile_seats")
    rows = [await play.slot_row(id) for id in (slot, other)]
    assert [(row.booked_count, row.status) for row in rows] == [(1, "available"), (0, "available")]


async def test_copies_are_compared_with_their_owners(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    await play.pet(who)
    async with play.world.work("booking").transaction() as tx:
        for row in (await tx.scalars(ClinicRef.__table__.select().with_only_columns(ClinicRef.clinic_id))).all():
            copy = await tx.get(ClinicRef, row)
            assert copy is not None
            copy.name, copy.version = "Another", 0
        await tx.execute(PetRef.__table__.delete())
    play.clock.advance(minutes=5)
    await play.world.run_job("booking", "reconcile_refs")
    (copy,) = await play.stage.rows("booking", ClinicRef, ClinicRef.clinic_id == clinic.id)
    assert copy.name == "Paw Clinic"
    assert len(await play.stage.rows("booking", PetRef)) == 1


# --- the split --------------------------------------------------------------------------------------------------------


async def test_entries_are_settled_three_days_after_the_appointment(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.completed(clinic, who, await play.slot(clinic))
    run = "/admin/settlements/run"
    assert (await play.stage.made(run, clinic.admin)) == {"settled": 0, "amount": 0.0}
    play.clock.advance(days=3)
    assert (await play.stage.made(run, clinic.admin)) == {"settled": 1, "amount": 202702.71}
    assert (await play.stage.made(run, clinic.admin)) == {"settled": 0, "amount": 0.0}
    listed = await play.stage.seen(f"/financial-entries?clinicId={clinic.id}&status=settled", clinic.owner)
    assert listed["totals"] == {
        "totalAmount": 250000.0, "platformFee": 22522.52, "clinicAmount": 202702.71, "taxAmount": 24774.77,
    }  # fmt: skip
    path = f"/payments/{made['payment']['paymentId']}/refund"
    await play.stage.call("POST", path, clinic.admin, reason="unhappy")
    entries = await play.entries(made)
    assert (entries["booking_fee"].status, entries["refund"].total_amount) == ("settled", -PRICE)
    play.clock.advance(days=1)
    assert (await play.stage.made(run, clinic.admin)) == {"settled": 1, "amount": -202702.71}


async def test_what_goes_back_after_a_settled_refund_is_an_adjustment(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.completed(clinic, who, await play.slot(clinic))
    path = f"/payments/{made['payment']['paymentId']}/refund"
    await play.stage.call("POST", path, clinic.admin, amount=100000.01, reason="part")
    play.clock.advance(days=3)
    await play.stage.made("/admin/settlements/run", clinic.admin)
    await play.stage.call("POST", path, clinic.admin, reason="rest")
    entries = await play.entries(made)
    assert {entry.type for entry in entries.values()} == {"booking_fee", "refund", "adjustment"}
    assert sum(entry.total_amount for entry in entries.values()) == 0
    assert sum(entry.clinic_amount for entry in entries.values()) == 0


async def test_the_list_of_entries_by_day(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    await play.confirmed(who, await play.slot(clinic))
    today = play.clock.now().date()
    path = f"/financial-entries?from={today}&to={today}"
    assert len((await play.stage.seen(path, clinic.owner))["data"]) == 1
    assert (await play.stage.seen(path.replace(str(today), "2029-01-01"), clinic.admin))["data"] == []
    problem(await play.stage.call("GET", "/financial-entries", who), 403, "FORBIDDEN")
