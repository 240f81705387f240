"""The drill: species and breed of pets become references while the service runs, step by step, and back and on again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import MetaData, Table, select, text, update

from freehold import Problem
from freehold.observe.metrics import METRICS
from systems.petpro.pet.contract import GetPet, SnapshotPets
from systems.petpro.pet.species_refs import BATCH, READ, WRITE, mismatches, require_contractable
from systems.petpro.pet.tables import Pet
from tests.systems.petpro.pet_stage import make_catalogue, pet_of, pet_row
from tests.systems.petpro.stage import Person, Stage, open_stage, stage_mark

pytestmark = stage_mark

KINDS = [("Dog", "Labrador"), ("Dog", "Poodle"), ("Dog", "mixed"), ("Dog", None), ("Cat", "Siamese"), ("Cat", None)]


@pytest_asyncio.fixture(loop_scope="module")
async def ids(stage: Stage) -> AsyncIterator[dict[str, UUID]]:
    """The catalogue; no flag is set."""
    stage.clock.advance(seconds=1)
    yield await make_catalogue(stage)


def reference(pet: Pet) -> tuple[UUID | None, UUID | None, bool | None]:
    return pet.species_id, pet.breed_id, pet.breed_is_mixed


async def differing(stage: Stage) -> int:
    async with stage.world.work("pet").transaction(readonly=True) as tx:
        return int(await tx.scalar(mismatches()))


async def write_only_text(stage: Stage, pet: dict[str, Any], **columns: str) -> None:
    """What a process does that does not know the references yet."""
    async with stage.world.work("pet").transaction() as tx:
        await tx.execute(update(Pet).where(Pet.id == UUID(pet["id"])).values(**columns))


# --- one step at a time -----------------------------------------------------------------------------------------------


async def test_with_the_flag_both_forms_are_written_in_one_transaction(stage: Stage, ids: dict[str, UUID]) -> None:
    ann = await stage.customer()
    before = await pet_of(stage, ann, breed="poodle")
    assert reference(await pet_row(stage, before)) == (None, None, None)
    await stage.world.set_flag("pet", WRITE.name, "on")
    pets = [await pet_of(stage, ann, species=species, breed=breed) for species, breed in KINDS]
    assert [reference(await pet_row(stage, pet)) for pet in pets] == [
        (ids["Dog"], ids["Labrador"], False), (ids["Dog"], ids["Poodle"], False), (ids["Dog"], None, True),
        (ids["Dog"], None, False), (ids["Cat"], ids["Siamese"], False), (ids["Cat"], None, False),
    ]  # fmt: skip
    await stage.call("PATCH", f"/pets/{pets[0]['id']}", ann, species="cat", breed="mixed")
    assert reference(await pet_row(stage, pets[0])) == (ids["Cat"], None, True)
    await stage.call("PATCH", f"/pets/{before['id']}", ann, name="Rexy")
    assert reference(await pet_row(stage, before)) == (ids["Dog"], ids["Poodle"], False), "any change brings it along"
    assert await differing(stage) == 0


async def test_without_the_flag_no_reference_outlives_its_text(stage: Stage, ids: dict[str, UUID]) -> None:
    ann = await stage.customer()
    await stage.world.set_flag("pet", WRITE.name, f"user:{ann.id}")
    pet = await pet_of(stage, ann, breed="Poodle")
    await stage.world.set_flag("pet", WRITE.name, "off")
    await stage.call("PATCH", f"/pets/{pet['id']}", ann, name="Rexy")
    assert reference(await pet_row(stage, pet)) == (ids["Dog"], ids["Poodle"], False)
    await stage.call("PATCH", f"/pets/{pet['id']}", ann, breed="Labrador")
    assert reference(await pet_row(stage, pet)) == (None, None, None)


async def test_a_missing_reference_is_filled_when_it_is_read(stage: Stage, ids: dict[str, UUID]) -> None:
    ann = await stage.customer()
    pets = [await pet_of(stage, ann, breed="Poodle") for _ in range(3)]
    await stage.seen(f"/pets/{pets[0]['id']}", ann)
    assert reference(await pet_row(stage, pets[0])) == (None, None, None), "not before the flag"
    await stage.world.set_flag("pet", READ.name, f"user:{ann.id}")
    assert await stage.seen(f"/pets/{pets[0]['id']}", ann) == pets[0]
    rows = [await pet_row(stage, pet) for pet in pets]
    assert [row.species_id for row in rows] == [ids["Dog"], None, None]
    assert [row.version for row in rows] == [1, 1, 1], "nothing that others could see has changed"
    await stage.seen("/pets", ann)
    assert {(await pet_row(stage, pet)).breed_id for pet in pets} == {ids["Poodle"]}
    await write_only_text(stage, pets[1], species="Cat", breed="Siamese")
    shown = await stage.seen(f"/pets/{pets[1]['id']}", ann)
    assert (shown["species"], shown["breed"]) == ("Dog", "Poodle"), "it is the reference that is read"
    assert (await stage.seen(f"/pet-health-records/dashboard/{pets[1]['id']}", ann))["pet"] == shown


async def test_siblings_are_told_by_the_form_that_is_read(stage: Stage, ids: dict[str, UUID]) -> None:
    ann = await stage.customer()
    await stage.world.set_flag("pet", WRITE.name, "on")
    pet = await pet_of(stage, ann, breed="Poodle")
    await write_only_text(stage, pet, breed="Labrador")

    async def told() -> list[str | None]:
        (row,) = (await stage.ask("pet", SnapshotPets())).data
        return [(await stage.ask("pet", GetPet(pet_id=UUID(pet["id"])))).breed, row.breed]

    assert await told() == ["Labrador", "Labrador"]
    await stage.world.set_flag("pet", READ.name, "on")
    assert await told() == ["Poodle", "Poodle"]


async def test_the_job_fills_batch_by_batch_and_counts_what_it_cannot_mend(stage: Stage, ids: dict[str, UUID]) -> None:
    ann, now = await stage.customer(), stage.clock.now()
    pet = await pet_of(stage, ann, breed="Poodle")
    gone = await pet_of(stage, ann)
    await stage.call("DELETE", f"/pets/{gone['id']}", ann)
    async with stage.world.work("pet").transaction() as tx:
        for number in range(2 * BATCH):
            species, breed = KINDS[number % len(KINDS)]
            tx.add(Pet(user_id=ann.id, name=f"P{number}", species=species, breed=breed, medical_history={},
                       created_at=now, updated_at=now))  # fmt: skip
        lost = Pet(user_id=ann.id, name="Puff", species="Dragon", medical_history={}, created_at=now, updated_at=now)
        tx.add(lost)
    await stage.world.run_job("pet", "backfill_species_refs")
    assert await differing(stage) == 2 * BATCH + 2, "nothing happens before references are written for everybody"
    await stage.world.set_flag("pet", WRITE.name, "on")
    await stage.world.run_job("pet", "backfill_species_refs")
    assert METRICS.registry.get_sample_value("pet_species_ref_mismatches") == 1
    assert reference(await pet_row(stage, gone)) == (None, None, None)
    await write_only_text(stage, pet, breed="Labrador")
    await stage.world.run_job("pet", "backfill_species_refs")
    assert METRICS.registry.get_sample_value("pet_species_ref_mismatches") == 2
    async with stage.world.work("pet").transaction(readonly=True) as tx:
        with pytest.raises(Problem, match="SPECIES_REFS_DIFFER") as refused:
            await require_contractable(tx)
    assert refused.value.extra == {"mismatches": 2}
    await stage.call("PATCH", f"/pets/{pet['id']}", ann, name="Rexy")
    await stage.call("PATCH", f"/pets/{lost.id}", ann, species="Dog")
    await stage.world.run_job("pet", "backfill_species_refs")
    assert METRICS.registry.get_sample_value("pet_species_ref_mismatches") == 0
    async with stage.world.work("pet").transaction(readonly=True) as tx:
        await require_contractable(tx)


# --- the whole of it, under load --------------------------------------------------------------------------------------


class Traffic:
    """Owners who register pets, change them and look at them, each certain of what they must see."""

    def __init__(self, stage: Stage, owners: list[Person]) -> None:
        self._stage = stage
        self._owners = owners
        self._random = Random(7)
        self._ended = False
        self._moved = asyncio.Condition()
        self.answers = 0
        self.wrong: list[str] = []
        self.pets: dict[str, tuple[Person, str, str | None]] = {}
        """By id: whose it is, its species, its breed."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Traffic]:
        async with asyncio.TaskGroup() as tasks:
            for owner in self._owners:
                tasks.create_task(self._live(owner))
            try:
                yield self
            finally:
                self._ended = True

    async def goes_on(self, answers: int = 24) -> None:
        """Wait until so many more requests are answered."""
        async with asyncio.timeout(60), self._moved:
            until = self.answers + answers
            await self._moved.wait_for(lambda: self.answers >= until)

    async def _live(self, owner: Person) -> None:
        mine: list[str] = []
        while not self._ended:
            action = self._random.random() if mine else 0
            if action < 0.3:
                mine.append(await self._register(owner))
            elif action < 0.6:
                await self._change(owner, self._random.choice(mine))
            elif action < 0.9:
                await self._look(owner, self._random.choice(mine))
            else:
                await self._list(owner, mine)
            async with self._moved:
                self.answers += 1
                self._moved.notify_all()
            await asyncio.sleep(0)  # requests to SQLite may be answered without letting anybody else in

    async def _register(self, owner: Person) -> str:
        species, breed = self._random.choice(KINDS)
        body = {"name": "Rex", "species": species, "breed": breed, "gender": "unknown"}
        return self._note(owner, await self._send("POST", "/pets", owner, body), species, breed)

    async def _change(self, owner: Person, id: str) -> None:
        _, species, breed = self.pets[id]
        body: dict[str, Any] = {"name": f"Rex {self.answers}"}
        if self._random.random() < 0.7:
            species, breed = self._random.choice(KINDS)
            body |= {"species": species, "breed": breed}
        self._note(owner, await self._send("PATCH", f"/pets/{id}", owner, body), species, breed)

    async def _look(self, owner: Person, id: str) -> None:
        _, species, breed = self.pets[id]
        self._note(owner, await self._send("GET", f"/pets/{id}", owner), species, breed)

    async def _list(self, owner: Person, mine: list[str]) -> None:
        page = await self._send("GET", "/pets?limit=100", owner)
        if page["meta"]["total"] != len(mine):
            self.wrong.append(f"{page['meta']['total']} pets instead of {len(mine)}")
        for pet in page["data"]:
            _, species, breed = self.pets[pet["id"]]
            self._note(owner, pet, species, breed)

    async def _send(self, method: str, path: str, owner: Person, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self._stage.http.request(method, f"/api/v1{path}", headers=owner.headers, json=body)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        pet: dict[str, Any] = answer.json()
        return pet

    def _note(self, owner: Person, pet: dict[str, Any], species: str, breed: str | None) -> str:
        if (pet["species"], pet["breed"]) != (species, breed):
            self.wrong.append(f"{pet['id']} is a {pet['species']}, {pet['breed']}, and not a {species}, {breed}")
        id: str = pet["id"]
        self.pets[id] = (owner, species, breed)
        return id


async def test_the_whole_drill_while_pets_are_registered_changed_and_read(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await make_catalogue(stage)
        owners = [await stage.customer(f"Owner{number}") for number in range(4)]
        traffic, world = Traffic(stage, owners), stage.world

        async def step(flag: str, setting: str) -> None:
            await world.set_flag("pet", flag, setting)
            await traffic.goes_on()

        async with traffic.running():
            await traffic.goes_on(60)
            assert await differing(stage) == len(await stage.rows("pet", Pet)) > 0
            async with world.work("pet").transaction(readonly=True) as tx:
                with pytest.raises(Problem, match="SPECIES_REFS_DIFFER"):
                    await require_contractable(tx)
            await step(WRITE.name, f"user:{owners[0].id}")
            await step(WRITE.name, "50%")
            await step(WRITE.name, "on")
            await step(READ.name, f"user:{owners[1].id}")
            assert await differing(stage) > 0, "what nobody has touched since is for the job"
            await world.process.units["pet"].jobs.run_now("backfill_species_refs")
            assert METRICS.registry.get_sample_value("pet_species_ref_mismatches") == 0
            for setting in ("50%", "on", "off", "on"):
                await step(READ.name, setting)
            await world.process.units["pet"].jobs.run_now("backfill_species_refs")
        await world.settle()
        assert traffic.wrong == []
        assert traffic.answers > 200
        await _nothing_is_lost(stage, traffic)
        async with world.work("pet").transaction(readonly=True) as tx:
            await require_contractable(tx)
        await _contract(stage)
        await _nothing_is_lost_without_the_texts(stage, traffic)


async def _nothing_is_lost(stage: Stage, traffic: Traffic) -> None:
    """Every pet that anybody was told of is there, as they were told, in its row and for the siblings."""
    wanted = {UUID(id): (owner.id, species, breed) for id, (owner, species, breed) in traffic.pets.items()}
    rows = await stage.rows("pet", Pet)
    assert {row.id: (row.user_id, row.species, row.breed) for row in rows} == wanted
    assert await differing(stage) == 0
    told, cursor = {}, None
    while page := await stage.ask("pet", SnapshotPets(cursor=cursor)):
        told |= {row.pet_id: (row.user_id, row.species, row.breed) for row in page.data}
        cursor = page.next_cursor
        if cursor is None:
            break
    assert told == wanted


async def _contract(stage: Stage) -> None:
    """What the migration after the drill does; the service's code of today cannot go on without the texts."""
    async with stage.host("pet").engine.write() as connection:
        for statement in (
            "DROP INDEX ix_pets_species", "DROP INDEX ix_pets_breed",
            "ALTER TABLE pets DROP COLUMN species", "ALTER TABLE pets DROP COLUMN breed",
        ):  # fmt: skip
            await connection.execute(text(statement))


async def _nothing_is_lost_without_the_texts(stage: Stage, traffic: Traffic) -> None:
    async with stage.host("pet").engine.read() as connection:
        left: Table = await connection.run_sync(lambda sync: Table("pets", MetaData(), autoload_with=sync))
        assert not {"species", "breed"} & set(left.columns.keys())
        rows = await connection.execute(
            text(
                "SELECT pets.name, species.name, CASE WHEN breed_is_mixed THEN 'mixed' ELSE breeds.name END "
                "FROM pets JOIN species ON species.id = pets.species_id LEFT JOIN breeds ON breeds.id = pets.breed_id"
            )
        )
        kinds = sorted((species, breed or "") for _, species, breed in rows)
        ids = select(left.c.id)
        assert len((await connection.execute(ids)).all()) == len(traffic.pets)
    assert kinds == sorted((species, breed or "") for _, species, breed in traffic.pets.values())
