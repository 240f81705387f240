"""Medical records and vaccinations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio

from freehold.observe.metrics import METRICS
from systems.petpro.pet.contract import VaccinationRecorded
from systems.petpro.pet.tables import MedicalRecord, Vaccination
from tests.systems.petpro.pet_stage import booked, clinic_of, make_catalogue, pet_of, staff_ids
from tests.systems.petpro.stage import Person, Stage, invalid, problem, stage_mark

pytestmark = stage_mark


@dataclass(frozen=True)
class Scene:
    """A pet, its owner, the clinic that treats it, and a stranger."""

    pet: dict[str, Any]
    owner: Person
    vet: Person
    nurse: Person
    nurse_id: UUID
    stranger: Person
    admin: Person


@pytest_asyncio.fixture(loop_scope="module")
async def scene(stage: Stage) -> AsyncIterator[Scene]:
    await make_catalogue(stage)
    owner, vet, nurse = await stage.customer("Ann"), await stage.vendor("Vet"), await stage.staff("Nurse")
    pet, clinic_id = await pet_of(stage, owner), await clinic_of(stage, vet, nurse)
    await booked(stage, pet, clinic_id, "in_progress")
    (nurse_id,) = await staff_ids(stage, clinic_id)
    yield Scene(pet, owner, vet, nurse, nurse_id, await stage.customer("Bob"), await stage.admin("Boss"))


async def test_a_record_is_written_and_read(stage: Stage, scene: Scene) -> None:
    wish = {
        "petId": scene.pet["id"], "date": "2029-12-01", "recordType": "checkup", "diagnosis": "Fine",
        "treatment": "None", "veterinarianId": str(scene.nurse_id), "attachments": ["https://x.example/a.pdf"],
    }  # fmt: skip
    record = await stage.made("/pet-health-records", scene.nurse, **wish)
    assert (record["recordDate"], record["recordType"], record["veterinarianId"]) == (
        "2029-12-01", "checkup", str(scene.nurse_id),
    )  # fmt: skip
    later = await stage.made(
        "/pet-health/records", scene.owner, pet_id=scene.pet["id"], record_date="2029-12-24", record_type="other"
    )
    for who in (scene.owner, scene.vet, scene.nurse, scene.admin):
        listed = await stage.seen(f"/pet-health-records?petId={scene.pet['id']}", who)
        assert [each["id"] for each in listed["data"]] == [later["id"], record["id"]], "newest first"
        assert await stage.seen(f"/pet-health-records/{record['id']}", who) == record
    for path in (f"?petId={scene.pet['id']}", f"/{record['id']}", f"/dashboard/{scene.pet['id']}"):
        problem(await stage.call("GET", f"/pet-health-records{path}", scene.stranger), 403, "FORBIDDEN")
    problem(await stage.call("POST", "/pet-health-records", scene.stranger, **wish), 403, "FORBIDDEN")
    problem(await stage.call("GET", f"/pet-health-records/{uuid4()}", scene.owner), 404, "RECORD_NOT_FOUND")
    problem(await stage.call("GET", f"/pet-health-records?petId={uuid4()}", scene.owner), 404, "PET_NOT_FOUND")
    invalid(await stage.call("GET", "/pet-health-records", scene.owner), "petId")


async def test_what_is_no_record(stage: Stage, scene: Scene) -> None:
    good = {"petId": scene.pet["id"], "recordDate": "2029-12-01", "recordType": "checkup"}
    for wrong, field in [
        ({"recordDate": "2025-13-40"}, "recordDate"),
        ({"recordType": "seance"}, "recordType"),
        ({"petId": "rex"}, "petId"),
        ({"veterinarianId": "42"}, "veterinarianId"),
    ]:
        invalid(await stage.call("POST", "/pet-health-records", scene.owner, **(good | wrong)), field)
    unknown = good | {"petId": str(uuid4())}
    problem(await stage.call("POST", "/pet-health-records", scene.owner, **unknown), 404, "PET_NOT_FOUND")
    nobody = good | {"veterinarianId": str(uuid4())}
    problem(await stage.call("POST", "/pet-health-records", scene.owner, **nobody), 422, "STAFF_NOT_FOUND")
    assert await stage.rows("pet", MedicalRecord) == []


async def test_a_record_is_changed_by_the_side_that_wrote_it(stage: Stage, scene: Scene) -> None:
    wish = {"petId": scene.pet["id"], "recordDate": "2029-12-01", "recordType": "checkup"}
    of_clinic = await stage.made("/pet-health-records", scene.nurse, **wish)
    of_owner = await stage.made("/pet-health-records", scene.owner, **wish)
    clinic, owner = f"/pet-health-records/{of_clinic['id']}", f"/pet-health-records/{of_owner['id']}"
    for who in (scene.vet, scene.nurse, scene.admin):
        changed = await stage.call("PATCH", clinic, who, diagnosis=f"by {who.full_name}", recordDate=None)
        assert (changed.json()["diagnosis"], changed.json()["recordDate"]) == (f"by {who.full_name}", "2029-12-01")
    for who, path in ((scene.owner, clinic), (scene.stranger, clinic), (scene.nurse, owner), (scene.stranger, owner)):
        problem(await stage.call("PATCH", path, who, diagnosis="mine"), 403, "FORBIDDEN")
        problem(await stage.call("DELETE", path, who), 403, "FORBIDDEN")
    unknown = {"veterinarianId": str(uuid4())}
    problem(await stage.call("PATCH", owner, scene.owner, **unknown), 422, "STAFF_NOT_FOUND")
    assert (await stage.call("PATCH", owner, scene.owner, treatment="Rest")).json()["treatment"] == "Rest"
    assert (await stage.call("DELETE", owner, scene.owner)).status_code == 204
    assert (await stage.call("DELETE", clinic, scene.vet)).status_code == 204
    problem(await stage.call("DELETE", clinic, scene.vet), 404, "RECORD_NOT_FOUND")


async def test_a_vaccination_is_recorded_once(stage: Stage, scene: Scene) -> None:
    path = f"/pets/{scene.pet['id']}/vaccines"
    wish = {
        "vaccineName": "Rabies", "dateAdministered": "2029-12-01", "expirationDate": "2030-12-01",
        "administeredBy": str(scene.nurse_id), "certificateInfo": {"number": "C-1"},
    }  # fmt: skip
    made = await stage.made(path, scene.nurse, **wish)
    assert (made["administeredDate"], made["expiryDate"], made["certificateInfo"]) == (
        "2029-12-01", "2030-12-01", {"number": "C-1"},
    )  # fmt: skip
    alias = "/pet-health-records/vaccinations"
    again = wish | {"petId": scene.pet["id"]}
    problem(await stage.call("POST", alias, scene.owner, **again), 409, "VACCINATION_EXISTS")
    other = await stage.made(
        alias, scene.owner, **(again | {"administeredDate": "2029-12-02", "dateAdministered": None})
    )
    (first, second) = await stage.published(VaccinationRecorded)
    assert (str(first.vaccination_id), first.vaccine_name, str(first.pet_id)) == (made["id"], "Rabies", scene.pet["id"])
    assert str(second.vaccination_id) == other["id"]
    listed = await stage.seen(f"{alias}?petId={scene.pet['id']}", scene.vet)
    assert [each["id"] for each in listed["data"]] == [other["id"], made["id"]]
    problem(await stage.call("GET", f"{alias}?petId={scene.pet['id']}", scene.stranger), 403, "FORBIDDEN")
    problem(await stage.call("POST", path, scene.stranger, **wish), 403, "FORBIDDEN")
    invalid(await stage.call("POST", path, scene.owner, **(wish | {"expirationDate": "2029-12-01"})), "body")
    nobody = wish | {"dateAdministered": "2029-11-01", "administeredBy": str(uuid4())}
    problem(await stage.call("POST", path, scene.owner, **nobody), 422, "STAFF_NOT_FOUND")
    taken = await stage.call("PATCH", f"{alias}/{other['id']}", scene.owner, administeredDate="2029-12-01")
    problem(taken, 409, "VACCINATION_EXISTS")
    for who in (scene.nurse, scene.stranger):
        problem(await stage.call("PATCH", f"{alias}/{other['id']}", who, vaccineName="X"), 403, "FORBIDDEN")
        problem(await stage.call("DELETE", f"{alias}/{other['id']}", who), 403, "FORBIDDEN")
    invalid(await stage.call("PATCH", f"{alias}/{other['id']}", scene.owner, expiryDate="2029-12-02"), "expiryDate")
    changed = await stage.call("PATCH", f"{alias}/{other['id']}", scene.owner, expiryDate=None)
    assert changed.json()["expiryDate"] is None
    assert (await stage.call("DELETE", f"{alias}/{other['id']}", scene.owner)).status_code == 204
    problem(await stage.call("DELETE", f"{alias}/{other['id']}", scene.owner), 404, "VACCINATION_NOT_FOUND")
    assert len(await stage.rows("pet", Vaccination)) == 1


async def test_the_dashboard_shows_what_expires_soon(stage: Stage, scene: Scene) -> None:
    path = f"/pet-health-records/dashboard/{scene.pet['id']}"
    today = stage.clock.now().date()
    empty = await stage.seen(path, scene.owner)
    assert (empty["lastRecord"], empty["vaccinations"], empty["expiringVaccinations"]) == (None, [], [])
    for name, days in (("Over", -1), ("Today", 0), ("Soon", 30), ("Later", 31), ("Never", None)):
        expiry = None if days is None else today.fromordinal(today.toordinal() + days).isoformat()
        wish = {"vaccineName": name, "administeredDate": "2029-01-01", "expiryDate": expiry}
        await stage.made(f"/pets/{scene.pet['id']}/vaccines", scene.owner, **wish)
    for day in ("2029-05-01", "2029-06-01", "2029-04-01"):
        wish = {"petId": scene.pet["id"], "recordDate": day, "recordType": "lab"}
        await stage.made("/pet-health-records", scene.owner, **wish)
    shown = await stage.seen(path, scene.nurse)
    assert (shown["pet"]["id"], shown["lastRecord"]["recordDate"]) == (scene.pet["id"], "2029-06-01")
    assert len(shown["vaccinations"]) == 5
    assert sorted(each["vaccineName"] for each in shown["expiringVaccinations"]) == ["Soon", "Today"]
    await stage.world.run_job("pet", "vaccination_expiry_scan")
    assert METRICS.registry.get_sample_value("pet_vaccinations_expiring") == 2
