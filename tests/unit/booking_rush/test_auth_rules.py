"""What auth insists on."""

from __future__ import annotations

from uuid import uuid4

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from freehold import Problem, User
from systems.booking_rush.auth.contract import Role
from systems.booking_rush.auth.rules import (
    Email,
    normal_email,
    released_email,
    require_may_grant,
    require_may_manage,
    require_tenant,
    strong_password,
    valid_slug,
)


def caller(role: Role, tenant_id: object = None) -> User:
    return User(uuid4(), roles=frozenset({role}), tenant_id=tenant_id)  # type: ignore[arg-type]


def test_an_address_is_trimmed_and_lower_cased() -> None:
    assert normal_email("  Ann.Lee@Example.COM\n") == "ann.lee@example.com"


@pytest.mark.parametrize("given", ["", "ann", "ann@", "@example.com", "ann@example", "a b@example.com", "a@b@c.de"])
def test_what_is_no_address_is_told_by_its_code(given: str) -> None:
    with pytest.raises(ValidationError) as told:
        TypeAdapter(Email).validate_python(given)
    assert told.value.errors()[0]["type"] == "INVALID_EMAIL"
    with pytest.raises(PydanticCustomError):
        normal_email("a" * 250 + "@example.com")


@pytest.mark.parametrize("given", ["Test123!", "Пароль-1", "aA1 " * 17 + "aA1!"])
def test_strong_passwords(given: str) -> None:
    assert strong_password(given) == given


@pytest.mark.parametrize("given", ["Te1!", "test123!", "TEST123!", "Testtest!", "Test1234", "Test123 ", "aA1!" * 19])
def test_weak_passwords(given: str) -> None:
    with pytest.raises(PydanticCustomError, match="upper and a lower"):
        strong_password(given)


def test_slugs() -> None:
    assert valid_slug("my-tenant-2") == "my-tenant-2"
    for bad in ("a", "A-b", "a_b", "a" * 101, "ä-ö"):
        with pytest.raises(PydanticCustomError):
            valid_slug(bad)


def test_a_deleted_address_is_free_and_can_never_be_registered() -> None:
    id = uuid4()
    released = released_email("ann@example.com", id)
    assert released != "ann@example.com"
    assert str(id) in released
    assert len(released_email("a" * 255, id)) == 255


def test_an_admin_acts_within_the_own_tenant() -> None:
    home, abroad = uuid4(), uuid4()
    require_tenant(caller("admin", home), home)
    require_tenant(caller("super_admin", home), abroad)
    with pytest.raises(Problem) as told:
        require_tenant(caller("admin", home), abroad)
    assert told.value.status == 404


@pytest.mark.parametrize("granted", ["admin", "super_admin"])
def test_only_a_super_admin_makes_admins(granted: Role) -> None:
    require_may_grant(caller("super_admin"), granted)
    require_may_grant(caller("admin"), "organizer")
    with pytest.raises(Problem) as told:
        require_may_grant(caller("admin"), granted)
    assert told.value.status == 403


def test_nobody_below_a_super_admin_changes_one() -> None:
    require_may_manage(caller("super_admin"), "super_admin")
    require_may_manage(caller("admin"), "admin")
    with pytest.raises(Problem):
        require_may_manage(caller("admin"), "super_admin")
