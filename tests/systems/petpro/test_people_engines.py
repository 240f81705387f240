"""What of auth and pet could be another thing on another database: keys that clash, locks, JSON, renamings, the drill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from systems.petpro.pet.species_refs import READ, WRITE, require_contractable
from systems.petpro.pet.tables import Breed, Pet, Species
from tests.databases import Databases
from tests.systems.petpro.pet_stage import make_catalogue, pet_of, pet_row
from tests.systems.petpro.stage import PASSWORD, Stage, open_stage, problem

pytestmark = pytest.mark.engines(1, 4)


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path, databases=databases) as opened:
        yield opened
        assert await opened.dead_letters() == []


async def test_accounts_codes_and_roles(stage: Stage) -> None:
    body = {"email": "ann@example.com", "password": PASSWORD, "fullName": "Ann Lee", "phoneNumber": "+62811"}
    answers = await asyncio.gather(*(stage.http.post("/api/v1/auth/register", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    made = next(answer.json() for answer in answers if answer.status_code == 201)
    ann = {"Authorization": f"Bearer {made['accessToken']}"}
    guess = {"email": "ann@example.com", "password": "Wrong123"}
    answers = await asyncio.gather(*(stage.http.post("/api/v1/auth/login", json=guess) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 3
    await stage.call("POST", "/auth/otp/send", type="login", deliveryMethod="sms", deliveryTarget="+62811")
    message = stage.sent.sent_to("+62811")[-1]
    wrong = {"otpId": str(message.otp_id), "otpCode": f"{(int(message.code) + 1) % 10**6:06}"}
    answers = await asyncio.gather(*(stage.http.post("/api/v1/auth/otp/verify", json=wrong) for _ in range(5)))
    assert sorted(answer.json()["remainingAttempts"] for answer in answers) == [0, 0, 0, 1, 2]
    refreshed = [stage.http.post("/api/v1/auth/refresh", json={"refreshToken": made["refreshToken"]}) for _ in range(3)]
    assert sorted(answer.status_code for answer in await asyncio.gather(*refreshed)) == [200, 401, 401]
    admin, bob = await stage.admin(), await stage.customer("Bob")
    held = await stage.made(f"/users/{made['user']['id']}/roles", admin, role="vendor")
    assert [role["name"] for role in held["roles"]] == ["customer", "vendor"]
    taken = await stage.call("PUT", f"/users/{made['user']['id']}", ann, email=bob.email)
    problem(taken, 409, "EMAIL_ALREADY_REGISTERED")
    assert len((await stage.seen("/users/search?q=LEE", admin))["data"]) == 1
    assert [user["id"] for user in (await stage.seen("/users?role=vendor", admin))["data"]] == [made["user"]["id"]]


async def test_pets_renamings_and_references(stage: Stage) -> None:
    ids, ann, admin = await make_catalogue(stage), await stage.customer("Ann"), await stage.admin()
    rex = await pet_of(stage, ann, breed="poodle", microchipId="chip-1", weight=0.1, allergies=["nuts"])
    problem(await _post(stage, ann.headers, microchipId="chip-1"), 409, "MICROCHIP_TAKEN")
    assert (await stage.call("DELETE", f"/pets/{rex['id']}", ann)).status_code == 204
    pets = [
        await pet_of(stage, ann, breed=breed, microchipId=chip) for breed, chip in (("Poodle", "chip-1"), (None, None))
    ]
    pets.append(await pet_of(stage, ann, species="cat", breed="mixed", birthDate="2020-02-29"))
    assert (pets[2]["age"], pets[2]["birthDate"]) == (9, "2020-02-29")
    renamed = stage.call("PUT", f"/species/{ids['Dog']}", admin, name="Hound")
    changed = stage.call("PATCH", f"/pets/{pets[1]['id']}", ann, breed="labrador")
    for answer in await asyncio.gather(renamed, changed):
        assert answer.status_code == 200, answer.text
    rows = [await pet_row(stage, pet) for pet in pets]
    assert [(row.species, row.breed) for row in rows] == [("Hound", "Poodle"), ("Hound", "Labrador"), ("Cat", "mixed")]
    await stage.world.set_flag("pet", WRITE.name, "on")
    await stage.world.run_job("pet", "backfill_species_refs")
    await stage.world.set_flag("pet", READ.name, "on")
    async with stage.world.work("pet").transaction(readonly=True) as tx:
        await require_contractable(tx)
    shown = {pet["id"]: (pet["species"], pet["breed"]) for pet in (await stage.seen("/pets", ann))["data"]}
    assert shown == {pet["id"]: (row.species, row.breed) for pet, row in zip(pets, rows, strict=True)}
    vaccine = {"vaccineName": "Rabies", "administeredDate": "2029-12-01", "certificateInfo": {"by": "Dr. A"}}
    for status in (201, 409):
        given = await stage.call("POST", f"/pets/{pets[0]['id']}/vaccines", ann, **vaccine)
        assert given.status_code == status
    problem(await stage.call("POST", "/species", admin, name="hound"), 409, "SPECIES_EXISTS")
    assert len(await stage.rows("pet", Pet)) == 4
    assert len(await stage.rows("pet", Breed, Breed.species_id == ids["Dog"])) == 2
    assert {species.id for species in await stage.rows("pet", Species)} == {ids["Dog"], ids["Cat"]}
    assert (await pet_row(stage, pets[2])).user_id == UUID(str(ann.id))


async def _post(stage: Stage, headers: dict[str, str], **more: Any) -> Any:
    wish = {"name": "Bo", "species": "dog", "gender": "male"} | more
    return await stage.call("POST", "/pets", headers, **wish)
