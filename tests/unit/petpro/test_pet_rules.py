"""What pet insists on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError

from freehold import uuid7
from systems.petpro.pet.bodies import NewPet, NewVaccination, PetChanges, PetOut
from systems.petpro.pet.rules import expires_soon, full_years, named, same_name
from systems.petpro.pet.tables import Pet

TODAY = date(2030, 3, 1)
NOW = datetime(2030, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("birthdate", "years"),
    [
        (date(2030, 3, 1), 0),
        (date(2029, 3, 2), 0),
        (date(2029, 3, 1), 1),
        (date(2024, 2, 29), 6),
        (date(2019, 12, 31), 10),
    ],
)
def test_an_age_is_in_whole_years(birthdate: date, years: int) -> None:
    assert full_years(birthdate, TODAY) == years


def test_a_leap_day_is_celebrated_on_the_first_of_march() -> None:
    assert full_years(date(2024, 2, 29), date(2029, 2, 28)) == 4
    assert full_years(date(2024, 2, 29), date(2029, 3, 1)) == 5


@pytest.mark.parametrize(("days", "soon"), [(-1, False), (0, True), (30, True), (31, False)])
def test_a_vaccination_expires_soon_for_thirty_days(days: int, soon: bool) -> None:
    assert expires_soon(TODAY + timedelta(days=days), TODAY) is soon


def test_a_vaccination_without_end_never_expires() -> None:
    assert not expires_soon(None, TODAY)


@dataclass
class Entry:
    name: str


def test_names_of_the_catalogue_do_not_depend_on_case() -> None:
    dog, ecureuil = Entry("Dog"), Entry("Écureuil")
    assert named(" dOG ", [ecureuil, dog]) is dog
    assert named("écureuil", [ecureuil, dog]) is ecureuil
    assert named("dogs", [dog]) is None
    assert same_name(None, None)
    assert not same_name("Mixed", None)


def a_pet() -> Pet:
    return Pet(
        id=uuid7(), user_id=uuid7(), name="Rex", species="Dog", breed=None, birthdate=None, gender="male", weight=None,
        photo_url=None, microchip_id="chip-1", medical_history={"color": "black"}, created_at=NOW, updated_at=NOW,
        deleted_at=None, version=3,
    )  # fmt: skip


def test_a_deleted_pet_gives_its_microchip_back_and_remembers_it() -> None:
    pet = a_pet()
    pet.delete(NOW + timedelta(hours=1))
    assert (pet.microchip_id, pet.deleted_at, pet.version) == (None, NOW + timedelta(hours=1), 4)
    assert pet.medical_history == {"color": "black", "microchip_id": "chip-1"}


def test_a_pet_is_shown_with_what_its_history_keeps() -> None:
    shown = PetOut.of(a_pet(), TODAY, "Dog", None).model_dump(by_alias=True)
    assert (shown["color"], shown["specialNeeds"], shown["age"], shown["microchipId"]) == (
        "black",
        None,
        None,
        "chip-1",
    )


def test_a_change_names_what_it_changes() -> None:
    body = PetChanges.model_validate({"name": None, "gender": None, "weight": None, "color": None, "species": "dog"})
    assert body.given() == {"weight": None}, "a name cannot be taken away"
    assert body.history() == {"color": None}
    aliased = PetChanges.model_validate({"microchipNumber": " 42 ", "birth_date": "2029-01-31", "special_needs": ["a"]})
    assert aliased.given() == {"microchip_id": "42", "birthdate": date(2029, 1, 31)}
    assert aliased.history() == {"special_needs": ["a"]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"name": "x" * 101},
        {"gender": "neuter"},
        {"gender": None},
        {"weight": 0.09},
        {"weight": 500.1},
        {"weight": float("nan")},
        {"birthDate": "2025-13-40"},
    ],
)
def test_what_is_no_pet(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NewPet.model_validate({"name": "Rex", "species": "dog", "gender": "male"} | wrong)


def test_a_vaccination_ends_after_it_began() -> None:
    good = {"vaccineName": "Rabies", "dateAdministered": "2030-01-01", "expirationDate": "2031-01-01"}
    assert NewVaccination.model_validate(good).expiry_date == date(2031, 1, 1)
    with pytest.raises(ValidationError):
        NewVaccination.model_validate(good | {"expirationDate": "2030-01-01"})
