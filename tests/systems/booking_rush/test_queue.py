"""The virtual queue: whose turn it is, and what a pass is worth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from freehold import KeyRing, TokenIssuer
from freehold.http import gateway_app
from freehold.testing import Crash, crash_at
from systems.booking_rush.booking.queue_tables import QueueEntry
from systems.booking_rush.system import system as limited
from tests.databases import Databases, statements
from tests.systems.booking_rush.catalogue import ABROAD, problem
from tests.systems.booking_rush.lining import Lining, open_again, open_lining
from tests.unit.http.library import client


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path) -> AsyncIterator[Lining]:
    async with open_lining(databases, tmp_path) as opened:
        yield opened


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Lining]:
    """For what no database decides."""
    databases = Databases("sqlite", tmp_path, None)
    async with open_lining(databases, tmp_path) as opened:
        yield opened
    await databases.close()


async def test_scenario_12_queue(stage: Lining) -> None:
    event = await stage.queued_event(most=0)
    a, b, c = [await stage.person() for _ in range(3)]
    for number, person in enumerate((a, b, c), 1):
        place = await stage.joined(person, event)
        assert (place["position"], place["estimated_wait_seconds"], len(place["token"])) == (number, 3 * number, 32)
    await stage.configure(event, await stage.person("admin"), max_concurrent_bookings=2)
    await stage.release()
    pass_of_a = await stage.pass_of(a, event)
    await stage.pass_of(b, event)
    third = (await stage.position(c, event)).json()
    assert (third["position"], third["total_in_queue"], third["is_ready"], third["queue_pass"]) == (1, 1, False, None)

    problem(await stage.reserve(c, event), 403, "QUEUE_PASS_REQUIRED")
    problem(await stage.reserve(b, event, queue_pass=pass_of_a), 403, "QUEUE_PASS_MISMATCH")
    booked = await stage.reserve(a, event, key="A", queue_pass=pass_of_a)
    assert booked.status_code == 201, booked.text
    await stage.world.advance(seconds=2)
    pass_of_c = await stage.pass_of(c, event)
    problem(await stage.reserve(a, event, queue_pass=pass_of_a), 403, "QUEUE_PASS_EXPIRED")

    again = await stage.reserve(a, event, key="A", queue_pass=pass_of_a)
    assert (again.status_code, again.content) == (201, booked.content)
    assert (await stage.reserve(c, event, queue_pass=pass_of_c)).status_code == 201
    assert await stage.statuses(event) == ["used", "released", "used"]


async def test_a_pass_comes_in_the_header_too_and_is_used_only_by_a_success(embedded: Lining) -> None:
    event = await embedded.queued_event(most=1, seats=2)
    buyer = await embedded.person()
    token = await embedded.passed(buyer, event)
    problem(await embedded.reserve(buyer, event, 3, queue_pass=token), 409, "INSUFFICIENT_SEATS")
    assert await embedded.statuses(event) == ["released"]
    wish = {"event_id": event["id"], "show_id": event["show"]["id"], "zone_id": event["zones"][0]["id"], "quantity": 1}
    headers = {**buyer.headers, "X-Idempotency-Key": "h", "X-Queue-Pass": token}
    assert (await embedded.http.post("/api/v1/bookings/reserve", json=wish, headers=headers)).status_code == 201
    assert await embedded.statuses(event) == ["used"]


async def test_a_refusal_for_want_of_a_pass_leaves_the_key_free(embedded: Lining) -> None:
    event = await embedded.queued_event()
    buyer = await embedded.person()
    problem(await embedded.reserve(buyer, event, key="K"), 403, "QUEUE_PASS_REQUIRED")
    token = await embedded.passed(buyer, event)
    wish = {"event_id": event["id"], "show_id": event["show"]["id"], "zone_id": event["zones"][0]["id"], "quantity": 1}
    headers = {**buyer.headers, "X-Idempotency-Key": "K", "X-Queue-Pass": token}
    assert (await embedded.http.post("/api/v1/bookings/reserve", json=wish, headers=headers)).status_code == 201


async def test_what_is_no_pass(embedded: Lining) -> None:
    event, other = await embedded.queued_event(), await embedded.queued_event()
    buyer = await embedded.person()
    token = await embedded.passed(buyer, event)
    claims = {"jti": str(uuid4()), "user_id": str(buyer.id), "event_id": event["id"], "purpose": "queue_pass"}
    forger = TokenIssuer(KeyRing.generate(), issuer="booking", audience="queue_pass", clock=embedded.world.clock)
    ring = embedded.world.process.units["booking"].host.provided.use(KeyRing)
    elsewhere = TokenIssuer(ring, issuer="booking", audience="something_else", clock=embedded.world.clock)
    for bad in (
        "x", "a.b.c", token[:-4], buyer.headers["Authorization"].split()[1], forger.issue_claims(claims, 60),
        elsewhere.issue_claims(claims, 60),
    ):  # fmt: skip
        problem(await embedded.reserve(buyer, event, queue_pass=bad), 403, "INVALID_QUEUE_PASS")
    own = TokenIssuer(ring, issuer="booking", audience="queue_pass", clock=embedded.world.clock)
    unreadable = own.issue_claims({**claims, "jti": "not a UUID"}, 60)
    problem(await embedded.reserve(buyer, event, queue_pass=unreadable), 403, "INVALID_QUEUE_PASS")
    never_given = own.issue_claims(claims, 60)
    problem(await embedded.reserve(buyer, event, queue_pass=never_given), 403, "QUEUE_PASS_EXPIRED")
    problem(await embedded.reserve(buyer, other, queue_pass=token), 403, "QUEUE_PASS_MISMATCH")
    assert (await embedded.reserve(buyer, event, queue_pass=token)).status_code == 201


async def test_one_pass_makes_one_booking_however_often_it_is_shown_at_once(stage: Lining) -> None:
    event = await stage.queued_event()
    buyer = await stage.person()
    token = await stage.passed(buyer, event)
    answers = await asyncio.gather(*(stage.reserve(buyer, event, queue_pass=token) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [403] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 403} == {"QUEUE_PASS_EXPIRED"}
    await stage.world.settle()
    assert (await stage.seats(event)).open == 1


async def test_passes_of_many_buyers_cost_two_statements_a_batch(stage: Lining) -> None:
    event = await stage.queued_event(most=50)
    buyers = [await stage.person() for _ in range(40)]
    for buyer in buyers:
        await stage.joined(buyer, event)
    await stage.release()
    tokens = [await stage.pass_of(buyer, event) for buyer in buyers]
    with statements() as sent:
        await asyncio.gather(*(stage.reserve(b, event, queue_pass=t) for b, t in zip(buyers, tokens, strict=True)))
    about_passes = [statement for statement in sent if "queue_entries" in statement]
    batches = [statement for statement in sent if "FROM zone_inventory" in statement]
    assert len(about_passes) <= 2 * len(batches)
    assert len(batches) < 40
    assert await stage.statuses(event) == ["used"] * 40


async def test_without_a_queue_no_pass_is_looked_at(embedded: Lining) -> None:
    event = await embedded.queued_event(required=False)
    buyer = await embedded.person()
    assert (await embedded.reserve(buyer, event)).status_code == 201
    with statements() as sent:
        assert (await embedded.reserve(buyer, event)).status_code == 201
    assert [statement for statement in sent if "queue" in statement] == []
    token = await embedded.passed(buyer, event)
    assert (await embedded.reserve(buyer, event, queue_pass=token)).status_code == 201
    assert await embedded.statuses(event) == ["used"]  # the place is free for the next all the same
    assert (await embedded.reserve(buyer, event, queue_pass=token)).status_code == 201


async def test_the_saga_route_is_no_way_round_the_queue(embedded: Lining) -> None:
    event = await embedded.queued_event()
    buyer = await embedded.person()
    wish = {
        "event_id": event["id"], "show_id": event["show"]["id"], "zone_id": event["zones"][0]["id"], "quantity": 1,
        "total_price": 3000.0,
    }  # fmt: skip
    problem(await embedded.act("/saga/bookings", buyer, **wish), 403, "QUEUE_PASS_REQUIRED")
    token = await embedded.passed(buyer, event)
    answer = await embedded.act("/saga/bookings", buyer, **wish, queue_pass=token)
    assert answer.status_code == 202, answer.text
    assert await embedded.statuses(event) == ["used"]
    problem(await embedded.act("/saga/bookings", buyer, **wish, queue_pass=token), 403, "QUEUE_PASS_EXPIRED")
    await embedded.world.run_due()
    assert (await embedded.seats(event)).open == 1


# --- the line ---------------------------------------------------------------------------------------------------------


async def test_joining_twice_keeps_the_place(stage: Lining) -> None:
    event = await stage.queued_event(most=0)
    a, b = await stage.person(), await stage.person()
    first = await stage.join(a, event, key="K")
    await stage.joined(b, event)
    assert (await stage.join(a, event, key="K")).content == first.content
    problem(await stage.join(a, event), 409, "ALREADY_IN_QUEUE")
    assert (await stage.position(a, event)).json()["position"] == 1
    others = [await stage.person() for _ in range(10)]
    at_once = await asyncio.gather(*(stage.join(person, event) for person in others))
    assert sorted(answer.json()["position"] for answer in at_once) == list(range(3, 13))
    assert await stage.statuses(event) == ["waiting"] * 12


async def test_who_may_not_join(embedded: Lining) -> None:
    organizer, buyer = await embedded.person("organizer"), await embedded.person()
    problem(await embedded.act("/queue/join", buyer, event_id=str(uuid4())), 400, "INVALID_EVENT_ID")
    problem(await embedded.act("/queue/join", buyer, event_id="x"), 400, "INVALID_EVENT_ID")
    problem(await embedded.call("POST", "/queue/join", buyer, event_id=str(uuid4())), 400, "MISSING_IDEMPOTENCY_KEY")
    draft = await embedded.made("/events", organizer, name="Draft")
    problem(await embedded.join(buyer, draft), 409, "QUEUE_NOT_OPEN")
    event = await embedded.queued_event(max_queue_size=1)
    problem(await embedded.join(await embedded.person(tenant=ABROAD), event), 403, "TENANT_MISMATCH")
    await embedded.joined(buyer, event)
    problem(await embedded.join(await embedded.person(), event), 409, "QUEUE_FULL")


async def test_leaving(stage: Lining) -> None:
    event = await stage.queued_event(most=1)
    people = [await stage.person() for _ in range(4)]
    places = [await stage.joined(person, event) for person in people]
    await stage.release()
    token = await stage.pass_of(people[0], event)
    problem(await stage.leave(people[1], event, places[2]["token"]), 403, "INVALID_TOKEN")
    left = await stage.leave(people[1], event, places[1]["token"])
    assert (left.status_code, left.json()["success"]) == (200, True)
    problem(await stage.leave(people[1], event, places[1]["token"]), 404, "NOT_IN_QUEUE")
    problem(await stage.position(people[1], event), 404, "NOT_IN_QUEUE")
    assert (await stage.position(people[3], event)).json()["position"] == 2
    # Who leaves with a pass gives it to the next.
    assert (await stage.leave(people[0], event, places[0]["token"])).status_code == 200
    problem(await stage.reserve(people[0], event, queue_pass=token), 403, "QUEUE_PASS_EXPIRED")
    await stage.release()
    await stage.pass_of(people[2], event)
    assert (await stage.joined(people[1], event))["position"] == 2
    assert await stage.statuses(event) == ["left", "left", "released", "waiting", "waiting"]
    assert all(entry.token_hash not in [place["token"] for place in places] for entry in await stage.entries(event))


async def test_places_and_passes_lapse(stage: Lining) -> None:
    event = await stage.queued_event(most=1)
    a, b, c = [await stage.person() for _ in range(3)]
    token = await stage.passed(a, event)
    for person in (b, c):
        await stage.joined(person, event)
    stage.world.clock.advance(minutes=4, seconds=59)
    await stage.release()
    assert await stage.pass_of(a, event)
    assert await stage.statuses(event) == ["released", "waiting", "waiting"]
    stage.world.clock.advance(seconds=1)
    problem(await stage.position(a, event), 404, "NOT_IN_QUEUE")  # before the worker has looked
    problem(await stage.reserve(a, event, queue_pass=token), 403, "QUEUE_PASS_EXPIRED")
    assert (await stage.joined(a, event))["position"] == 3
    await stage.release()
    assert (await stage.position(b, event)).json()["is_ready"]
    assert await stage.statuses(event) == ["lapsed", "released", "waiting", "waiting"]
    stage.world.clock.advance(minutes=30)
    problem(await stage.position(c, event), 404, "NOT_IN_QUEUE")
    await stage.release()
    assert await stage.statuses(event) == ["lapsed"] * 4
    stage.world.clock.advance(days=8)
    await stage.world.run_job("booking", "queue_cleaner")
    assert await stage.statuses(event) == []


async def test_whoever_is_first_gets_a_free_pass_by_looking(embedded: Lining) -> None:
    event = await embedded.queued_event(most=1)
    a, b = await embedded.person(), await embedded.person()
    for person in (a, b):
        await embedded.joined(person, event)
    assert (await embedded.position(a, event)).json()["is_ready"]
    assert (await embedded.position(b, event)).json()["position"] == 1  # the only pass is out
    assert await embedded.statuses(event) == ["released", "waiting"]


async def test_a_crash_right_after_the_release_loses_no_pass(databases: Databases, tmp_path: Path) -> None:
    async with open_lining(databases, tmp_path) as stage:
        event = await stage.queued_event(most=1)
        a = await stage.person()
        await stage.joined(a, event)
        with crash_at("commit.after"), pytest.raises(Crash):
            await stage.position(a, event)
        clock = stage.world.clock
    async with await open_again(databases, tmp_path / "home", clock) as world:
        again = Lining(world)
        a = type(a)(world, a.id, a.role, a.tenant, a.email)
        token = await again.pass_of(a, event)
        assert (await again.reserve(a, event, key="new", queue_pass=token)).status_code == 201
        assert await again.statuses(event) == ["used"]


# --- whose queue it is ------------------------------------------------------------------------------------------------


async def test_settings(embedded: Lining) -> None:
    organizer, admin = await embedded.person("organizer"), await embedded.person("admin")
    event = await embedded.event(organizer, seats=(10,))
    made = await embedded.configure(event, organizer, required=True, queue_pass_ttl_minutes=0.5)
    assert made.json() == {
        "event_id": event["id"], "required": True, "max_concurrent_bookings": 500, "queue_pass_ttl_minutes": 0.5,
        "max_queue_size": 100_000,
    }  # fmt: skip
    assert (await embedded.configure(event, admin, max_concurrent_bookings=7)).json()["max_concurrent_bookings"] == 7
    problem(await embedded.configure(event, await embedded.person("organizer"), required=False), 403, "FORBIDDEN")
    problem(
        await embedded.configure(event, await embedded.person("admin", tenant=ABROAD), required=False), 404, "NOT_FOUND"
    )
    problem(await embedded.configure(event, await embedded.person(), required=False), 403, "FORBIDDEN")
    problem(await embedded.configure({"id": str(uuid4())}, admin, required=False), 404, "NOT_FOUND")
    refused = await embedded.configure(event, organizer, max_concurrent_bookings=-1)
    assert refused.status_code == 400
    buyer = await embedded.person()
    await embedded.passed(buyer, event)
    shown = (await embedded.position(buyer, event)).json()
    (entry,) = await embedded.entries(event)
    assert entry.released_at is not None
    assert entry.pass_expires_at == entry.released_at + timedelta(seconds=30)
    assert shown["queue_pass_expires_at"].startswith("2030-01-01T12:00:30")
    problem(await embedded.reserve(buyer, event), 403, "QUEUE_PASS_REQUIRED")
    assert (await embedded.configure(event, organizer, required=False)).status_code == 200
    assert (await embedded.reserve(buyer, event)).status_code == 201


async def test_status(embedded: Lining) -> None:
    organizer = await embedded.person("organizer")
    event = await embedded.event(organizer, seats=(10,))
    a = await embedded.person()

    async def status(who: Any = a) -> Any:
        return await embedded.call("GET", f"/queue/status/{event['id']}", who)

    assert (await status()).json() == {"event_id": event["id"], "total_in_queue": 0, "is_open": True}
    await embedded.joined(a, event)
    assert (await status()).json()["total_in_queue"] == 1
    problem(await status(await embedded.person(tenant=ABROAD)), 404, "NOT_FOUND")
    problem(await embedded.call("GET", f"/queue/status/{uuid4()}", a), 404, "NOT_FOUND")
    problem(await embedded.position(await embedded.person(), event), 404, "NOT_IN_QUEUE")
    problem(await embedded.call("GET", "/queue/position/x", a), 400, "INVALID_EVENT_ID")


async def test_a_cancelled_event_drops_its_queue(stage: Lining) -> None:
    event = await stage.queued_event(most=1)
    a, b = await stage.person(), await stage.person()
    token = await stage.passed(a, event)
    await stage.joined(b, event)
    answer = await stage.act(f"/events/{event['id']}/cancel", await stage.person("admin"), reason="rain")
    assert answer.status_code == 200, answer.text
    assert await stage.statuses(event) == ["lapsed", "lapsed"]
    problem(await stage.position(b, event), 404, "NOT_IN_QUEUE")
    assert (await stage.reserve(a, event, queue_pass=token)).status_code in (403, 409)
    problem(await stage.join(await stage.person(), event), 409, "QUEUE_NOT_OPEN")
    assert not (await stage.call("GET", f"/queue/status/{event['id']}", b)).json()["is_open"]


async def test_a_deleted_user_leaves_every_queue(stage: Lining) -> None:
    event, other = await stage.queued_event(most=1), await stage.queued_event(most=0)
    a, b = await stage.person(), await stage.person()
    await stage.passed(a, event)
    await stage.joined(b, event)
    await stage.joined(a, other)
    assert (await stage.call("DELETE", f"/users/{a.id}", await stage.person("admin"))).status_code == 200
    await stage.world.settle()
    assert (await stage.statuses(event), await stage.statuses(other)) == (["lapsed", "waiting"], ["left"])
    await stage.release()
    assert (await stage.position(b, event)).json()["is_ready"]


async def test_a_crowd_needs_the_queue(tmp_path: Path) -> None:
    databases = Databases("sqlite", tmp_path, None)
    async with open_lining(databases, tmp_path, queue_auto_buyers=3) as stage:
        event = await stage.event(await stage.person("organizer"), seats=(100,))
        buyers = [await stage.person() for _ in range(4)]
        for buyer in [*buyers[:3], buyers[0], buyers[1]]:
            assert (await stage.reserve(buyer, event)).status_code == 201
        problem(await stage.reserve(buyers[3], event), 403, "QUEUE_PASS_REQUIRED")
        token = await stage.passed(buyers[3], event)
        assert (await stage.reserve(buyers[3], event, queue_pass=token)).status_code == 201
        stage.world.clock.advance(seconds=10)
        problem(await stage.reserve(buyers[0], event), 403, "QUEUE_PASS_REQUIRED")  # the last window counts still
        stage.world.clock.advance(seconds=20)
        assert (await stage.reserve(buyers[0], event)).status_code == 201


async def test_every_event_may_need_its_queue(tmp_path: Path) -> None:
    databases = Databases("sqlite", tmp_path, None)
    async with open_lining(databases, tmp_path, require_queue_pass=True) as stage:
        event = await stage.event(await stage.person("organizer"), seats=(10,))
        buyer = await stage.person()
        problem(await stage.reserve(buyer, event), 403, "QUEUE_PASS_REQUIRED")
        token = await stage.passed(buyer, event)
        assert (await stage.reserve(buyer, event, queue_pass=token)).status_code == 201


async def test_the_entry_decides_so_a_pass_can_be_revoked(embedded: Lining) -> None:
    event = await embedded.queued_event()
    buyer = await embedded.person()
    token = await embedded.passed(buyer, event)
    async with embedded.world.work("booking").transaction() as tx:
        entry = await tx.scalar(select(QueueEntry).where(QueueEntry.event_id == UUID(event["id"])))
        entry.status = "lapsed"
    problem(await embedded.reserve(buyer, event, queue_pass=token), 403, "QUEUE_PASS_EXPIRED")


async def test_in_queue_mode_the_gateway_lets_holders_of_a_pass_through(embedded: Lining) -> None:
    event = await embedded.queued_event()
    buyer = await embedded.person()
    token = await embedded.passed(buyer, event)
    process = embedded.world.process
    gateway = gateway_app(limited, process.apps, queue_passes=process._identities.queue_passes())
    wish = {"event_id": event["id"], "show_id": event["show"]["id"], "zone_id": event["zones"][0]["id"], "quantity": 1}
    async with client(gateway) as web:

        async def post(path: str, key: str, **headers: str) -> httpx.Response:
            sent = {**buyer.headers, "X-Idempotency-Key": key, **headers}
            return await web.post(f"/api/v1{path}", json=wish, headers=sent)

        problem(await post("/bookings/reserve", "1"), 503, "QUEUE_REQUIRED")
        problem(await post(f"/bookings/{uuid4()}/confirm", "2"), 503, "QUEUE_REQUIRED")
        problem(await post("/queue/join", "3"), 409, "ALREADY_IN_QUEUE")
        assert (await web.get("/api/v1/bookings", headers=buyer.headers)).status_code == 200
        granted = await post("/bookings/reserve", "4", **{"X-Queue-Pass": token})
        assert (granted.status_code, granted.headers["x-ratelimit-bypass"]) == (201, "queue-pass")
    await gateway.aclose()
