"""A clinic's staff, documents and offerings."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from freehold import Problem, uuid7
from systems.petpro.booking.tables import ClinicService
from systems.petpro.clinic.contract import (
    GetClinic,
    GetClinicsOf,
    GetMembership,
    GetOffering,
    GetStaff,
    ServiceUpdated,
    SnapshotClinics,
    SnapshotOfferings,
    SnapshotStaff,
    StaffChanged,
)
from systems.petpro.clinic.tables import Offering
from tests.systems.petpro.clinic_stage import approved_clinic, definition, new_clinic, new_service
from tests.systems.petpro.stage import Stage, invalid, problem, stage_mark

pytestmark = stage_mark

VET: dict[str, Any] = {"name": "Dr. Ayu", "email": "Ayu@paw.id", "role": "veterinarian", "phone": "0812"}


# --- staff ------------------------------------------------------------------------------------------------------------


async def test_staff_come_change_and_go(stage: Stage) -> None:
    owner = await stage.vendor()
    clinic_id = await approved_clinic(stage, owner, await stage.admin())
    hours = {"monday": {"open": "10:00", "close": "14:00"}}
    made = await stage.made(f"/clinics/{clinic_id}/staff", owner, **VET, workingHours=hours, qualifications=["DVM"])
    assert (made["email"], made["isActive"], made["qualifications"]) == ("ayu@paw.id", True, ["DVM"])
    path = f"/clinics/{clinic_id}/staff/{made['id']}"
    changed = await stage.call("PUT", path, owner, specialization="birds")
    assert (changed.json()["specialization"], changed.json()["workingHours"]["monday"]["open"]) == ("birds", "10:00")
    assert (await stage.call("PUT", path, owner, specialization="birds")).status_code == 200
    for _ in range(2):
        assert (await stage.call("DELETE", path, owner)).status_code == 204
    assert (await stage.seen(f"/clinics/{clinic_id}/staff"))["data"] == []
    (kept,) = (await stage.seen(f"/clinics/{clinic_id}/staff", owner))["data"]
    assert kept["isActive"] is False
    assert (await stage.call("PUT", path, owner, isActive=True)).json()["isActive"] is True
    told = [(event.change, event.is_active, event.specialization) for event in await stage.published(StaffChanged)]
    assert told == [
        ("created", True, None), ("updated", True, "birds"), ("deactivated", False, "birds"), ("updated", True, "birds"),
    ]  # fmt: skip


async def test_how_to_reach_somebody_is_not_for_the_public(stage: Stage) -> None:
    owner, login = await stage.vendor(), await stage.staff()
    clinic_id = await approved_clinic(stage, owner, await stage.admin())
    await stage.made(f"/clinics/{clinic_id}/staff", owner, **VET, userId=str(login.id))
    for who, shown in ((None, None), (await stage.customer(), None), (owner, "0812"), (login, "0812")):
        (member,) = (await stage.seen(f"/clinics/{clinic_id}/staff", who))["data"]
        assert (member["phone"], member["name"]) == (shown, "Dr. Ayu")
        assert (member["email"] is None, member["userId"] is None) == (shown is None, shown is None)


async def test_an_address_is_of_one_member_of_a_clinic(stage: Stage) -> None:
    owner = await stage.vendor()
    one, other = await new_clinic(stage, owner), await new_clinic(stage, owner)
    await stage.made(f"/clinics/{one}/staff", owner, **VET)
    await stage.made(f"/clinics/{other}/staff", owner, **VET)
    taken = await stage.call("POST", f"/clinics/{one}/staff", owner, **(VET | {"email": "AYU@PAW.ID"}))
    problem(taken, 409, "STAFF_EMAIL_TAKEN")
    second = await stage.made(f"/clinics/{one}/staff", owner, **(VET | {"email": "budi@paw.id"}))
    path = f"/clinics/{one}/staff/{second['id']}"
    problem(await stage.call("PUT", path, owner, email="ayu@paw.id"), 409, "STAFF_EMAIL_TAKEN")
    assert (await stage.call("PUT", path, owner, email="BUDI@paw.id", name="Budi")).status_code == 200


async def test_what_is_wrong_about_staff(stage: Stage) -> None:
    owner = await stage.vendor()
    one, other = await new_clinic(stage, owner), await new_clinic(stage, owner)
    invalid(await stage.call("POST", f"/clinics/{one}/staff", owner, **(VET | {"role": "chef"})), "role")
    unknown = await stage.call("POST", f"/clinics/{one}/staff", owner, **VET, userId=str(uuid4()))
    problem(unknown, 404, "USER_NOT_FOUND")
    member = await stage.made(f"/clinics/{one}/staff", owner, **VET)
    problem(await stage.call("DELETE", f"/clinics/{other}/staff/{member['id']}", owner), 404, "STAFF_NOT_FOUND")
    problem(await stage.call("GET", f"/clinics/{uuid4()}/staff", owner), 404, "CLINIC_NOT_FOUND")


async def test_active_staff_act_for_their_clinic_and_for_no_other(stage: Stage) -> None:
    owner, login = await stage.vendor(), await stage.staff()
    mine, other = await new_clinic(stage, owner), await new_clinic(stage, await stage.vendor())
    member = await stage.made(f"/clinics/{mine}/staff", owner, **VET, userId=str(login.id))
    assert (await stage.call("PUT", f"/clinics/{mine}", login, city="Bogor")).json()["city"] == "Bogor"
    problem(await stage.call("PUT", f"/clinics/{other}", login, city="Bogor"), 403, "FORBIDDEN")
    await stage.call("DELETE", f"/clinics/{mine}/staff/{member['id']}", owner)
    problem(await stage.call("PUT", f"/clinics/{mine}", login, city="Depok"), 403, "FORBIDDEN")


# --- documents --------------------------------------------------------------------------------------------------------


async def test_documents_are_verified_by_admins(stage: Stage) -> None:
    owner, admin = await stage.vendor(), await stage.admin()
    clinic_id, other = await new_clinic(stage, owner), await new_clinic(stage, owner)
    body = {"documentType": "insurance", "documentName": "Policy", "documentUrl": "https://files.example/p"}
    made = await stage.made(f"/clinics/{clinic_id}/documents", owner, **body)
    assert (made["isVerified"], made["verifiedAt"]) == (False, None)
    path = f"/admin/clinics/{clinic_id}/documents/{made['id']}/verify"
    first = (await stage.call("PUT", path, admin)).json()
    stage.clock.advance(minutes=5)
    assert (await stage.call("PUT", path, admin)).json() == first
    assert first["isVerified"] is True
    wrong = f"/admin/clinics/{other}/documents/{made['id']}/verify"
    problem(await stage.call("PUT", wrong, admin), 404, "DOCUMENT_NOT_FOUND")
    assert [row["id"] for row in (await stage.seen(f"/clinics/{clinic_id}/documents", owner))["data"]] == [made["id"]]
    invalid(await stage.call("POST", f"/clinics/{clinic_id}/documents", owner, **(body | {"documentType": "x"})),
            "documentType")  # fmt: skip


# --- offerings --------------------------------------------------------------------------------------------------------


async def test_a_defined_service_is_offered_once(stage: Stage) -> None:
    clinic_id = await approved_clinic(stage, await stage.vendor(), await stage.admin())
    service_id = await new_service(stage, clinic_id, name="Grooming", price=Decimal("75000.00"))
    (event,) = await stage.published(ServiceUpdated)
    assert (event.service_id, event.is_active, event.price_override, event.version) == (service_id, True, None, 1)
    newer = definition(clinic_id, service_id=service_id, name="Full grooming", price=Decimal("90000.00"), version=3)
    older = definition(clinic_id, service_id=service_id, name="Half", version=2)
    await stage.world.deliver("clinic", newer, times=2)
    await stage.world.deliver("clinic", older)
    assert len(await stage.published(ServiceUpdated)) == 1
    (shown,) = (await stage.seen(f"/clinics/{clinic_id}/services"))["data"]
    assert (shown["name"], shown["price"], shown["effectivePrice"]) == ("Full grooming", 90000.0, 90000.0)
    assert (shown["priceOverride"], shown["durationMinutes"], shown["isActive"]) == (None, 30, True)


async def test_a_clinic_sets_its_own_price_and_takes_it_back(stage: Stage) -> None:
    owner = await stage.vendor()
    clinic_id = await approved_clinic(stage, owner, await stage.admin())
    path = f"/clinics/{clinic_id}/services/{await new_service(stage, clinic_id)}"
    set_to = (await stage.call("PUT", path, owner, priceOverride=199000.5)).json()
    assert (set_to["effectivePrice"], set_to["price"]) == (199000.5, 250000.0)
    assert (await stage.call("PUT", path, owner, priceOverride=199000.5)).status_code == 200
    cleared = (await stage.http.put(f"/api/v1{path}", json={"priceOverride": None}, headers=owner.headers)).json()
    assert (cleared["effectivePrice"], cleared["priceOverride"]) == (250000.0, None)
    for _ in range(2):
        assert (await stage.call("DELETE", path, owner)).status_code == 204
    told = [(e.version, e.is_active, e.price_override) for e in await stage.published(ServiceUpdated)]
    assert told == [(1, True, None), (2, True, Decimal("199000.50")), (3, True, None), (4, False, None)]
    invalid(await stage.call("PUT", path, owner, priceOverride=-1), "priceOverride")
    invalid(await stage.call("PUT", path, owner, isActive=None), "isActive")
    missing = f"/clinics/{clinic_id}/services/{uuid4()}"
    problem(await stage.call("PUT", missing, owner, isActive=True), 404, "SERVICE_NOT_FOUND")


# --- what siblings ask ------------------------------------------------------------------------------------------------


async def test_siblings_are_told(stage: Stage) -> None:
    owner, login = await stage.vendor(), await stage.staff()
    clinic_id = UUID(await approved_clinic(stage, owner, await stage.admin()))
    member = await stage.made(f"/clinics/{clinic_id}/staff", owner, **VET, userId=str(login.id))
    service_id = await new_service(stage, str(clinic_id))
    told = await stage.ask("clinic", GetClinic(clinic_id=clinic_id))
    assert (told.status, told.version, str(told.commission_rate)) == ("approved", 2, "10.00")
    assert (await stage.ask("clinic", GetStaff(staff_id=UUID(member["id"])))).user_id == login.id
    assert (await stage.ask("clinic", GetOffering(service_id=service_id))).is_active
    of_owner = await stage.ask("clinic", GetMembership(clinic_id=clinic_id, user_id=owner.id))
    assert (of_owner.is_owner, of_owner.staff_id) == (True, None)
    of_staff = await stage.ask("clinic", GetMembership(clinic_id=clinic_id, user_id=login.id))
    assert (of_staff.is_owner, str(of_staff.staff_id)) == (False, member["id"])
    for who in (owner, login):
        assert (await stage.ask("clinic", GetClinicsOf(user_id=who.id))).clinic_ids == [clinic_id]
    assert (await stage.ask("clinic", GetClinicsOf(user_id=uuid7()))).clinic_ids == []
    for query, code in (
        (GetClinic(clinic_id=uuid7()), "CLINIC_NOT_FOUND"),
        (GetStaff(staff_id=uuid7()), "STAFF_NOT_FOUND"),
        (GetOffering(service_id=uuid7()), "OFFERING_NOT_FOUND"),
        (GetMembership(clinic_id=uuid7(), user_id=owner.id), "CLINIC_NOT_FOUND"),
    ):
        with pytest.raises(Problem) as refused:
            await stage.ask("clinic", query)  # type: ignore[arg-type]
        assert (refused.value.status, refused.value.code) == (404, code)


async def test_snapshots_are_told_a_page_at_a_time(stage: Stage) -> None:
    owner = await stage.vendor()
    clinics = [await approved_clinic(stage, owner, await stage.admin()) for _ in range(3)]
    for clinic_id in clinics:
        await new_service(stage, clinic_id)
        await stage.made(f"/clinics/{clinic_id}/staff", owner, **VET)
    for query, key in ((SnapshotClinics, "clinic_id"), (SnapshotOfferings, "service_id"), (SnapshotStaff, "staff_id")):
        first = await stage.ask("clinic", query(limit=2))
        rest = await stage.ask("clinic", query(cursor=first.next_cursor, limit=2))
        ids = [getattr(row, key) for row in [*first.data, *rest.data]]
        assert (len(first.data), len(ids), ids, rest.next_cursor) == (2, 3, sorted(set(ids)), None)


async def test_a_missing_definition_is_asked_of_booking(stage: Stage) -> None:
    clinic_id = await approved_clinic(stage, await stage.vendor(), await stage.admin())
    service_id = await new_service(stage, clinic_id, name="Vaccination")
    async with stage.world.work("clinic").transaction() as tx:
        offering = await tx.find(Offering, Offering.service_id == service_id)
        assert offering is not None
        offering.definition = {}
    assert (await stage.seen(f"/clinics/{clinic_id}/services"))["data"][0]["name"] == "Vaccination"
    async with stage.world.work("booking").transaction() as tx:  # it is known now, and not asked for again
        service = await tx.get(ClinicService, service_id)
        assert service is not None
        service.name, service.updated_at = "Other", stage.clock.now() + timedelta(hours=1)
    assert (await stage.seen(f"/clinics/{clinic_id}/services"))["data"][0]["name"] == "Vaccination"
