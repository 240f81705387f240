"""The species and breed of pets as references instead of texts: a column that gets another form without a stop.

Both forms stand in `pets`. The flag `pet.species_ref.write` keeps them together in one transaction, the job
`backfill_species_refs` fills what was there before, and `pet.species_ref.read` answers from the references. The texts
may go when `require_contractable` agrees. Deleted pets are left as they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from freehold import Flag, Problem, Tx, Work, counter, gauge
from systems.petpro.pet.rules import MIXED
from systems.petpro.pet.tables import Breed, Pet, Species

T = TypeVar("T")
WRITE = Flag("pet.species_ref.write", "The references of a pet are written with its texts")
READ = Flag("pet.species_ref.read", "Species and breed of a pet are read by its references")
BATCH = 200

MISMATCHES = gauge(
    "pet_species_ref_mismatches", "Living pets without references, or with such as differ from the texts"
)
FILLED = counter("pet_species_refs_filled", "Pets whose references were filled in, by a read or by the job", "by")


@dataclass(frozen=True)
class Reference:
    """Species and breed by id; a mixed breed has no row."""

    species_id: UUID | None = None
    breed_id: UUID | None = None
    breed_is_mixed: bool | None = None

    def put(self, pet: Pet) -> None:
        pet.species_id, pet.breed_id, pet.breed_is_mixed = self.species_id, self.breed_id, self.breed_is_mixed


@dataclass(frozen=True)
class Catalogue:
    """All names, in use or not."""

    species: Mapping[UUID, str]
    breeds: Mapping[UUID, str]
    species_ids: Mapping[str, UUID]
    breed_ids: Mapping[tuple[UUID, str], UUID]

    @classmethod
    async def read(cls, tx: Tx) -> Catalogue:
        species = (await tx.execute(select(Species.id, Species.name))).all()
        breeds = (await tx.execute(select(Breed.id, Breed.species_id, Breed.name))).all()
        return cls(
            species={row.id: row.name for row in species},
            breeds={id: name for id, _, name in breeds},
            species_ids={name: id for id, name in species},
            breed_ids={(species_id, name): id for id, species_id, name in breeds},
        )

    def reference(self, species: str, breed: str | None) -> Reference | None:
        """What the texts mean; None where the catalogue does not know them."""
        species_id = self.species_ids.get(species)
        if species_id is None:
            return None
        if breed is None or breed == MIXED:
            return Reference(species_id, None, breed == MIXED)
        breed_id = self.breed_ids.get((species_id, breed))
        return None if breed_id is None else Reference(species_id, breed_id, False)


# --- writing ----------------------------------------------------------------------------------------------------------


async def keep_together(pet: Pet, tx: Tx, *, changed: bool) -> None:
    """Write the references of a pet whose texts stand. Without the flag those of other texts are taken away."""
    if await tx.flag(WRITE.name):
        ((await Catalogue.read(tx)).reference(pet.species, pet.breed) or Reference()).put(pet)
    elif changed:
        Reference().put(pet)


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass
class Names:
    """Species and breed of pets, in the form that is read; notes those whose references are missing."""

    catalogue: Catalogue | None
    missing: list[UUID] = field(default_factory=list)

    @classmethod
    async def read(cls, tx: Tx) -> Names:
        return cls(await Catalogue.read(tx) if await tx.flag(READ.name) else None)

    def of(self, pet: Pet) -> tuple[str, str | None]:
        """Its species and its breed."""
        if self.catalogue is None:
            return pet.species, pet.breed
        if pet.species_id is None:
            self.missing.append(pet.id)
            return pet.species, pet.breed
        breed = MIXED if pet.breed_is_mixed else None
        if pet.breed_id is not None:  # what is newer than the catalogue that was read is told by its text
            breed = self.catalogue.breeds.get(pet.breed_id, pet.breed)
        return self.catalogue.species.get(pet.species_id, pet.species), breed


async def reading(work: Work, read: Callable[[Tx, Names], Awaitable[T]]) -> T:
    """Read pets, and then fill the references that were missing among them."""

    async def look(tx: Tx) -> tuple[T, Names]:
        names = await Names.read(tx)
        return await read(tx, names), names

    answer, names = await work.run(look, readonly=True)
    if names.missing:
        await work.run(lambda tx: _fill(Pet.id.in_(names.missing), tx, by="read"))
    return answer


# --- what was there before --------------------------------------------------------------------------------------------


async def backfill(work: Work) -> int:
    """Fill the references of all living pets, in batches; how many pets have none or other ones afterwards."""
    last = UUID(int=0)
    while True:
        seen = await work.run(partial(_fill, Pet.id > last, by="job"))
        if len(seen) < BATCH:
            break
        last = seen[-1]
    async with work.transaction(readonly=True) as tx:
        left = int(await tx.scalar(mismatches()))
    MISMATCHES.set(left)
    return left


async def _fill(which: ColumnElement[bool], tx: Tx, *, by: str) -> Sequence[UUID]:
    """Give those without references what their texts mean, a batch of them; the pets that were looked at."""
    wanted = select(Pet).where(which, Pet.species_id.is_(None), Pet.deleted_at.is_(None))
    pets = (await tx.scalars(wanted.order_by(Pet.id).limit(BATCH).with_for_update())).all()
    if not pets:
        return []
    catalogue = await Catalogue.read(tx)
    for pet in pets:
        reference = catalogue.reference(pet.species, pet.breed)
        if reference is not None:
            reference.put(pet)
            tx.on_commit(FILLED.labels(by).inc)
    return [pet.id for pet in pets]


def mismatches() -> Select[int]:
    """How many living pets have no references, or such as do not say what the texts say."""
    breed = case((Pet.breed_is_mixed.is_(True), MIXED), else_=Breed.name)
    same_breed = or_(breed == Pet.breed, and_(breed.is_(None), Pet.breed.is_(None)))
    joined = select(func.count()).select_from(Pet).outerjoin(Species, Species.id == Pet.species_id)
    return joined.outerjoin(Breed, Breed.id == Pet.breed_id).where(
        Pet.deleted_at.is_(None),
        or_(Species.id.is_(None), Species.name != Pet.species, ~func.coalesce(same_breed, False)),
    )


async def require_contractable(tx: Tx) -> None:
    """What the migration asks that takes the texts away. 409 while the references do not say all that they say."""
    left = await tx.scalar(mismatches())
    if left:
        raise Problem(
            409,
            "SPECIES_REFS_DIFFER",
            f"{left} pets have no references or other ones: run the job backfill_species_refs, mend what it counts",
            mismatches=left,
        )
