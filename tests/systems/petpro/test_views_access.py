"""Who may call the routes of views: every one that is declared, and everybody who may knock."""

from __future__ import annotations

from collections.abc import Mapping

from freehold import uuid7
from systems.petpro.clinic.tables import StaffMember
from systems.petpro.views.rebuilding import WIDE
from systems.petpro.views.service import views
from tests.systems.petpro.booking_stage import Bookings
from tests.systems.petpro.market_stage import open_on
from tests.systems.petpro.stage import Person, stage_mark, system

pytestmark = stage_mark
PLAYED = system

NOBODY, CUSTOMER, OTHER, OWNER, STAFF, SHOP, ADMIN = (
    "nobody", "the customer", "another customer", "the clinic's owner", "its staff", "the shop", "an admin",
)  # fmt: skip
EVERYBODY = {NOBODY, CUSTOMER, OTHER, OWNER, STAFF, SHOP, ADMIN}
REBUILD = "POST /views/{name}/rebuild"

ALLOWED: Mapping[str, set[str]] = {
    "GET /views/user-bookings": EVERYBODY - {NOBODY},
    "GET /views/user-bookings?userId={customer}": {CUSTOMER, ADMIN},
    "GET /views/user-bookings?clinicId={clinic}": {OWNER, STAFF, ADMIN},
    "GET /views/product-availability": EVERYBODY,
    "GET /views/vendor-performance": {ADMIN},
    "GET /views/vendor-performance/{vendor_id}": {SHOP, ADMIN},
    "GET /views/status": {ADMIN},
    REBUILD: {ADMIN},
}


async def test_every_declared_route_has_its_line() -> None:
    declared = {f"{route.method} {route.path}" for route in views.routes}
    assert declared == {line.split("?")[0] for line in ALLOWED}


async def test_who_may_call_views(play: Bookings) -> None:
    stage, clinic = play.stage, await play.clinic()
    market = await open_on(stage)
    customer, worker, shop = await stage.customer(), await stage.staff(), await market.shop()
    await play.confirmed(customer, await play.slot(clinic))
    now = play.clock.now()
    async with play.world.work("clinic").transaction() as tx:
        tx.add(
            StaffMember(
                clinic_id=clinic.id, user_id=worker.id, name="Wati", role="receptionist", email="wati@paw.id", phone="1",
                working_hours={}, is_active=True, created_at=now, updated_at=now,
            )
        )  # fmt: skip
    people: dict[str, Person | None] = {
        NOBODY: None, CUSTOMER: customer, OTHER: await stage.customer(), OWNER: clinic.owner, STAFF: worker,
        SHOP: shop, ADMIN: clinic.admin,
    }  # fmt: skip
    names = iter(WIDE)
    for line, allowed in ALLOWED.items():
        method, path = line.split(" ")
        for who, person in people.items():
            name = next(names) if line == REBUILD and who in allowed else "user_bookings_view"
            filled = path.format(customer=customer.id, clinic=clinic.id, vendor_id=shop.vendor_id, name=name)
            answer = await stage.call(method, filled, person)
            wanted = {200, 202} if who in allowed else {401} if who == NOBODY else {403}
            assert answer.status_code in wanted, f"{who}: {line}: {answer.status_code} {answer.text}"


async def test_the_snapshot_is_for_siblings(play: Bookings) -> None:
    admin = await play.stage.admin()
    path = "/internal/snapshots/view_states"
    assert (await play.world.http.get(path, headers=admin.headers)).status_code == 404, "never through the gateway"
    answer = await play.world.service("views").get(path, headers=admin.headers)
    assert answer.status_code in (401, 403)


async def test_an_unknown_vendor_is_no_clinics_business(play: Bookings) -> None:
    clinic = await play.clinic()
    answer = await play.stage.call("GET", f"/views/vendor-performance/{uuid7()}", clinic.owner)
    assert answer.status_code == 404
