"""Who may call the routes of pet."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from systems.petpro.pet.service import pet
from tests.systems.petpro.access import Rule, check, check_internal, declared, shape
from tests.systems.petpro.pet_stage import booked, clinic_of, make_catalogue, pet_of
from tests.systems.petpro.stage import Stage, stage_mark

pytestmark = stage_mark

EVERYBODY = "nobody owner bob vet nurse rival admin"
SIGNED_IN = "owner bob vet nurse rival admin"
OWN = "owner admin"
SEES = "owner vet nurse admin"
PET = {"name": "Rex", "species": "dog", "gender": "male"}
RECORD = {"petId": "{pet}", "recordDate": "2029-12-01", "recordType": "checkup"}
VACCINE = {"vaccineName": "V{fresh}", "administeredDate": "2029-12-01"}

RULES = [
    Rule("POST /pets", "owner bob admin", PET),
    Rule("GET /pets", SIGNED_IN),
    Rule("GET /pets/user/{owner}", OWN),
    Rule("GET /pets/{pet}", SEES),
    Rule("PUT /pets/{pet}", OWN, {"name": "Rexy"}),
    Rule("PATCH /pets/{pet}", OWN, {"name": "Rexy"}),
    Rule("DELETE /pets/{free}", OWN),
    Rule("POST /pet-health-records", SEES, RECORD),
    Rule("POST /pet-health/records", SEES, RECORD),
    Rule("GET /pet-health-records", SEES, query="?petId={pet}"),
    Rule("GET /pet-health-records/dashboard/{pet}", SEES),
    Rule("GET /pet-health-records/{record}", SEES),
    Rule("PATCH /pet-health-records/{record}", "vet nurse admin", {"diagnosis": "Fine"}),
    Rule("DELETE /pet-health-records/{record}", "vet nurse admin"),
    Rule("POST /pets/{pet}/vaccines", SEES, VACCINE),
    Rule("POST /pet-health-records/vaccinations", SEES, VACCINE | {"petId": "{pet}"}),
    Rule("GET /pet-health-records/vaccinations", SEES, query="?petId={pet}"),
    Rule("PATCH /pet-health-records/vaccinations/{vaccination}", OWN, {"expiryDate": "2030-12-01"}),
    Rule("DELETE /pet-health-records/vaccinations/{vaccination}", OWN),
    Rule("GET /species", EVERYBODY),
    Rule("GET /species/{species}/breeds", EVERYBODY),
    Rule("POST /species", "admin", {"name": "S{fresh}"}),
    Rule("PUT /species/{species}", "admin", {"description": "Barks"}),
    Rule("POST /breeds", "admin", {"speciesId": "{species}", "name": "B{fresh}"}),
    Rule("PUT /breeds/{breed}", "admin", {"description": "Barks"}),
]


async def test_every_declared_route_has_its_line() -> None:
    assert sorted(shape(rule.route) for rule in RULES) == declared(pet)


async def test_who_may_call_pet(stage: Stage) -> None:
    ids = await make_catalogue(stage)
    owner, vet, nurse, rival = await stage.customer(), await stage.vendor(), await stage.staff(), await stage.vendor()
    callers = {
        "nobody": None, "owner": owner, "bob": await stage.customer(), "vet": vet, "nurse": nurse, "rival": rival,
        "admin": await stage.admin(),
    }  # fmt: skip
    clinic_id = await clinic_of(stage, vet, nurse)
    await clinic_of(stage, rival)
    rex = await pet_of(stage, owner)
    await booked(stage, rex, clinic_id, "confirmed")

    async def known() -> Sequence[str]:
        return str(owner.id), rex["id"], str(ids["Dog"]), str(ids["Poodle"]), uuid4().hex

    async def free() -> Sequence[str]:
        return [(await pet_of(stage, owner, "Free"))["id"]]

    async def record() -> Sequence[str]:
        return [(await stage.made("/pet-health-records", nurse, **(RECORD | {"petId": rex["id"]})))["id"]]

    async def vaccination() -> Sequence[str]:
        wish = {"vaccineName": uuid4().hex, "administeredDate": "2029-12-01"}
        return [(await stage.made(f"/pets/{rex['id']}/vaccines", owner, **wish))["id"]]

    makers = {
        "owner pet species breed fresh": known, "free": free, "record": record, "vaccination": vaccination,
    }  # fmt: skip
    await check(stage, RULES, callers, makers)


async def test_what_siblings_ask_is_for_services_alone(stage: Stage) -> None:
    await check_internal(stage, pet)
