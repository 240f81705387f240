"""What the data sets are made of, and of it the users and their pets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid5

from freehold import Event, Tx
from systems.petpro.auth.contract import UserCreated
from systems.petpro.auth.tables import Account, Profile, UserRole
from systems.petpro.pet.contract import PetCreated
from systems.petpro.pet.tables import Breed, MedicalRecord, Pet, Species, Vaccination

Row = dict[str, Any]
Then = Callable[[Tx], Awaitable[None]]

NAMES = UUID("0d4a3f6e-6c1b-5a52-8a35-5f0c3a0f7b11")
SEED = 20_260_101

FIRST = ("Ayu", "Budi", "Citra", "Dewi", "Eka", "Fajar", "Gita", "Hadi", "Indah", "Joko", "Kartika", "Lestari")
LAST = ("Pratama", "Wijaya", "Santoso", "Putri", "Halim", "Nugroho", "Siregar", "Utami", "Kusuma", "Hartono")
CATALOGUE: Mapping[str, tuple[str, ...]] = {
    "dog": ("Golden Retriever", "Poodle", "Beagle", "Shiba Inu", "Pug", "Dachshund"),
    "cat": ("Persian", "Siamese", "Maine Coon", "British Shorthair", "Bengal"),
    "bird": ("Cockatiel", "Lovebird", "Canary", "Parakeet"),
    "fish": ("Betta", "Koi", "Goldfish"),
    "reptile": ("Leopard Gecko", "Bearded Dragon", "Sulcata"),
    "small mammal": ("Holland Lop", "Syrian Hamster", "Sugar Glider", "Guinea Pig"),
    "other": (),
}
PETS = ("Milo", "Luna", "Coco", "Bella", "Max", "Kiko", "Simba", "Nala", "Oreo", "Mochi", "Rocky", "Ruby")
RECORDS = ("checkup", "vaccination", "surgery", "emergency", "lab", "grooming", "other")
VACCINES = ("Rabies", "Distemper", "Parvovirus", "Leptospirosis", "Feline leukaemia")


def demo_id(kind: str, number: object) -> UUID:
    """The id of a demo row, the same on every machine."""
    return uuid5(NAMES, f"{kind}/{number}")


def scattered(number: int) -> int:
    """Eight digits that look drawn and are of one number only."""
    return (number * 48_271 + 31_415_926) % 10**8


@dataclass(slots=True)
class Bundle:
    """A row with those that belong to it: they are inserted in one transaction, or none of them.

    Parts come in an order in which they can be inserted. `then` is what else that transaction does.
    """

    table: type[Any]
    row: Row
    facts: list[Event]
    parts: list[tuple[type[Any], Row]] = field(default_factory=list)
    then: list[Then] = field(default_factory=list)

    def also(self, table: type[Any], row: Row) -> Row:
        """A row that belongs to it."""
        self.parts.append((table, row))
        return row


@dataclass(slots=True)
class DataSet:
    """Bundles by the table of their first row."""

    now: datetime
    password_hash: str
    roles: Mapping[str, UUID]
    bundles: dict[type[Any], list[Bundle]] = field(default_factory=dict)
    people: dict[UUID, Row] = field(default_factory=dict)
    """Users, with what the others need to know of them."""

    def add(self, table: type[Any], row: Row, *facts: Event) -> Bundle:
        """One more row, and what is published with it."""
        bundle = Bundle(table, row, list(facts))
        self.bundles.setdefault(table, []).append(bundle)
        return bundle

    def ago(self, **parts: float) -> datetime:
        """So long before now."""
        return self.now - timedelta(**parts)


def stamps(at: datetime, changed_at: datetime | None = None) -> Row:
    return {"created_at": at, "updated_at": changed_at or at}


@dataclass(slots=True)
class People:
    """The users of one copy, by what they are."""

    owners: list[Row] = field(default_factory=list)
    staff: list[Row] = field(default_factory=list)
    customers: list[Row] = field(default_factory=list)


# --- auth -------------------------------------------------------------------------------------------------------------


def add_person(made: DataSet, email: str, name: str, role: str, phone: str) -> Row:
    """A user with a profile and a role; what the others need to know of them."""
    at, id = made.ago(days=120), demo_id("user", email)
    told = UserCreated(
        user_id=id, email=email, full_name=name, phone_number=phone, roles=[role], is_active=True, version=1,
        created_at=at,
    )  # fmt: skip
    row = {
        "id": id, "email": email, "password_hash": made.password_hash, "is_active": True, "version": 1,
        "last_login_at": None, **stamps(at),
    }  # fmt: skip
    user = made.add(Account, row, told)
    prefs = {"email": True, "push": True, "sms": False}
    profile = {
        "id": demo_id("profile", email), "user_id": id, "full_name": name, "first_name": name.split(maxsplit=1)[0],
        "phone_number": phone, "notification_prefs": prefs, **stamps(at),
    }  # fmt: skip
    user.also(Profile, profile)
    grant = {"id": demo_id("grant", email), "user_id": id, "role_id": made.roles[role], "created_at": at}
    user.also(UserRole, grant)
    known = made.people[id] = {"id": id, "email": email, "name": name, "phone": phone}
    return known


def add_people(made: DataSet, copy: int) -> People:
    """Six owners, eight of the staff and forty customers."""
    people = People()
    mark = f"{copy}." if copy else ""
    for role, count, where in (
        ("vendor", 6, people.owners),
        ("staff", 8, people.staff),
        ("customer", 40, people.customers),
    ):
        for number in range(1, count + 1):
            place = copy * 7 + number + len(role)
            name = f"{FIRST[place % len(FIRST)]} {LAST[(place * 3 + number) % len(LAST)]}"
            phone = f"+62 8{scattered(copy * 100 + number + 1000 * len(role)):08d}"
            where.append(add_person(made, f"{role}{mark}{number}@petpro.test", name, role, phone))
    return people


# --- pet --------------------------------------------------------------------------------------------------------------


def add_catalogue(made: DataSet) -> None:
    """Seven species with 25 breeds."""
    at = made.ago(days=150)
    for species, breeds in CATALOGUE.items():
        id = demo_id("species", species)
        row = {"id": id, "name": species, "description": None, "is_active": True, **stamps(at)}
        kind = made.add(Species, row)
        for breed in breeds:
            kind.also(
                Breed,
                {
                    "id": demo_id("breed", f"{species}/{breed}"), "species_id": id, "name": breed, "description": None,
                    "characteristics": {}, "is_active": True, **stamps(at),
                },
            )  # fmt: skip


def add_pets(made: DataSet, people: People, copy: int, random: Random) -> list[Row]:
    """Sixty pets: every customer has one, and half of them another."""
    pets, species = [], list(CATALOGUE)
    for number in range(60):
        kind = species[number % len(species)]
        at = made.ago(days=100 - number % 30)
        id = demo_id("pet", f"{copy}.{number}")
        row = {
            "id": id, "user_id": people.customers[number % len(people.customers)]["id"],
            "name": PETS[number % len(PETS)], "species": kind, "breed": random.choice((*CATALOGUE[kind], "mixed")),
            "birthdate": made.now.date() - timedelta(days=random.randint(200, 4000)),
            "weight": round(random.uniform(0.3, 40), 1), "gender": random.choice(("male", "female", "unknown")),
            "medical_history": {}, "photo_url": None, "microchip_id": f"9850{scattered(copy * 1000 + number):08d}",
            "deleted_at": None, "version": 1, **stamps(at),
        }  # fmt: skip
        told = PetCreated.model_validate({**row, "pet_id": id})
        pets.append(made.add(Pet, row, told).row)
    return pets


def add_health(made: DataSet, pets: list[Row], vets: list[UUID], copy: int, random: Random) -> None:
    """Ninety medical records and eighty vaccinations, of which ten expire within thirty days."""
    today = made.now.date()
    for number in range(90):
        day = today - timedelta(days=random.randint(1, 400))
        row = {
            "id": demo_id("record", f"{copy}.{number}"), "pet_id": pets[number % len(pets)]["id"], "record_date": day,
            "diagnosis": "Healthy" if number % 3 else "Mild infection", "treatment": None if number % 3 else "Rest",
            "veterinarian_id": vets[number % len(vets)], "record_type": RECORDS[number % len(RECORDS)],
            "attachments": [], **stamps(made.ago(days=(today - day).days)),
        }  # fmt: skip
        made.add(MedicalRecord, row)
    for number in range(80):
        row = {
            "id": demo_id("vaccination", f"{copy}.{number}"), "pet_id": pets[number % len(pets)]["id"],
            "vaccine_name": VACCINES[number // len(pets)], **_validity(number, today, random),
            "administered_by": vets[number % len(vets)], "certificate_info": {}, **stamps(made.ago(days=5)),
        }  # fmt: skip
        made.add(Vaccination, row)


def _validity(number: int, today: date, random: Random) -> Row:
    """When a vaccination was given and until when it holds; the first ten run out within thirty days."""
    left = number * 3 if number < 10 else random.randint(40, 300)
    expiry = today + timedelta(days=left)
    return {"administered_date": expiry - timedelta(days=365), "expiry_date": expiry}
