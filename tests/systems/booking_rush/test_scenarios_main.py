"""The acceptance scenarios of the specification, numbered as there, through the public API."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from freehold.testing import Crash, crash_at
from systems.booking_rush.booking.contract import BookingConfirmed, BookingExpired, BookingReserved
from systems.booking_rush.payment.contract import PaymentCompleted, PaymentInitiated, PaymentRefunded
from systems.booking_rush.payment.gateway import ChargeOrder, Transaction
from systems.booking_rush.payment.simulated import SimulatedGateway
from systems.booking_rush.payment.tables import Payment
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import ABROAD, DAYS_AHEAD, problem
from tests.systems.booking_rush.stage import Seats, Stage, open_again, open_stage

pytestmark = pytest.mark.engines(2, 4)


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(databases, tmp_path, sim_async_delay_ms=11 * 60_000) as opened:  # beyond any hold
        yield opened


async def test_scenario_1_happy_path(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(100,))
    buyer = await stage.person()
    answer = await stage.reserve(buyer, event, 2)
    assert answer.status_code == 201, answer.text
    booking_id = answer.json()["booking_id"]
    assert (answer.json()["status"], answer.json()["total_price"]) == ("reserved", 6000.0)
    await stage.world.settle()
    paid = await stage.pay(buyer, booking_id)
    assert (paid.status_code, paid.json()["status"], paid.json()["amount"]) == (200, "succeeded", 6000.0), paid.text
    assert (paid.json()["card_brand"], paid.json()["card_last_four"]) == ("visa", "4242")
    await stage.world.run_due()

    shown = (await stage.call("GET", f"/bookings/{booking_id}", buyer)).json()
    assert (shown["status"], shown["payment_id"]) == ("confirmed", paid.json()["id"])
    assert shown["confirmation_code"].startswith("BK-")
    assert await stage.seats(event) == Seats(left=98, open=2, available=98, reserved=0, sold=2)
    for kind in (BookingReserved, PaymentInitiated, PaymentCompleted, BookingConfirmed):
        assert len(await stage.told(kind, booking_id)) == 1


async def test_scenario_2_last_seat(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(1,))
    buyers = [await stage.person() for _ in range(100)]
    answers = await asyncio.gather(*(stage.reserve(buyer, event) for buyer in buyers))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 99
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"INSUFFICIENT_SEATS"}
    await stage.world.settle()
    assert await stage.seats(event) == Seats(left=0, open=1, available=0, reserved=1, sold=0)


async def test_scenario_3_herd(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(50,))
    chance = random.Random(3)
    wishes = [(await stage.person(), chance.randint(1, 4)) for _ in range(500)]
    answers = await asyncio.gather(*(stage.reserve(buyer, event, quantity) for buyer, quantity in wishes))
    granted = [wish[1] for wish, answer in zip(wishes, answers, strict=True) if answer.status_code == 201]
    assert {answer.status_code for answer in answers} == {201, 409}
    assert sum(granted) == 50  # somebody wants one seat as long as one is left
    await stage.world.settle()
    assert await stage.seats(event) == Seats(left=0, open=50, available=0, reserved=50, sold=0)


async def test_scenario_4_hold_expires(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    booking_id = await stage.held(buyer, event, 3)
    payment = await stage.payment(booking_id)
    await stage.world.advance(minutes=10, seconds=1)

    assert (await stage.booking(booking_id)).status == "expired"
    assert (await stage.booking(booking_id)).status_reason == "hold expired"
    assert (await stage.payment(booking_id)).status == "cancelled"
    assert await stage.seats(event) == Seats(left=10, open=0, available=10, reserved=0, sold=0)
    problem(await stage.act(f"/payments/{payment.id}/process", buyer, card_token="tok_visa"), 410, "BOOKING_EXPIRED")
    problem(await stage.act(f"/bookings/{booking_id}/confirm", buyer), 410, "EXPIRED")
    summary = (await stage.call("GET", f"/bookings/summary?event_id={event['id']}", buyer)).json()
    assert (summary["booked_count"], summary["remaining_slots"]) == (0, 10)
    await stage.world.run_due()
    assert len(await stage.told(BookingExpired, booking_id)) == 1


async def test_scenario_4_a_late_confirm_expires_the_hold_on_the_spot(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    booking_id = await stage.held(buyer, event, 3)
    stage.world.clock.advance(minutes=10, seconds=1)
    problem(await stage.act(f"/bookings/{booking_id}/confirm", buyer), 410, "EXPIRED")
    assert (await stage.booking(booking_id)).status == "expired"
    assert (await stage.seats(event)).left == 10


async def test_scenario_4_what_was_paid_in_time_is_confirmed_though_the_hold_ended_since(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    booking_id = await stage.held(buyer, event, 3)
    problem(await stage.act(f"/bookings/{booking_id}/confirm", buyer), 402, "PAYMENT_REQUIRED")
    await stage.pay(buyer, booking_id)
    stage.world.clock.advance(minutes=10, seconds=1)
    confirmed = await stage.act(f"/bookings/{booking_id}/confirm", buyer)
    assert (confirmed.status_code, confirmed.json()["status"]) == (200, "confirmed"), confirmed.text
    problem(await stage.act(f"/bookings/{booking_id}/confirm", buyer), 409, "ALREADY_CONFIRMED")
    problem(await stage.act(f"/bookings/{booking_id}/cancel", buyer), 409, "ALREADY_CONFIRMED")
    await stage.world.run_due()
    assert len(await stage.told(BookingConfirmed, booking_id)) == 1


async def test_scenario_5_same_key_twice(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(100,))
    buyer = await stage.person()
    first, second = [await stage.reserve(buyer, event, 2, key="K") for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    problem(await stage.reserve(buyer, event, 3, key="K"), 422, "IDEMPOTENCY_KEY_REUSED")
    assert (await stage.seats(event)).open == 2

    answers = await asyncio.gather(*(stage.reserve(buyer, event, 1, key="L") for _ in range(10)))
    bookings = {answer.json()["booking_id"] for answer in answers if answer.status_code == 201}
    refused = {answer.json()["code"] for answer in answers if answer.status_code != 201}
    assert len(bookings) == 1
    assert refused <= {"REQUEST_IN_PROGRESS"}
    assert (await stage.seats(event)).open == 3


async def test_scenario_5_the_first_answer_comes_back_from_a_zone_that_is_sold_out_by_now(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(2,))
    buyer, other = await stage.person(), await stage.person()
    first = await stage.reserve(buyer, event, 2, key="K")
    problem(await stage.reserve(other, event, 1), 409, "INSUFFICIENT_SEATS")
    again = await stage.reserve(buyer, event, 2, key="K")
    assert (again.status_code, again.content) == (201, first.content)


async def test_scenario_5_a_key_stays_used_when_its_record_is_gone(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    first = await stage.reserve(buyer, event, 2, key="K")
    await stage.world.advance(hours=25)
    again = await stage.reserve(buyer, event, 2, key="K")
    assert (again.status_code, again.json()) == (201, first.json())
    problem(await stage.reserve(buyer, event, 1, key="K"), 422, "IDEMPOTENCY_KEY_REUSED")
    assert (await stage.seats(event)).open == 0


async def test_scenario_6_ticket_cap(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10, 10), max_tickets_per_user=4)
    buyer = await stage.person()
    await stage.bought(buyer, event, 1)
    held = await stage.held(buyer, event, 2)
    problem(await stage.reserve(buyer, event, 2, zone=1), 409, "MAX_TICKETS_EXCEEDED")
    assert (await stage.reserve(buyer, event, 1, zone=1)).status_code == 201
    problem(await stage.reserve(buyer, event, 1, zone=1), 409, "MAX_TICKETS_EXCEEDED")
    assert (await stage.act(f"/bookings/{held}/cancel", buyer)).status_code == 200
    assert (await stage.reserve(buyer, event, 2, zone=1)).status_code == 201
    summary = (await stage.call("GET", f"/bookings/summary?event_id={event['id']}", buyer)).json()
    assert (summary["booked_count"], summary["max_allowed"], summary["remaining_slots"]) == (4, 4, 0)


async def test_scenario_6_the_cap_holds_for_many_requests_at_once(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(100, 100), max_tickets_per_user=4)
    buyer = await stage.person()
    answers = await asyncio.gather(*(stage.reserve(buyer, event, 1, zone=number % 2) for number in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [409] * 16


async def test_scenario_7_decline(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    booking_id = await stage.held(buyer, event, 2)
    paid = (await stage.pay(buyer, booking_id, "tok_insufficient")).json()
    assert (paid["status"], paid["error_code"]) == ("failed", "insufficient_funds")
    booking = await stage.booking(booking_id)
    assert (booking.status, booking.status_reason) == ("cancelled", "payment_failed")
    assert await stage.seats(event) == Seats(left=10, open=0, available=10, reserved=0, sold=0)
    assert await stage.charged(booking_id) is None


async def test_scenario_8_duplicate_delivery(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    booking_id = await stage.bought(buyer, event, 2)
    code = (await stage.booking(booking_id)).confirmation_code
    for kind in (BookingReserved, PaymentCompleted, BookingConfirmed):
        await stage.redeliver(kind, booking_id, times=2)
    await stage.world.run_due()
    async with stage.world.work("payment").transaction(readonly=True) as tx:
        count = select(func.count()).where(Payment.booking_id == UUID(booking_id))
        assert await tx.scalar(count) == 1
    assert (await stage.booking(booking_id)).confirmation_code == code
    assert len(await stage.told(BookingConfirmed, booking_id)) == 1
    assert await stage.seats(event) == Seats(left=8, open=2, available=8, reserved=0, sold=2)


async def test_scenario_9_a_crash_before_the_confirm_commits(databases: Databases, tmp_path: Path) -> None:
    async with open_stage(databases, tmp_path) as stage:
        event = await stage.event(await stage.person("organizer"), seats=(10,))
        buyer = await stage.person()
        booking_id = await stage.held(buyer, event, 2)
        await stage.pay(buyer, booking_id)
        with crash_at("saga.before_step", nth=2), pytest.raises(Crash):
            await stage.world.run_due()
        assert (await stage.booking(booking_id)).status == "reserved"
        clock = stage.world.clock
    async with await open_again(databases, tmp_path, clock) as world:
        await world.run_due()
        again = Stage(world)
        assert (await again.booking(booking_id)).status == "confirmed"
        assert len(await again.told(BookingConfirmed, booking_id)) == 1
        assert await again.seats(event) == Seats(left=8, open=2, available=8, reserved=0, sold=2)


async def test_scenario_9_a_crash_right_after_the_gateway_accepted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    booking_id = await stage.held(buyer, event, 2)
    charge = SimulatedGateway.charge

    async def charge_and_die(self: SimulatedGateway, order: ChargeOrder) -> Transaction:
        await charge(self, order)
        raise Crash("gateway")

    with monkeypatch.context() as patched:
        patched.setattr(SimulatedGateway, "charge", charge_and_die)
        with pytest.raises(Crash):
            await stage.pay(buyer, booking_id)
    payment = await stage.payment(booking_id)
    assert payment.status == "processing"
    await stage.world.advance(minutes=2, seconds=31)
    await stage.world.run_due()
    assert (await stage.payment(booking_id)).status == "succeeded"
    assert (await stage.booking(booking_id)).status == "confirmed"
    assert await stage.charged(booking_id) == 600_000


async def test_scenario_10_late_payment(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(2,))
    late, quick = await stage.person(), await stage.person()
    booking_id = await stage.held(late, event, 2)
    assert (await stage.pay(late, booking_id, "tok_async")).json()["status"] == "processing"
    await stage.world.advance(minutes=10, seconds=1)
    assert (await stage.booking(booking_id)).status == "expired"
    bought = await stage.bought(quick, event, 2)

    await stage.world.advance(minutes=1)
    for _ in range(3):
        await stage.world.advance(seconds=5)
    payment = await stage.payment(booking_id)
    assert (payment.status, payment.refund_amount) == ("refunded", payment.amount)
    assert (await stage.booking(booking_id)).status == "expired"
    assert (await stage.booking(bought)).status == "confirmed"
    assert await stage.seats(event) == Seats(left=0, open=2, available=0, reserved=0, sold=2)
    assert await stage.charged(booking_id) == 0
    assert (await stage.saga("post_payment_saga", booking_id)).status == "compensated"


async def book_and_pay(stage: Stage, event: dict, card: str) -> dict:  # type: ignore[type-arg]
    buyer = await stage.person()
    accepted = await stage.act(
        "/saga/bookings", buyer, event_id=event["id"], show_id=event["show"]["id"], zone_id=event["zones"][0]["id"],
        quantity=2, total_price=6000.0, card_token=card,
    )  # fmt: skip
    assert accepted.status_code == 202, accepted.text
    for _ in range(30):
        await stage.world.advance(seconds=2)
        saga = (await stage.call("GET", f"/saga/bookings/{accepted.json()['saga_id']}", buyer)).json()
        if saga["status"] in ("completed", "compensated", "needs_attention"):
            return {**saga, "booking_id": accepted.json()["booking_id"]}
    raise AssertionError(saga)


async def test_scenario_11_all_in_one(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    saga = await book_and_pay(stage, event, "tok_visa")
    assert saga["status"] == "completed"
    assert (await stage.booking(saga["booking_id"])).status == "confirmed"
    assert (await stage.payment(saga["booking_id"])).status == "succeeded"
    assert await stage.seats(event) == Seats(left=8, open=2, available=8, reserved=0, sold=2)
    assert len(await stage.told(BookingConfirmed, saga["booking_id"])) == 1


async def test_scenario_11_compensation_of_a_declined_card(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    saga = await book_and_pay(stage, event, "tok_declined")
    assert saga["status"] == "compensated"
    assert (await stage.booking(saga["booking_id"])).status == "cancelled"
    assert await stage.seats(event) == Seats(left=10, open=0, available=10, reserved=0, sold=0)
    assert await stage.charged(saga["booking_id"]) is None


async def test_scenario_11_compensation_when_confirming_fails(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    async with stage.confirming_fails(event):
        saga = await book_and_pay(stage, event, "tok_visa")
        await stage.world.advance(seconds=30)
    assert saga["status"] == "compensated"
    assert (await stage.booking(saga["booking_id"])).status == "cancelled"
    payment = await stage.payment(saga["booking_id"])
    assert (payment.status, payment.refund_amount) == ("refunded", payment.amount)
    assert await stage.seats(event) == Seats(left=10, open=0, available=10, reserved=0, sold=0)
    assert len(await stage.told(PaymentRefunded, saga["booking_id"])) == 1


async def test_scenario_13_permissions_and_tenants(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    ann, ben, foreigner = await stage.person(), await stage.person(), await stage.person(tenant=ABROAD)
    admin, foreign_admin = await stage.person("admin"), await stage.person("admin", tenant=ABROAD)
    booking_id = await stage.held(ann, event, 2)
    payment = await stage.payment(booking_id)
    problem(await stage.reserve(foreigner, event), 403, "TENANT_MISMATCH")
    for path in (f"/bookings/{booking_id}", f"/payments/{payment.id}", f"/payments/booking/{booking_id}"):
        for who, status in ((ann, 200), (ben, 403), (admin, 200), (foreigner, 404), (foreign_admin, 404)):
            answer = await stage.call("GET", path, who)
            assert answer.status_code == status, (path, answer.text)
        problem(await stage.call("GET", path), 401, "MISSING_TOKEN")
    for path in (f"/bookings/{booking_id}/cancel", f"/payments/{payment.id}/cancel", f"/bookings/{booking_id}/confirm"):
        for who, status in ((ben, 403), (foreigner, 404), (foreign_admin, 404)):
            answer = await stage.act(path, who)
            assert answer.status_code == status, (path, answer.text)
    problem(await stage.call("GET", f"/payments/user/{ann.id}", ben), 403, "FORBIDDEN")
    assert len((await stage.call("GET", f"/payments/user/{ann.id}", ann)).json()["data"]) == 1
    for path in (f"/internal/bookings/{booking_id}", f"/internal/payments/booking/{booking_id}"):
        assert (await stage.http.get(path, headers=admin.headers)).status_code == 404
        assert (await stage.http.get(f"/api/v1{path}", headers=admin.headers)).status_code == 404
    problem(await stage.call("GET", "/admin/inventory-status", ann), 403, "FORBIDDEN")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"quantity": 0}, 400, "INVALID_QUANTITY"),
        ({"quantity": -1}, 400, "INVALID_QUANTITY"),
        ({"quantity": 11}, 400, "INVALID_QUANTITY"),
        ({"quantity": "two"}, 400, "INVALID_QUANTITY"),
        ({"quantity": "2"}, 400, "INVALID_QUANTITY"),
        ({"quantity": None}, 400, "INVALID_QUANTITY"),
        ({"zone_id": str(uuid4())}, 404, "ZONE_NOT_FOUND"),
        ({"zone_id": "zone"}, 400, "INVALID_REQUEST"),
        ({"show_id": str(uuid4())}, 400, "INVALID_SHOW_ID"),
        ({"show_id": 7}, 400, "INVALID_SHOW_ID"),
        ({"event_id": str(uuid4())}, 400, "INVALID_EVENT_ID"),
    ],
)
async def test_scenario_14_bad_input(stage: Stage, body: dict[str, object], status: int, code: str) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    problem(await stage.reserve(buyer, event, **{"quantity": 1, **body}), status, code)  # type: ignore[arg-type]
    assert await stage.bookings(event) == 0


async def test_scenario_14_missing_key_and_malformed_json(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,))
    buyer = await stage.person()
    url = "/api/v1/bookings/reserve"
    problem(await stage.http.post(url, json={}, headers=buyer.headers), 400, "MISSING_IDEMPOTENCY_KEY")
    keyed = {**buyer.headers, "X-Idempotency-Key": "K", "Content-Type": "application/json"}
    problem(await stage.http.post(url, content=b'{"zone_id": ', headers=keyed), 400, "INVALID_REQUEST")
    problem(await stage.reserve(buyer, event, key="k" * 201), 400, "INVALID_IDEMPOTENCY_KEY")
    problem(await stage.http.post(url, json={}), 401, "MISSING_TOKEN")
    assert await stage.bookings(event) == 0


@pytest.mark.parametrize(("days_before", "refunded"), [(10, 4000.0), (8, 4000.0), (7, 2000.0), (3, 2000.0)])
async def test_scenario_15_refund_by_policy(stage: Stage, days_before: int, refunded: float) -> None:
    event = await stage.event(await stage.person("organizer"), seats=(10,), price=1000.0)
    buyer = await stage.person()
    booking_id = await stage.bought(buyer, event, 4)
    stage.world.clock.advance(days=DAYS_AHEAD - days_before)
    payment = await stage.payment(booking_id)
    answer = await stage.act(f"/payments/{payment.id}/refund", buyer)
    assert (answer.status_code, answer.json()["status"]) == (200, "refunded"), answer.text
    assert answer.json()["refund_amount"] == refunded
    booking = await stage.booking(booking_id)
    assert (booking.status, booking.status_reason) == ("cancelled", "payment_refunded")
    assert await stage.seats(event) == Seats(left=10, open=0, available=10, reserved=0, sold=0)


async def test_scenario_15_too_late_for_a_refund(stage: Stage) -> None:
    organizer = await stage.person("organizer")
    event = await stage.event(organizer, seats=(10,), price=1000.0)
    buyer = await stage.person()
    booking_id = await stage.bought(buyer, event, 4)
    stage.world.clock.advance(days=DAYS_AHEAD - 2)
    payment = await stage.payment(booking_id)
    problem(await stage.act(f"/payments/{payment.id}/refund", buyer), 409, "REFUND_NOT_ALLOWED")
    other = await stage.person("organizer")
    problem(await stage.act(f"/payments/{payment.id}/refund", other), 403, "FORBIDDEN")
    problem(await stage.act(f"/payments/{payment.id}/refund", organizer, amount=4000.01), 400, "INVALID_AMOUNT")
    answer = await stage.act(f"/payments/{payment.id}/refund", organizer, amount=4000.0)
    assert answer.json()["status"] == "refunded"


async def test_scenario_15_the_organizer_cancels_the_event(stage: Stage) -> None:
    organizer = await stage.person("organizer")
    event = await stage.event(organizer, seats=(20,))
    buyer, holder = await stage.person(), await stage.person()
    bought, held = await stage.bought(buyer, event, 4), await stage.held(holder, event, 2)
    assert (await stage.act(f"/events/{event['id']}/cancel", organizer, reason="rain")).status_code == 200
    problem(await stage.reserve(await stage.person(), event, 1), 409, "SALE_NOT_OPEN")
    for _ in range(2):
        await stage.world.advance(seconds=5)
    for booking_id, status in ((bought, "refunded"), (held, "cancelled")):
        booking, payment = await stage.booking(booking_id), await stage.payment(booking_id)
        assert (booking.status, booking.status_reason) == ("cancelled", "event_cancelled")
        assert payment.status == status
    assert (await stage.charged(bought), await stage.charged(held)) == (0, None)
    assert (await stage.seats(event)).open == 0
