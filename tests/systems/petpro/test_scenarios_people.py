"""Acceptance scenario 14, as far as it is about people and their pets."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from tests.systems.petpro.pet_stage import make_catalogue, pet_of
from tests.systems.petpro.stage import Stage, invalid, problem, stage_mark

pytestmark = stage_mark

ROUTES = (
    ("GET", "/auth/me"), ("PUT", "/auth/profile"), ("GET", "/users"), ("GET", "/roles"), ("GET", "/notifications"),
    ("GET", "/pets"), ("POST", "/pets"), ("GET", f"/pet-health-records?petId={UUID(int=1)}"), ("POST", "/species"),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_14_no_token_no_entry(stage: Stage, method: str, path: str) -> None:
    problem(await stage.call(method, path), 401, "MISSING_TOKEN")
    problem(await stage.call(method, path, {"Authorization": "Bearer nonsense"}), 401, "INVALID_TOKEN")


async def test_14_permissions_and_bad_input_of_people_and_pets(stage: Stage) -> None:
    await make_catalogue(stage)
    ann, bob, vendor = await stage.customer(), await stage.customer(), await stage.vendor()
    pet = await pet_of(stage, ann)
    problem(await stage.call("GET", f"/pets/{pet['id']}", bob), 403, "FORBIDDEN")
    problem(await stage.call("GET", f"/users/{ann.id}", bob), 403, "FORBIDDEN")
    for method, path in (("GET", "/users"), ("GET", "/permissions"), ("POST", "/roles"), ("POST", "/species")):
        for who in (ann, vendor):
            problem(await stage.call(method, path, who, name="x"), 403, "FORBIDDEN")
    problem(await stage.call("POST", "/pets", vendor, name="Rex", species="dog", gender="male"), 403, "FORBIDDEN")
    invalid(await stage.call("PATCH", f"/pets/{pet['id']}", ann, birthDate="2025-13-40"), "birthDate")
    invalid(await stage.call("GET", "/pets/rex", ann), "id")
    invalid(await stage.call("GET", "/pets?limit=0", ann), "limit")
    problem(await stage.call("GET", f"/pets/{uuid4()}", ann), 404, "PET_NOT_FOUND")
    for content in ("{", "[]", '"text"', "null", "\x00"):
        answer = await stage.http.post(
            "/api/v1/pets", content=content, headers={**ann.headers, "Content-Type": "application/json"}
        )
        assert answer.status_code == 400, content
    assert [each["id"] for each in (await stage.seen("/pets", ann))["data"]] == [pet["id"]]
