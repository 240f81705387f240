"""Registering, approving and finding clinics."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from sqlalchemy import Engine, event, select

from systems.petpro.auth.contract import UserDeactivated, UserUpdated
from systems.petpro.clinic.contract import ClinicCreated, ClinicUpdated
from systems.petpro.clinic.tables import Clinic, UserRef
from tests.systems.petpro.clinic_stage import CLINIC, approved_clinic, licensed, new_clinic
from tests.systems.petpro.stage import Person, Stage, invalid, problem, stage_mark

pytestmark = stage_mark


async def audited(stage: Stage, action: str) -> list[dict[str, Any]]:
    host = stage.host("clinic")
    table = host.tables.audit
    async with host.engine.read() as connection:
        rows = await connection.execute(select(table).where(table.c.action == action).order_by(table.c.id))
        return [dict(row) for row in rows.mappings()]


async def status_of(stage: Stage, clinic_id: str) -> tuple[str, int]:
    (row,) = [row for row in await stage.rows("clinic", Clinic) if str(row.id) == clinic_id]
    return row.status, row.version


async def names(stage: Stage, query: str, who: Person | None = None) -> list[str]:
    return [clinic["name"] for clinic in (await stage.seen(f"/clinics?{query}", who))["data"]]


# --- registering ------------------------------------------------------------------------------------------------------


async def test_a_vendor_registers_a_clinic_that_waits_for_approval(stage: Stage) -> None:
    owner = await stage.vendor()
    made = await stage.made("/clinics", owner, **CLINIC, facilities=["parking"], website="https://paw.id")
    assert (made["status"], made["ownerId"], made["timezone"]) == ("pending", str(owner.id), "Asia/Jakarta")
    assert made["commissionRate"] == 10.0
    assert made["rating"] == {"average": 0.0, "count": 0, "distribution": {str(n): 0 for n in range(1, 6)}}
    assert made["operatingHours"]["monday"] == {"open": "09:00", "close": "17:00", "isOpen": True}
    (told,) = await stage.published(ClinicCreated)
    assert (str(told.clinic_id), told.status, told.version) == (made["id"], "pending", 1)
    assert told.operating_hours["monday"] == {"open": "09:00", "close": "17:00", "is_open": True}


async def test_snake_case_is_understood_and_unknown_fields_are_not_minded(stage: Stage) -> None:
    body = {**CLINIC, "postal_code": "40111", "something": "else"}
    del body["postalCode"]
    assert (await stage.made("/clinics", await stage.vendor(), **body))["postalCode"] == "40111"


async def test_what_is_wrong_is_named(stage: Stage) -> None:
    owner = await stage.vendor()
    hours = {"monday": {"open": "17:00", "close": "09:00"}}
    answer = await stage.call("POST", "/clinics", owner, **(CLINIC | {"operatingHours": hours, "email": "x"}))
    invalid(answer, "operatingHours.monday", "email")
    problem(await stage.call("GET", "/clinics/not-a-uuid"), 400, "VALIDATION_ERROR")
    assert await stage.rows("clinic", Clinic) == []


async def test_whoever_clinic_has_not_heard_of_is_asked_for_once(stage: Stage) -> None:
    owner = await stage.vendor()
    async with stage.world.work("clinic").transaction() as tx:
        await tx.delete(await tx.get(UserRef, owner.id))
    await new_clinic(stage, owner)
    assert [row.full_name for row in await stage.rows("clinic", UserRef)] == [owner.full_name]


async def test_a_stranger_and_a_deactivated_owner_register_nothing(stage: Stage) -> None:
    stranger = stage.world.as_user(uuid4(), roles=["vendor"])
    problem(await stage.call("POST", "/clinics", stranger, **CLINIC), 404, "USER_NOT_FOUND")
    owner = await stage.vendor()
    gone = UserDeactivated(user_id=owner.id, reason="gone", version=2, deactivated_at=stage.clock.now())
    await stage.world.deliver("clinic", gone)
    problem(await stage.call("POST", "/clinics", owner, **CLINIC), 403, "FORBIDDEN")


# --- changing ---------------------------------------------------------------------------------------------------------


async def test_a_change_makes_a_version_and_no_change_makes_none(stage: Stage) -> None:
    owner = await stage.vendor()
    id = await new_clinic(stage, owner)
    changed = await stage.call("PUT", f"/clinics/{id}", owner, city="Bandung", commissionRate=0, status="approved")
    assert (changed.json()["city"], changed.json()["commissionRate"]) == ("Bandung", 10.0)
    assert await status_of(stage, id) == ("pending", 2)
    await stage.call("PUT", f"/clinics/{id}", owner, city="Bandung")
    assert await status_of(stage, id) == ("pending", 2)
    assert [told.city for told in await stage.published(ClinicUpdated)] == ["Bandung"]
    invalid(await stage.call("PUT", f"/clinics/{id}", owner, name=None), "name")
    problem(await stage.call("PUT", f"/clinics/{id}", owner, latitude=1.0), 400, "VALIDATION_ERROR")
    problem(await stage.call("PUT", f"/clinics/{uuid4()}", owner, city="X"), 404, "CLINIC_NOT_FOUND")


async def test_an_admin_changes_the_commission_too(stage: Stage) -> None:
    id, admin = await new_clinic(stage, await stage.vendor()), await stage.admin()
    changed = await stage.call("PUT", f"/clinics/{id}", admin, commissionRate=12.5, status="rejected")
    assert (changed.json()["commissionRate"], changed.json()["status"]) == (12.5, "rejected")


# --- approving --------------------------------------------------------------------------------------------------------


async def test_approval_needs_a_verified_business_license(stage: Stage) -> None:
    owner, admin = await stage.vendor(), await stage.admin()
    id = await new_clinic(stage, owner)
    path = f"/admin/clinics/{id}/status"
    problem(await stage.call("PUT", path, admin, status="approved"), 422, "DOCUMENTS_MISSING")
    await stage.made(
        f"/clinics/{id}/documents", owner,
        documentType="business_license", documentName="NIB", documentUrl="https://files.example/1",
    )  # fmt: skip
    problem(await stage.call("PUT", path, admin, status="approved"), 422, "DOCUMENTS_MISSING")
    await licensed(stage, id, owner, admin)
    approved = await stage.call("PUT", path, admin, status="approved", commissionRate=15, reason="all there")
    assert (approved.json()["status"], approved.json()["commissionRate"]) == ("approved", 15.0)
    (told,) = await stage.published(ClinicUpdated)
    assert (told.status, str(told.commission_rate), told.version) == ("approved", "15.00", 2)
    (row,) = await audited(stage, "change_status")
    assert (row["actor_id"], row["resource_id"]) == (admin.id, id)
    assert row["before"] == {"status": "pending", "commission_rate": "10.00"}
    assert row["after"] == {"status": "approved", "commission_rate": "15.00", "reason": "all there"}


async def test_repeating_a_status_is_fine_and_an_impossible_one_is_refused(stage: Stage) -> None:
    id, admin = await approved_clinic(stage, await stage.vendor(), await stage.admin()), await stage.admin()
    path = f"/admin/clinics/{id}/status"
    before = len(await stage.published(ClinicUpdated))
    assert (await stage.call("PUT", path, admin, status="approved")).status_code == 200
    assert len(await stage.published(ClinicUpdated)) == before
    refused = await stage.call("PUT", path, admin, status="rejected")
    problem(refused, 409, "INVALID_STATUS_TRANSITION")
    assert refused.json()["details"] == {"from": "approved", "to": "rejected"}
    invalid(await stage.call("PUT", path, admin, status="closed"), "status")


async def test_a_rejected_clinic_that_its_owner_changes_is_submitted_again(stage: Stage) -> None:
    owner, admin = await stage.vendor(), await stage.admin()
    id = await new_clinic(stage, owner)
    await stage.call("PUT", f"/admin/clinics/{id}/status", admin, status="rejected", reason="no address")
    changed = await stage.call("PUT", f"/clinics/{id}", owner, address="Jl. Mawar 2")
    assert changed.json()["status"] == "pending"
    assert [row["actor_id"] for row in await audited(stage, "change_status")] == [admin.id, owner.id]


async def test_the_clinics_of_a_deactivated_owner_are_suspended(stage: Stage) -> None:
    owner, admin = await stage.vendor(), await stage.admin()
    approved = await approved_clinic(stage, owner, admin)
    pending = await new_clinic(stage, owner, name="Second")
    others = await approved_clinic(stage, await stage.vendor(), admin)
    gone = UserDeactivated(user_id=owner.id, reason="fraud", version=2, deactivated_at=stage.clock.now())
    await stage.world.deliver("clinic", gone, times=2)
    assert (await status_of(stage, approved))[0] == "suspended"
    assert (await status_of(stage, pending))[0] == "pending"
    assert (await status_of(stage, others))[0] == "approved"
    assert (await audited(stage, "change_status"))[-1]["after"]["reason"] == "its owner was deactivated: fraud"


async def test_an_owner_who_is_back_keeps_what_an_old_event_would_suspend(stage: Stage) -> None:
    owner = await stage.vendor()
    id = await approved_clinic(stage, owner, await stage.admin())
    now = stage.clock.now()
    back = UserUpdated(
        user_id=owner.id, email=owner.email, full_name="Back", phone_number=None, roles=["vendor"], is_active=True,
        version=3, updated_at=now,
    )  # fmt: skip
    await stage.world.deliver("clinic", back)
    await stage.world.deliver("clinic", UserDeactivated(user_id=owner.id, reason="x", version=2, deactivated_at=now))
    assert (await status_of(stage, id))[0] == "approved"


# --- finding ----------------------------------------------------------------------------------------------------------


async def test_the_public_sees_approved_clinics_and_owners_their_own(stage: Stage) -> None:
    owner, other, admin = await stage.vendor(), await stage.vendor(), await stage.admin()
    await approved_clinic(stage, owner, admin, name="Open")
    waiting = await new_clinic(stage, owner, name="Waiting")
    assert await names(stage, "") == await names(stage, "", other) == ["Open"]
    assert await names(stage, "", owner) == await names(stage, "", admin) == ["Open", "Waiting"]
    for path in (f"/clinics/{waiting}", f"/clinics/{waiting}/rating", f"/clinics/{waiting}/staff",
                 f"/clinics/{waiting}/services", f"/reviews/vendor/{waiting}/summary"):  # fmt: skip
        problem(await stage.call("GET", path), 404, "CLINIC_NOT_FOUND")
        problem(await stage.call("GET", path, other), 404, "CLINIC_NOT_FOUND")
        assert (await stage.call("GET", path, owner)).status_code == 200
        assert (await stage.call("GET", path, admin)).status_code == 200


async def test_the_commission_is_for_the_owner_and_admins(stage: Stage) -> None:
    owner, admin = await stage.vendor(), await stage.admin()
    id = await approved_clinic(stage, owner, admin)
    rates = [(await stage.seen(f"/clinics/{id}", who))["commissionRate"] for who in (None, await stage.vendor(), owner)]
    assert rates == [None, None, 10.0]


async def test_clinics_are_found_by_what_they_are(stage: Stage) -> None:
    owner, admin = await stage.vendor(), await stage.admin()
    await approved_clinic(stage, owner, admin, name="Paw", description="Birds and 100% fish")
    await approved_clinic(stage, owner, admin, name="Claw", city="Bandung", province="Jawa Barat")
    assert await names(stage, "city=bandung") == await names(stage, "province=jawa%20barat") == ["Claw"]
    assert await names(stage, "q=FISH") == await names(stage, "q=100%25") == ["Paw"]
    assert await names(stage, "q=%25%25") == []
    assert await names(stage, "minRating=0") == ["Claw", "Paw"]
    assert await names(stage, "minRating=0.1") == []
    page = await stage.seen("/clinics?limit=1")
    assert page["meta"] == {"page": 1, "limit": 1, "total": 2, "totalPages": 2}
    assert await names(stage, f"limit=1&cursor={page['nextCursor']}") == ["Paw"]


async def test_the_nearest_come_first_and_what_is_too_far_not_at_all(stage: Stage) -> None:
    owner, admin = await stage.vendor(), await stage.admin()
    places = {"Monas": (-6.1754, 106.8272), "Bandung": (-6.9147, 107.6098), "Kota": (-6.1352, 106.8133)}
    for name, (latitude, longitude) in places.items():
        await approved_clinic(stage, owner, admin, name=name, latitude=latitude, longitude=longitude)
    await approved_clinic(stage, owner, admin, name="Nowhere")
    found = (await stage.seen("/clinics?lat=-6.17&lon=106.82&radiusKm=20"))["data"]
    assert [clinic["name"] for clinic in found] == ["Monas", "Kota"]
    assert [clinic["distanceKm"] for clinic in found] == [1.0, 3.94]
    assert await names(stage, "lat=-6.17&lon=106.82&radiusKm=200&limit=2&page=2") == ["Bandung"]
    assert (await stage.seen("/clinics?lat=-6.17&lon=106.82&radiusKm=200&limit=2"))["meta"]["total"] == 3
    everything = {
        clinic["name"]: clinic["distanceKm"] for clinic in (await stage.seen("/clinics?lat=-6.17&lon=106.82"))["data"]
    }
    assert everything["Nowhere"] is None
    assert everything["Bandung"] > 100
    for wrong in (
        "lat=-6",
        "radiusKm=5",
        "lat=-6&lon=106&radiusKm=0",
        "lat=91&lon=0",
        "lat=-6&lon=1&radiusKm=1&cursor=x",
    ):
        problem(await stage.call("GET", f"/clinics?{wrong}"), 400, "VALIDATION_ERROR")


async def test_near_is_a_circle_and_not_a_box(stage: Stage) -> None:
    owner, admin = await stage.vendor(), await stage.admin()
    await approved_clinic(stage, owner, admin, name="Beside", latitude=0.085, longitude=100.0)
    await approved_clinic(stage, owner, admin, name="Corner", latitude=0.085, longitude=100.085)
    assert await names(stage, "lat=0&lon=100&radiusKm=10") == ["Beside"]
    assert await names(stage, "lat=0&lon=100&radiusKm=14") == ["Beside", "Corner"]


async def test_places_across_the_antimeridian_are_near(stage: Stage) -> None:
    owner, admin = await stage.vendor(), await stage.admin()
    await approved_clinic(stage, owner, admin, name="East", latitude=-17.0, longitude=179.95)
    await approved_clinic(stage, owner, admin, name="West", latitude=-17.0, longitude=-179.9)
    assert await names(stage, "lat=-17&lon=-179.99&radiusKm=20") == ["East", "West"]


async def test_a_page_of_clinics_costs_the_same_however_long_it_is(stage: Stage) -> None:
    owner, admin = await stage.vendor(), await stage.admin()
    for number in range(4):
        await approved_clinic(stage, owner, admin, name=f"Clinic {number}", latitude=-6.1, longitude=106.8)
    for query in ("", "lat=-6.1&lon=106.8&radiusKm=5&"):
        few = await statements(stage, f"/clinics?{query}limit=1")
        assert await statements(stage, f"/clinics?{query}limit=100") == few


async def statements(stage: Stage, path: str) -> int:
    """How many statements clinic needs to answer."""
    counted: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        counted.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        await stage.seen(path)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return len([statement for statement in counted if "clinic" in statement])
