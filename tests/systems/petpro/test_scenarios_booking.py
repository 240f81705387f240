"""The acceptance scenarios of booking, numbered as in the specification."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal
from uuid import UUID

import pytest

from freehold.testing import Crash, crash_at
from systems.petpro.booking.contract import (
    BookingCancelled,
    BookingConfirmed,
    BookingNotification,
    FinancialEntryRecorded,
    PaymentProcessed,
    PaymentRefunded,
    ReservationExpired,
)
from systems.petpro.booking.tables import Slot
from systems.petpro.clinic.tables import Appointment
from tests.systems.petpro.booking_stage import PRICE, Bookings
from tests.systems.petpro.stage import invalid, problem, stage_mark

pytestmark = stage_mark


async def test_1_happy_path_and_money_split(play: Bookings) -> None:
    clinic, who = await play.clinic(commission="10.00"), await play.stage.customer()
    made = await play.booked(who, await play.slot(clinic))
    assert (made["status"], made["payment"]["status"]) == ("pending_payment", "pending")
    assert made["payment"]["paymentUrl"].startswith("https://")
    await play.webhook(made)
    shown = await play.stage.seen(f"/bookings/{made['id']}", who)
    assert (shown["status"], shown["paymentStatus"], shown["amount"]) == ("confirmed", "success", 250000.0)
    assert re.fullmatch(r"BP\d{8}", shown["referenceCode"])
    entry = (await play.entries(made))["booking_fee"]
    assert (entry.tax_amount, entry.platform_fee, entry.clinic_amount, entry.total_amount, entry.status) == (
        Decimal("24774.77"), Decimal("22522.52"), Decimal("202702.71"), PRICE, "pending",
    )  # fmt: skip
    assert len(await play.stage.rows("clinic", Appointment, Appointment.booking_id == UUID(made["id"]))) == 1
    assert len(await play.told(BookingNotification, made)) == 1
    assert len(await play.stage.seen("/notifications", who)) > 0


async def test_2_last_seat(play: Bookings) -> None:
    clinic = await play.clinic()
    slot = await play.slot(clinic, capacity=3)
    who = await asyncio.gather(*(play.stage.customer() for _ in range(25)))
    pets = await asyncio.gather(*(play.pet(each) for each in who))
    sampled: list[int] = []
    over = asyncio.Event()

    async def sample() -> None:
        while not over.is_set():
            sampled.append((await play.slot_row(slot)).booked_count)
            await asyncio.sleep(0)

    watching = asyncio.create_task(sample())
    asked = [
        play.world.http.post(f"/api/v1/slots/{slot}/reserve", json={"petId": str(pet)}, headers=each.headers)
        for each, pet in zip(who, pets, strict=True)
    ]
    answers = await asyncio.gather(*asked)
    over.set()
    await watching
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 22
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"SLOT_UNAVAILABLE"}
    row = await play.slot_row(slot)
    assert (row.booked_count, row.status) == (3, "booked")
    assert sampled
    assert max(sampled) <= 3
    await play.world.settle()


async def test_3_reservation_expiry(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot = await play.slot(clinic)
    held = await play.reserved(who, slot)
    assert (await play.slot_row(slot)).status == "booked"
    await play.world.advance(seconds=601)
    assert (await play.reservation(held)).status == "expired"
    row = await play.slot_row(slot)
    assert (row.booked_count, row.status) == (0, "available")
    book = await play.stage.call(
        "POST", "/bookings", who, reservationId=held["reservationId"], paymentMethod="e_wallet"
    )
    problem(book, 410, "RESERVATION_EXPIRED")
    problem(await play.stage.call("DELETE", f"/reservations/{held['reservationId']}", who), 410, "RESERVATION_EXPIRED")


async def test_3_a_request_that_meets_an_overdue_reservation_ends_it_on_the_spot(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot = await play.slot(clinic)
    held = await play.reserved(who, slot)
    play.clock.advance(seconds=601)
    book = await play.stage.call(
        "POST", "/bookings", who, reservationId=held["reservationId"], paymentMethod="e_wallet"
    )
    problem(book, 410, "RESERVATION_EXPIRED")
    assert (await play.reservation(held)).status == "expired"
    assert (await play.slot_row(slot)).booked_count == 0
    expired = [str(event.reservation_id) for event in await play.stage.published(ReservationExpired)]
    assert expired.count(held["reservationId"]) == 1


async def test_4_payment_window_and_late_payment(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot = await play.slot(clinic)
    made = await play.booked(who, slot)
    await play.world.advance(seconds=901)
    row = await play.row(made)
    assert (row.status, row.cancellation_reason) == ("cancelled", "payment_timeout")
    assert (await play.payment(made)).status == "failed"
    assert (await play.slot_row(slot)).booked_count == 0
    play.clock.advance(seconds=4)
    assert (await play.webhook(made)).status_code == 200
    payment = await play.payment(made)
    assert (payment.status, payment.refunded_amount) == ("refunded", PRICE)
    assert play.gateway.done("refund", payment.external_reference) == [PRICE]
    assert (await play.row(made)).status == "cancelled"
    assert (await play.slot_row(slot)).booked_count == 0
    assert await play.entries(made) == {}
    assert len(await play.told(PaymentProcessed, made)) == 1
    assert len(await play.told(PaymentRefunded, made)) == 1


async def test_5_webhook_delivered_three_times_once_in_parallel(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.booked(who, await play.slot(clinic))
    answers = [*await asyncio.gather(play.send(made), play.send(made)), await play.send(made)]
    assert [answer.status_code for answer in answers] == [200] * 3
    await play.world.run_due()
    assert (await play.row(made)).status == "confirmed"
    for kind in (PaymentProcessed, BookingConfirmed, FinancialEntryRecorded, BookingNotification):
        assert len(await play.told(kind, made)) == 1, kind


async def test_6_crash_between_steps(play: Bookings) -> None:
    """The payment is stored, and the process dies before the confirmation; the saga goes on without a new webhook."""
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.booked(who, await play.slot(clinic))
    assert (await play.send(made)).status_code == 200
    with crash_at("saga.before_step"), pytest.raises((Crash, BaseExceptionGroup)):
        await play.world.run_due()
    assert (await play.row(made)).status == "pending_payment"
    assert (await play.payment(made)).status == "success"
    await play.world.run_due()
    assert (await play.row(made)).status == "confirmed"
    assert len(await play.told(BookingConfirmed, made)) == 1


async def test_6_a_duplicate_event_changes_nothing(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.confirmed(who, await play.slot(clinic))
    before = await play.row(made)
    (processed,) = await play.told(PaymentProcessed, made)
    (confirmed,) = await play.told(BookingConfirmed, made)
    await play.world.deliver("booking", processed, times=2)
    await play.world.deliver("clinic", confirmed, times=2)
    await play.world.run_due()
    assert (await play.row(made)).version == before.version
    assert len(await play.stage.rows("clinic", Appointment, Appointment.booking_id == UUID(made["id"]))) == 1
    assert len(await play.told(BookingConfirmed, made)) == 1


async def test_7_clinic_suspended_before_payment(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot, free = await play.slot(clinic), await play.slot(clinic, hours=96)
    made = await play.booked(who, slot)
    await play.set_clinic(clinic.id, status="suspended")
    assert (await play.slot_row(free)).status == "blocked"
    await play.webhook(made)
    row = await play.row(made)
    assert (row.status, row.cancellation_reason, row.holds_seat) == ("cancelled", "clinic_unavailable", False)
    await play.world.advance(minutes=1)
    payment = await play.payment(made)
    assert (payment.status, payment.refunded_amount) == ("refunded", PRICE)
    assert (await play.slot_row(slot)).booked_count == 0
    assert all(entry.status == "cancelled" for entry in (await play.entries(made)).values())
    (told,) = await play.told(BookingCancelled, made)
    assert (told.refund_percent, told.refund_amount, told.cancelled_by) == (100, PRICE, "system")
    assert (await play.saga("book_appointment", made["id"])).status == "compensated"
    problem(await play.reserve(who, free), 422, "CLINIC_NOT_APPROVED")


@pytest.mark.parametrize(
    ("hours", "by_clinic", "refund"),
    [(72, False, "250000.00"), (30, False, "125000.00"), (5, False, "0.00"), (5, True, "250000.00")],
)
async def test_8_cancellation_tiers(play: Bookings, hours: int, by_clinic: bool, refund: str) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    slot = await play.slot(clinic, hours=hours)
    made = await play.confirmed(who, slot)
    answer = await play.cancel(made, clinic.owner if by_clinic else who)
    assert answer.status_code == 200, answer.text
    back, amount = answer.json()["refund"], Decimal(refund)
    assert (back["amount"], back["eligible"]) == (float(amount), amount > 0)
    assert (await play.slot_row(slot)).booked_count == 0
    entries, payment = await play.entries(made), await play.payment(made)
    assert payment.refunded_amount == amount
    if amount == PRICE:
        assert (payment.status, entries["booking_fee"].status, list(entries)) == (
            "refunded", "cancelled", ["booking_fee"],
        )  # fmt: skip
    elif amount:
        assert payment.status == "partially_refunded"
        entry = entries["refund"]
        assert (entry.tax_amount, entry.platform_fee, entry.clinic_amount) == (
            Decimal("-12387.39"), Decimal("-11261.26"), Decimal("-101351.35"),
        )  # fmt: skip
        assert entries["booking_fee"].status == "pending"
    else:
        assert (payment.status, back["status"]) == ("success", "none")
    again = await play.cancel(made, who)
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    assert len(await play.told(BookingCancelled, made)) == 1


async def test_9_refund_gateway_down(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    made = await play.confirmed(who, await play.slot(clinic))
    play.gateway.fail("refund", 2)
    answer = await play.cancel(made, who)
    assert (answer.status_code, answer.json()["refund"]["status"]) == (200, "processing")
    assert (await play.payment(made)).status == "refund_pending"
    for _ in range(4):
        await play.world.advance(minutes=1)
    payment = await play.payment(made)
    assert (payment.status, payment.refunded_amount) == ("refunded", PRICE)
    reference = payment.external_reference
    assert (play.gateway.calls("refund", reference), play.gateway.done("refund", reference)) == (3, [PRICE])
    assert (await play.saga("cancel_booking", made["id"])).status == "completed"


async def test_14_permissions_and_bad_input(play: Bookings) -> None:
    clinic, who, other = await play.clinic(), await play.stage.customer(), await play.stage.customer()
    slot = await play.slot(clinic)
    made = await play.confirmed(who, slot)
    problem(await play.stage.call("GET", f"/bookings/{made['id']}", other), 403, "FORBIDDEN")
    assert (await play.stage.call("GET", f"/bookings/{made['id']}")).status_code == 401
    second = await play.slot(clinic, hours=80)
    held = await play.reserved(who, second)
    cash = await play.stage.call("POST", "/bookings", who, reservationId=held["reservationId"], paymentMethod="cash")
    invalid(cash, "paymentMethod")
    third = await play.slot(clinic, hours=90)
    problem(await play.reserve(who, third, await play.pet(other)), 403, "PET_NOT_YOURS")
    wrong = await play.stage.call("GET", f"/services/{clinic.service['id']}/slots?date=2025-13-40")
    invalid(wrong, "date")
    skipped = await play.stage.call("PUT", f"/bookings/{made['id']}/status", clinic.owner, status="completed")
    problem(skipped, 409, "INVALID_STATUS_TRANSITION")
    assert skipped.json()["details"] == {"from": "confirmed", "to": "completed"}
    soon = await play.slot(clinic, hours=0.5)
    problem(await play.reserve(who, soon), 422, "LEAD_TIME")
    assert (await play.stage.rows("booking", Slot, Slot.id == UUID(soon)))[0].booked_count == 0
