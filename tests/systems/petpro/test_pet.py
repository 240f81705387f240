"""Pets and the catalogue of species and breeds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from freehold import Problem
from systems.petpro.pet.contract import GetPet, PetCreated, PetDeleted, PetUpdated, SnapshotPets
from systems.petpro.pet.tables import Pet, UserRef
from tests.systems.petpro.pet_stage import booked, clinic_of, make_catalogue, pet_of, pet_row
from tests.systems.petpro.stage import Stage, invalid, problem, stage_mark

pytestmark = stage_mark


@pytest_asyncio.fixture(loop_scope="module")
async def ids(stage: Stage) -> AsyncIterator[dict[str, UUID]]:
    """The catalogue."""
    yield await make_catalogue(stage)


async def test_a_pet_is_registered_in_the_catalogues_spelling(stage: Stage, ids: dict[str, UUID]) -> None:
    ann = await stage.customer("Ann")
    wish = {
        "name": " Rex ", "species": "dOG", "breed": "labrador", "birthDate": "2027-06-01", "gender": "male",
        "weight": 31.5, "photoUrl": "https://pics.example/rex.jpg", "microchipNumber": "chip-1", "color": "black",
        "allergies": ["nuts"], "specialNeeds": "none", "microchipped": True, "nonsense": 1,
    }  # fmt: skip
    pet = await stage.made("/pets", ann, **wish)
    assert (pet["name"], pet["species"], pet["breed"], pet["age"]) == ("Rex", "Dog", "Labrador", 2)
    assert (pet["weight"], pet["microchipId"], pet["userId"]) == (31.5, "chip-1", str(ann.id))
    assert (pet["color"], pet["allergies"], pet["specialNeeds"], pet["microchipped"]) == (
        "black",
        ["nuts"],
        "none",
        True,
    )
    assert (await pet_row(stage, pet)).medical_history == {
        "color": "black", "allergies": ["nuts"], "special_needs": "none", "microchipped": True,
    }  # fmt: skip
    assert await stage.seen(f"/pets/{pet['id']}", ann) == pet
    (event,) = await stage.published(PetCreated)
    assert (str(event.pet_id), event.user_id, event.species, event.breed) == (pet["id"], ann.id, "Dog", "Labrador")
    assert event.version == 1
    mixed = await pet_of(stage, ann, "Bo", species="cat", breed="MIXED")
    assert (mixed["species"], mixed["breed"], mixed["age"]) == ("Cat", "mixed", None)


async def test_what_is_no_pet_is_not_registered(stage: Stage, ids: dict[str, UUID]) -> None:
    ann = await stage.customer()
    good = {"name": "Rex", "species": "dog", "gender": "male"}
    for wrong, field in [
        ({"species": "dragon"}, "species"),
        ({"breed": "Siamese"}, "breed"),
        ({"birthDate": "2025-13-40"}, "birthDate"),
        ({"birthDate": "2030-01-03"}, "birthDate"),
        ({"weight": 0}, "weight"),
        ({"weight": 501}, "weight"),
        ({"gender": "neuter"}, "gender"),
        ({"name": ""}, "name"),
    ]:
        invalid(await stage.call("POST", "/pets", ann, **(good | wrong)), field)
    assert await stage.rows("pet", Pet) == []
    assert await stage.published(PetCreated) == []


async def test_a_microchip_belongs_to_one_living_pet(stage: Stage, ids: dict[str, UUID]) -> None:
    ann, bob = await stage.customer(), await stage.customer()
    rex = await pet_of(stage, ann, microchipId="chip-1")
    wish = {"name": "Bo", "species": "dog", "gender": "male", "microchipId": "chip-1"}
    problem(await stage.call("POST", "/pets", bob, **wish), 409, "MICROCHIP_TAKEN")
    bo = await pet_of(stage, bob, "Bo")
    problem(await stage.call("PATCH", f"/pets/{bo['id']}", bob, microchipId="chip-1"), 409, "MICROCHIP_TAKEN")
    assert (await stage.call("DELETE", f"/pets/{rex['id']}", ann)).status_code == 204
    changed = await stage.call("PATCH", f"/pets/{bo['id']}", bob, microchipId="chip-1")
    assert changed.json()["microchipId"] == "chip-1"


async def test_a_pet_changes_by_what_is_named(stage: Stage, ids: dict[str, UUID]) -> None:
    ann, admin = await stage.customer(), await stage.admin()
    pet = await pet_of(stage, ann, breed="Poodle", color="white", weight=4)
    path = f"/pets/{pet['id']}"
    changed = (await stage.call("PUT", path, ann, weight=5.5, allergies="dust", species="DOG")).json()
    assert (changed["weight"], changed["allergies"], changed["color"]) == (5.5, "dust", "white")
    assert (changed["species"], changed["breed"]) == ("Dog", "Poodle"), "the same species in other letters"
    cat = (await stage.call("PATCH", path, admin, species="cat")).json()
    assert (cat["species"], cat["breed"]) == ("Cat", None)
    siamese = (await stage.call("PATCH", path, ann, breed="siamese", weight=None)).json()
    assert (siamese["breed"], siamese["weight"]) == ("Siamese", None)
    assert (await stage.call("PATCH", path, ann, breed=None)).json()["breed"] is None
    invalid(await stage.call("PATCH", path, ann, breed="poodle"), "breed")
    invalid(await stage.call("PATCH", path, ann, birthDate="2031-01-01"), "birthDate")
    events = await stage.published(PetUpdated)
    assert [(event.species, event.breed, event.version) for event in events] == [
        ("Dog", "Poodle", 2), ("Cat", None, 3), ("Cat", "Siamese", 4), ("Cat", None, 5),
    ]  # fmt: skip
    problem(await stage.call("PATCH", f"/pets/{uuid4()}", ann, weight=5), 404, "PET_NOT_FOUND")


async def test_a_pet_with_bookings_is_not_deleted(stage: Stage, ids: dict[str, UUID]) -> None:
    ann, vet = await stage.customer(), await stage.vendor()
    pet, clinic_id = await pet_of(stage, ann), await clinic_of(stage, vet)
    path = f"/pets/{pet['id']}"
    await booked(stage, pet, clinic_id, "confirmed")
    problem(await stage.call("DELETE", path, ann), 409, "PET_HAS_ACTIVE_BOOKINGS")
    other = await pet_of(stage, ann, "Bo")
    await booked(stage, other, clinic_id, "completed")
    assert (await stage.call("DELETE", f"/pets/{other['id']}", ann)).status_code == 204
    problem(await stage.call("GET", f"/pets/{other['id']}", ann), 404, "PET_NOT_FOUND")
    problem(await stage.call("DELETE", f"/pets/{other['id']}", ann), 404, "PET_NOT_FOUND")
    (event,) = await stage.published(PetDeleted)
    assert (str(event.pet_id), event.user_id, event.version) == (other["id"], ann.id, 2)
    assert [each["id"] for each in (await stage.seen("/pets", ann))["data"]] == [pet["id"]]


async def test_a_pet_is_seen_by_clinics_that_have_booked_it_and_by_no_others(
    stage: Stage, ids: dict[str, UUID]
) -> None:
    ann, bob, vet, nurse = await stage.customer(), await stage.customer(), await stage.vendor(), await stage.staff()
    rival, admin = await stage.vendor(), await stage.admin()
    pet = await pet_of(stage, ann)
    path = f"/pets/{pet['id']}"
    clinic_id = await clinic_of(stage, vet, nurse)
    await clinic_of(stage, rival)
    for stranger in (bob, vet, nurse, rival):
        problem(await stage.call("GET", path, stranger), 403, "FORBIDDEN")
    await booked(stage, pet, clinic_id, "completed")
    for known in (ann, vet, nurse, admin):
        assert (await stage.call("GET", path, known)).json()["id"] == pet["id"]
    for stranger in (bob, rival):
        problem(await stage.call("GET", path, stranger), 403, "FORBIDDEN")
    for other in (vet, nurse, bob):
        problem(await stage.call("PUT", path, other, name="Mine"), 403, "FORBIDDEN")
        problem(await stage.call("DELETE", path, other), 403, "FORBIDDEN")
    problem(await stage.call("GET", f"/pets/{uuid4()}", vet), 404, "PET_NOT_FOUND")


async def test_lists_of_pets(stage: Stage, ids: dict[str, UUID]) -> None:
    ann, bob, admin = await stage.customer(), await stage.customer(), await stage.admin()
    for name in ("Rex", "Bo", "Tiger"):
        await pet_of(stage, ann, name)
        stage.clock.advance(seconds=1)
    page = await stage.seen("/pets?limit=2", ann)
    assert ([pet["name"] for pet in page["data"]], page["meta"]["total"]) == (["Tiger", "Bo"], 3)
    assert (await stage.seen("/pets", bob))["data"] == []
    for who in (ann, admin):
        assert (await stage.seen(f"/pets/user/{ann.id}", who))["meta"]["total"] == 3
    problem(await stage.call("GET", f"/pets/user/{ann.id}", bob), 403, "FORBIDDEN")


async def test_an_owner_whom_nobody_told_of_is_asked_for(stage: Stage, ids: dict[str, UUID]) -> None:
    ann, ghost = await stage.customer("Ann"), stage.world.as_user(roles=["customer"])
    async with stage.world.work("pet").transaction() as tx:
        row = await tx.get(UserRef, ann.id)
        assert row is not None
        await tx.delete(row)
    await pet_of(stage, ann)
    (kept,) = await stage.rows("pet", UserRef)
    assert (kept.user_id, kept.full_name, kept.version) == (ann.id, "Ann Tester", 1)
    wish = {"name": "Rex", "species": "dog", "gender": "male"}
    problem(await stage.call("POST", "/pets", ghost, **wish), 404, "USER_NOT_FOUND")


async def test_who_is_switched_off_keeps_pets_and_gets_no_more(stage: Stage, ids: dict[str, UUID]) -> None:
    ann, admin = await stage.customer(), await stage.admin()
    await pet_of(stage, ann)
    await stage.call("DELETE", f"/users/{ann.id}", admin)
    wish = {"name": "Bo", "species": "dog", "gender": "male"}
    problem(await stage.call("POST", "/pets", ann, **wish), 422, "USER_INACTIVE")
    assert (await stage.seen(f"/pets/user/{ann.id}", admin))["meta"]["total"] == 1


async def test_the_nightly_comparison_repairs_copies_of_users(stage: Stage) -> None:
    ann = await stage.customer("Ann")
    async with stage.world.work("pet").transaction() as tx:
        row = await tx.get(UserRef, ann.id)
        assert row is not None
        row.full_name, row.version = "Someone Else", 0
    stage.clock.advance(hours=1)
    await stage.world.run_job("pet", "reconcile_user_refs")
    assert [(row.full_name, row.version) for row in await stage.rows("pet", UserRef)] == [("Ann Tester", 1)]


# --- the catalogue ----------------------------------------------------------------------------------------------------


async def test_everybody_reads_the_catalogue_and_admins_keep_it(stage: Stage, ids: dict[str, UUID]) -> None:
    admin = await stage.admin()
    assert [each["name"] for each in (await stage.seen("/species"))["data"]] == ["Cat", "Dog"]
    breeds = (await stage.seen(f"/species/{ids['Dog']}/breeds"))["data"]
    assert [each["name"] for each in breeds] == ["Labrador", "Poodle"]
    problem(await stage.call("GET", f"/species/{uuid4()}/breeds"), 404, "SPECIES_NOT_FOUND")
    bird = await stage.made("/species", admin, name="Bird", description="Flies")
    assert (bird["isActive"], bird["description"]) == (True, "Flies")
    problem(await stage.call("POST", "/species", admin, name="bIRD"), 409, "SPECIES_EXISTS")
    problem(await stage.call("PUT", f"/species/{bird['id']}", admin, name="dog"), 409, "SPECIES_EXISTS")
    problem(await stage.call("PUT", f"/species/{uuid4()}", admin, name="Cow"), 404, "SPECIES_NOT_FOUND")
    parrot = await stage.made("/breeds", admin, speciesId=bird["id"], name="Parrot", characteristics={"talks": True})
    assert (parrot["speciesId"], parrot["characteristics"]) == (bird["id"], {"talks": True})
    again = {"speciesId": bird["id"], "name": "PARROT"}
    problem(await stage.call("POST", "/breeds", admin, **again), 409, "BREED_EXISTS")
    problem(await stage.call("POST", "/breeds", admin, speciesId=str(uuid4()), name="X"), 404, "SPECIES_NOT_FOUND")
    invalid(await stage.call("POST", "/breeds", admin, speciesId=bird["id"], name="Mixed"), "name")
    other = await stage.made("/breeds", admin, speciesId=bird["id"], name="Finch")
    problem(await stage.call("PUT", f"/breeds/{other['id']}", admin, name="parrot"), 409, "BREED_EXISTS")
    problem(await stage.call("PUT", f"/breeds/{uuid4()}", admin, name="Eagle"), 404, "BREED_NOT_FOUND")


async def test_what_is_out_of_use_gets_no_new_pets(stage: Stage, ids: dict[str, UUID]) -> None:
    ann, admin = await stage.customer(), await stage.admin()
    pet = await pet_of(stage, ann, breed="Poodle")
    await stage.call("PUT", f"/breeds/{ids['Poodle']}", admin, isActive=False)
    await stage.call("PUT", f"/species/{ids['Cat']}", admin, isActive=False)
    assert [each["name"] for each in (await stage.seen("/species"))["data"]] == ["Dog"]
    assert [each["name"] for each in (await stage.seen(f"/species/{ids['Dog']}/breeds"))["data"]] == ["Labrador"]
    wish = {"name": "Bo", "species": "dog", "breed": "Poodle", "gender": "male"}
    invalid(await stage.call("POST", "/pets", ann, **wish), "breed")
    invalid(await stage.call("POST", "/pets", ann, **(wish | {"species": "cat"})), "species")
    kept = await stage.call("PATCH", f"/pets/{pet['id']}", ann, breed="poodle", species="dog", name="Rexy")
    assert (kept.json()["breed"], kept.json()["name"]) == ("Poodle", "Rexy"), "who has it already keeps it"


async def test_a_new_name_reaches_the_pets_in_one_transaction(stage: Stage, ids: dict[str, UUID]) -> None:
    ann, admin = await stage.customer(), await stage.admin()
    pets = [await pet_of(stage, ann, f"Rex {n}", breed=breed) for n, breed in enumerate(["poodle", "mixed", None])]
    gone = await pet_of(stage, ann, "Gone", breed="poodle")
    await stage.call("DELETE", f"/pets/{gone['id']}", ann)
    cat = await pet_of(stage, ann, "Tom", species="cat")
    await stage.call("PUT", f"/species/{ids['Dog']}", admin, name="Hound", description="Barks")
    await stage.call("PUT", f"/breeds/{ids['Poodle']}", admin, name="Caniche")
    rows = [await pet_row(stage, pet) for pet in pets]
    assert [(row.species, row.breed, row.version) for row in rows] == [
        ("Hound", "Caniche", 3), ("Hound", "mixed", 2), ("Hound", None, 2),
    ]  # fmt: skip
    assert (await pet_row(stage, gone)).species == "Dog", "a deleted one keeps what it was called"
    assert (await pet_row(stage, cat)).version == 1
    events = await stage.published(PetUpdated)
    assert sorted((str(event.pet_id), event.species, event.breed) for event in events) == sorted(
        [(pet["id"], "Hound", row.breed if row.breed != "Caniche" else "Poodle") for pet, row in zip(pets, rows, strict=True)]
        + [(pets[0]["id"], "Hound", "Caniche")]
    )  # fmt: skip
    same = await stage.call("PUT", f"/species/{ids['Dog']}", admin, name="Hound")
    assert (same.status_code, len(await stage.published(PetUpdated))) == (200, 4)


# --- siblings ---------------------------------------------------------------------------------------------------------


async def test_siblings_get_pets_and_in_a_snapshot_deleted_ones_too(stage: Stage, ids: dict[str, UUID]) -> None:
    ann = await stage.customer()
    pets = [await pet_of(stage, ann, name) for name in ("Rex", "Bo", "Tom")]
    gone = UUID(pets[1]["id"])
    await stage.call("DELETE", f"/pets/{gone}", ann)
    one = await stage.ask("pet", GetPet(pet_id=UUID(pets[0]["id"])))
    assert (one.user_id, one.name, one.species, one.version, one.is_deleted) == (ann.id, "Rex", "Dog", 1, False)
    with pytest.raises(Problem, match="PET_NOT_FOUND"):
        await stage.ask("pet", GetPet(pet_id=gone))
    first = await stage.ask("pet", SnapshotPets(limit=2))
    rest = await stage.ask("pet", SnapshotPets(cursor=first.next_cursor, limit=2))
    rows = {row.pet_id: row for row in (*first.data, *rest.data)}
    assert sorted(str(id) for id in rows) == sorted(pet["id"] for pet in pets)
    assert (rows[gone].is_deleted, rows[gone].version) == (True, 2)
