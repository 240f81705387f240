"""The wide views: in keeping with their sources through all that happens, read by those who may, rebuilt and compared."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from freehold import Problem, uuid7
from freehold.observe.metrics import METRICS
from freehold.testing import Crash, crash_at
from systems.petpro.auth.contract import UserUpdated
from systems.petpro.clinic.tables import Rating
from systems.petpro.pet.contract import PetDeleted, PetUpdated
from systems.petpro.views.contract import SnapshotViewStates, ViewRebuilt
from systems.petpro.views.facts_tables import BookingFact
from systems.petpro.views.rebuilding import WIDE
from systems.petpro.views.tables import AvailabilityRow, EntityRef, PerformanceRow, UserBookingRow, ViewState
from tests.systems.petpro.booking_stage import Bookings
from tests.systems.petpro.market_stage import open_on
from tests.systems.petpro.stage import Person, Stage, problem, stage_mark, system
from tests.systems.petpro.views_fresh import assert_fresh, kept

pytestmark = stage_mark
PLAYED = system

BOOKINGS, PRODUCTS, VENDORS = WIDE


async def rebuilt(stage: Stage, name: str, admin: Person) -> dict[str, Any]:
    """Ask for it, have it done, and say what was answered."""
    asked = await stage.made(f"/views/{name}/rebuild", admin)
    await stage.world.run_job("views", "rebuild_view")
    return asked


async def state_of(stage: Stage, name: str) -> ViewState:
    (state,) = await stage.rows("views", ViewState, ViewState.view_name == name)
    return state


# --- in keeping with the sources ------------------------------------------------------------------------------------------


async def test_bookings_through_their_lives(play: Bookings) -> None:
    stage, clinic = play.stage, await play.clinic()
    who, now = await stage.customer("Ann"), play.clock.now()
    async with play.world.work("clinic").transaction() as tx:
        tx.add(Rating(clinic_id=clinic.id, last_updated=now))
    done = await play.completed(clinic, who, await play.slot(clinic))
    await stage.made("/reviews", who, bookingId=done["id"], rating=4, review="good")
    late = await play.confirmed(who, await play.slot(clinic, hours=200))
    await play.cancel(late, who)
    await assert_fresh(stage)
    await stage.world.advance(minutes=2)
    await play.booked(who, await play.slot(clinic, hours=300))
    moved = await play.confirmed(who, await play.slot(clinic, hours=400))
    answer = await stage.call(
        "PUT", f"/bookings/{moved['id']}/reschedule", who, newSlotId=await play.slot(clinic, hours=410)
    )
    assert answer.status_code == 200, answer.text
    await assert_fresh(stage)
    await play.set_clinic(clinic.id, name="Other Clinic", city="Bandung")
    await stage.call("PUT", "/auth/profile", who, lastName="Else")
    await assert_fresh(stage)
    shown = (await stage.seen("/views/user-bookings", who))["data"]
    assert {(row["clinicName"], row["clinicCity"], row["userName"]) for row in shown} == {
        ("Other Clinic", "Bandung", "Ann Else")
    }
    by_id = {row["bookingId"]: row for row in shown}
    assert (by_id[done["id"]]["hasReview"], by_id[done["id"]]["rating"]) == (True, 4)
    assert (by_id[late["id"]]["paymentStatus"], by_id[late["id"]]["refundedAmount"]) == ("refunded", 250000.0)


async def test_the_market_through_its_life(stage: Stage) -> None:
    market = await open_on(stage)
    shop, rival, who = await market.shop(), await market.shop("12.50"), await market.customer()
    ball = await market.product(quantity=20, vendorId=shop.vendor_id, minStock=3)
    await market.offer(shop, ball, "85000.00")
    await market.offer(rival, ball, "80000.00")
    bone = await market.listed(rival, "42500.00", quantity=3)
    await assert_fresh(stage)
    await market.delivered(who, (ball, 2))
    await market.paid(who, (ball, 1))
    gone = await market.paid(who, (bone, 2))
    await market.call("PUT", f"/orders/{gone}/cancel", who, reason="changed my mind")
    await market.go_on()
    await assert_fresh(stage)
    await market.wait(days=8)
    await market.payouts()
    await assert_fresh(stage)
    await market.call("PUT", f"/vendors/{rival.vendor_id}/status", market.admin, status="suspended", reason="late")
    await market.call("DELETE", f"/inventory/products/{bone}", market.admin, 204)
    await stage.world.settle()
    await assert_fresh(stage)
    rows = {row["productId"]: row for row in (await stage.seen("/views/product-availability"))["data"]}
    assert [offer["price"] for offer in rows[ball]["offers"]] == [85000.0]
    assert rows[bone]["availability"] == "inactive"


async def test_an_unknown_reference_has_the_name_of_the_booking(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer("Ann")
    made = await play.booked(who, await play.slot(clinic))
    async with play.world.work("views").transaction() as tx:
        await tx.execute(delete(EntityRef))
    await play.webhook(made)
    (row,) = (await kept(play.stage, UserBookingRow)).values()
    assert (row["user_name"], row["pet_name"], row["clinic_name"], row["clinic_city"]) == (
        "Ann Tester", "Rex", "Paw Clinic", None,
    )  # fmt: skip


async def test_a_deleted_pet_keeps_its_name_and_an_older_update_changes_nothing(play: Bookings) -> None:
    clinic, who = await play.clinic(), await play.stage.customer()
    pet = await play.pet(who)
    await play.booked(who, await play.slot(clinic), pet)
    now, world = play.clock.now(), play.world
    told = {"pet_id": pet, "user_id": who.id}
    shape = {"species": "dog", "breed": None, "updated_at": now}
    await world.deliver("views", PetUpdated(**told, name="Max", version=4, **shape), times=2)
    await world.deliver("views", PetUpdated(**told, name="Old", version=3, **shape))
    await world.deliver("views", PetDeleted(**told, version=5, deleted_at=now), times=2)
    (row,) = (await kept(play.stage, UserBookingRow)).values()
    assert row["pet_name"] == "Max"
    (ref,) = await play.stage.rows("views", EntityRef, EntityRef.entity_id == pet)
    assert ref.is_deleted


# --- who reads what -------------------------------------------------------------------------------------------------------


async def test_bookings_are_read_by_their_people(play: Bookings) -> None:
    stage, clinic = play.stage, await play.clinic()
    who, other = await stage.customer(), await stage.customer()
    made = await play.confirmed(who, await play.slot(clinic))
    later = await play.booked(who, await play.slot(clinic, hours=96))

    async def ids(query: str, reader: Person) -> list[str]:
        return [row["bookingId"] for row in (await stage.seen(f"/views/user-bookings{query}", reader))["data"]]

    both = [made["id"], later["id"]]
    assert await ids("", who) == await ids(f"?userId={who.id}", who) == both
    assert await ids("", other) == []
    assert await ids(f"?clinicId={clinic.id}", clinic.owner) == both
    assert await ids("", clinic.admin) == await ids(f"?userId={who.id}&clinicId={clinic.id}", clinic.admin) == both
    assert await ids("?status=confirmed", who) == [made["id"]]
    row = await play.row(later)
    assert await ids(f"?from={row.starts_at:%Y-%m-%dT%H:%M:%SZ}", who) == [later["id"]]
    for query, reader in (
        (f"?userId={who.id}", other),
        (f"?clinicId={clinic.id}", other),
        (f"?userId={who.id}&clinicId={clinic.id}", who),
        (f"?clinicId={uuid7()}", clinic.owner),
    ):
        problem(await stage.call("GET", f"/views/user-bookings{query}", reader), 403, "FORBIDDEN")


async def test_a_page_says_as_of_when_and_of_which_generation(stage: Stage) -> None:
    assert (await stage.seen("/views/product-availability"))["meta"] == {
        "page": 1, "limit": 10, "total": 0, "totalPages": 0, "asOf": None, "generation": 0,
    }  # fmt: skip
    market = await open_on(stage)
    shop = await market.shop()
    made = [await market.listed(shop, f"{price}.00") for price in (30, 20, 10)]
    page = await stage.seen("/views/product-availability?limit=2")
    assert page["meta"] | {"asOf": None} == {
        "page": 1, "limit": 2, "total": 3, "totalPages": 2, "asOf": None, "generation": 0,
    }  # fmt: skip
    assert page["meta"]["asOf"] is not None
    rest = await stage.seen(f"/views/product-availability?limit=2&cursor={page['nextCursor']}")
    assert {row["productId"] for row in page["data"] + rest["data"]} == set(made)
    cheap = (await stage.seen("/views/product-availability?maxPrice=20&availability=in_stock"))["data"]
    assert sorted(row["lowestPrice"] for row in cheap) == [10.0, 20.0]


async def test_figures_of_a_vendor_that_is_none(stage: Stage) -> None:
    problem(
        await stage.call("GET", f"/views/vendor-performance/{uuid7()}", await stage.admin()), 404, "VENDOR_NOT_FOUND"
    )


# --- rebuilding -----------------------------------------------------------------------------------------------------------


async def test_a_rebuild_is_asked_for_once_and_told_of(stage: Stage) -> None:
    market = await open_on(stage)
    await market.listed(await market.shop(), "10.00")
    problem(await stage.call("POST", "/views/nothing/rebuild", market.admin), 404, "VIEW_NOT_FOUND")
    for number in (1, 2):
        asked = await stage.made(f"/views/{PRODUCTS}/rebuild", market.admin)
        assert asked == {"viewName": PRODUCTS, "state": "rebuilding", "generation": number}
        problem(await stage.call("POST", f"/views/{PRODUCTS}/rebuild", market.admin), 409, "REBUILD_RUNNING")
        assert (await stage.seen("/views/product-availability"))["meta"]["generation"] == number - 1
        stage.clock.advance(seconds=2)
        await stage.world.run_job("views", "rebuild_view")
        assert (await stage.seen("/views/product-availability"))["meta"]["generation"] == number
    told = [event for event in await stage.published(ViewRebuilt) if event.view_name == PRODUCTS]
    assert [(event.generation, event.row_count, event.duration_ms) for event in told] == [(1, 1, 2000), (2, 1, 2000)]
    await assert_fresh(stage)


@pytest.mark.parametrize("name", WIDE)
async def test_each_view_is_rebuilt_from_its_owners(play: Bookings, name: str) -> None:
    stage = play.stage
    clinic, who = await play.clinic(), await stage.customer()
    await play.confirmed(who, await play.slot(clinic))
    market = await open_on(stage)
    shop = await market.shop()
    await market.delivered(who, (await market.listed(shop, "10.00"), 2))
    await market.wait(days=8)
    await market.payouts()
    service = stage.host("views").service
    tables = [WIDE[name].table, *(view.table for view in WIDE[name].followed)]
    async with stage.world.work("views").transaction() as tx:
        for table in tables:
            await tx.execute(delete(table))
    assert await stage.rows("views", WIDE[name].table) == []
    await rebuilt(stage, name, market.admin)
    await assert_fresh(stage)
    assert (await state_of(stage, name)).row_count == 1
    assert {view.name for view in service.derived} == set(WIDE)


async def test_a_source_that_is_down_leaves_the_rows_and_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    market = await open_on(stage)
    await market.listed(await market.shop(), "10.00")
    await stage.world.settle()
    before = await kept(stage, AvailabilityRow)

    async def down(query: Any, asking: Any) -> Any:
        raise Problem(503, "SERVICE_UNAVAILABLE", "inventory does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(stage.host("views").caller, "ask", down)
        await rebuilt(stage, PRODUCTS, market.admin)
    state = await state_of(stage, PRODUCTS)
    assert (state.state, state.generation) == ("failed", 0)
    assert "inventory does not answer" in (state.error or "")
    assert await kept(stage, AvailabilityRow) == before
    assert (await rebuilt(stage, PRODUCTS, market.admin))["generation"] == 1
    state = await state_of(stage, PRODUCTS)
    assert (state.state, state.generation, state.error) == ("live", 1, None)
    await assert_fresh(stage)


@pytest.mark.parametrize("nth", [2, 4, 6, 9])
async def test_a_crash_leaves_the_rows_and_the_next_run_begins_again(stage: Stage, nth: int) -> None:
    market = await open_on(stage)
    await market.listed(await market.shop(), "10.00")
    await stage.world.settle()
    async with stage.world.work("views").transaction() as tx:
        await tx.execute(update(AvailabilityRow).values(name="live"))
    await stage.made(f"/views/{PRODUCTS}/rebuild", market.admin)
    with crash_at("commit.before", nth=nth), pytest.raises(Crash):
        await stage.world.run_job("views", "rebuild_view")
    (row,) = await stage.rows("views", AvailabilityRow)
    assert row.name == "live"
    await stage.world.run_job("views", "rebuild_view")
    await assert_fresh(stage)
    assert (await state_of(stage, PRODUCTS)).state == "live"


async def test_the_status_tells_rows_and_lag(stage: Stage) -> None:
    market = await open_on(stage)
    await market.listed(await market.shop(), "10.00")
    await rebuilt(stage, VENDORS, market.admin)
    rows = {row["viewName"]: row for row in (await stage.seen("/views/status", market.admin))["data"]}
    assert set(rows) == set(WIDE)
    assert [(rows[name]["state"], rows[name]["generation"], rows[name]["rowCount"]) for name in WIDE] == [
        ("empty", 0, 0), ("live", 0, 1), ("live", 1, 1),
    ]  # fmt: skip
    assert {row["lagSeconds"] for row in rows.values()} == {0.0}
    assert rows[PRODUCTS]["lastEventAt"] is not None
    listed = await stage.ask("views", SnapshotViewStates())
    assert [(state.view_name, state.generation) for state in listed.data] == [(PRODUCTS, 0), (VENDORS, 1)]


async def test_an_event_that_the_view_cannot_take_is_its_lag(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, who = await stage.admin(), await stage.customer()
    host = stage.host("views")
    refs = next(view for view in host.service.views if view.name == "entity_refs")

    def broken(event: Any) -> Any:
        raise RuntimeError("not now")

    with monkeypatch.context() as patch:
        patch.setitem(refs.sources, UserUpdated, broken)
        await stage.call("PUT", "/auth/profile", who, lastName="Else")
    stage.clock.advance(seconds=3)
    rows = {row["viewName"]: row["lagSeconds"] for row in (await stage.seen("/views/status", admin))["data"]}
    assert rows == {BOOKINGS: 3.0, PRODUCTS: 3.0, VENDORS: 3.0}
    await stage.world.advance(minutes=5)
    rows = {row["viewName"]: row["lagSeconds"] for row in (await stage.seen("/views/status", admin))["data"]}
    assert set(rows.values()) == {0.0}


# --- comparing ------------------------------------------------------------------------------------------------------------


async def test_the_nightly_comparison_puts_everything_right(play: Bookings) -> None:
    stage, clinic = play.stage, await play.clinic()
    who = await stage.customer()
    made = await play.confirmed(who, await play.slot(clinic))
    market = await open_on(stage)
    await market.listed(await market.shop(), "10.00")
    stage.clock.advance(minutes=5)
    await stage.world.run_job("views", "reconcile_views")
    async with stage.world.work("views").transaction() as tx:
        facts = BookingFact.__table__
        await tx.execute(update(facts).where(facts.c.booking_id == UUID(made["id"])).values(status="wrong"))
        await tx.execute(delete(EntityRef).where(EntityRef.entity_id == who.id))
        await tx.execute(update(PerformanceRow).values(items_sold=9))
    labels = {"service": "views", "check": f"{VENDORS}.different"}
    before = METRICS.registry.get_sample_value("reconciliation_drift_total", labels) or 0
    await stage.world.run_job("views", "reconcile_views")
    await assert_fresh(stage)
    assert METRICS.registry.get_sample_value("reconciliation_drift_total", labels) == before + 1
    async with stage.world.work("views").transaction(readonly=True) as tx:
        assert await tx.scalar(select(EntityRef.entity_type).where(EntityRef.entity_id == who.id)) == "user"
