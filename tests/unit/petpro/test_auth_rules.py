"""What auth insists on."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from systems.petpro.auth.rules import (
    PERMISSIONS,
    ROLES,
    Email,
    NewPassword,
    Phone,
    channels_of,
    locked_until,
    main_role,
    next_send,
    split_name,
    subject_hash,
)

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def ago(*minutes: float) -> list[datetime]:
    return [NOW - each * MINUTE for each in minutes]


def test_there_are_forty_permissions() -> None:
    assert len(PERMISSIONS) == len(set(PERMISSIONS)) == 40
    assert all(set(permitted) <= set(PERMISSIONS) for permitted in ROLES.values())
    assert not [role for role, permitted in ROLES.items() if max(Counter(permitted).values(), default=0) > 1]


def test_what_each_role_may_do() -> None:
    assert set(ROLES) == {"admin", "customer", "vendor", "staff", "system"}
    assert ROLES["admin"] == PERMISSIONS
    assert {role: len(permitted) for role, permitted in ROLES.items()} == {
        "admin": 40, "customer": 18, "vendor": 17, "staff": 7, "system": 0,
    }  # fmt: skip
    assert {"manage_pet_health", "process_orders", "moderate_reviews"}.isdisjoint(ROLES["customer"])
    assert {"delete_clinics", "create_appointments", "create_orders"}.isdisjoint(ROLES["vendor"])


@pytest.mark.parametrize(
    ("roles", "main"),
    [
        (["customer", "vendor"], "vendor"),
        (["customer", "staff"], "staff"),
        (["customer", "admin", "vendor"], "admin"),
        (["zebra", "auditor"], "auditor"),
        (["auditor", "customer"], "customer"),
        ([], None),
    ],
)
def test_the_weightiest_role_is_the_main_one(roles: list[str], main: str | None) -> None:
    assert main_role(roles) == main


@pytest.mark.parametrize(
    ("failures", "until"),
    [
        ([], None),
        (ago(4, 3, 2, 1), None),
        (ago(14.9, 3, 2, 1, 0), NOW + 15 * MINUTE),
        (ago(16, 4, 3, 2, 1, 0), NOW + 15 * MINUTE),
        (ago(15, 3, 2, 1, 0), None),
        (ago(19, 18, 17, 16, 14), NOW + MINUTE),
        (ago(19, 18, 17, 16, 15), None),
    ],
)
def test_five_wrong_logins_within_a_quarter_of_an_hour_lock(failures: list[datetime], until: datetime | None) -> None:
    assert locked_until(failures, NOW) == until


@pytest.mark.parametrize(
    ("sends", "at"),
    [
        ([], None),
        (ago(0.5), NOW + MINUTE / 2),
        (ago(1), None),
        (ago(30, 20, 10), NOW + 30 * MINUTE),
        (ago(60, 20, 10), None),
        (ago(59.9, 20, 0.5), NOW + MINUTE / 2),
    ],
)
def test_codes_go_out_a_minute_apart_and_three_an_hour(sends: list[datetime], at: datetime | None) -> None:
    assert next_send(sends, NOW, MINUTE) == at


@pytest.mark.parametrize("good", ["Secret12", "aA3" + "é" * 97, "Pass wörd 1"])
def test_good_passwords(good: str) -> None:
    assert TypeAdapter(NewPassword).validate_python(good) == good


@pytest.mark.parametrize("bad", ["Secret1", "secret12", "SECRET12", "Secretxx", "aA3" + "x" * 98, ""])
def test_bad_passwords(bad: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(NewPassword).validate_python(bad)


def test_addresses_are_kept_in_one_form() -> None:
    assert TypeAdapter(Email).validate_python("  Ann@Example.COM ") == "ann@example.com"
    assert TypeAdapter(Phone).validate_python(" +62 (811) 12-34 ") == "+62 (811) 12-34"
    for bad in ("ann", "a@b", "a b@c.de", "a" * 90 + "@example.com"):
        with pytest.raises(ValidationError):
            TypeAdapter(Email).validate_python(bad)
    for bad in ("12", "phone", "1" * 21):
        with pytest.raises(ValidationError):
            TypeAdapter(Phone).validate_python(bad)


@pytest.mark.parametrize(
    ("full", "first", "last"), [("Ann Lee", "Ann", "Lee"), ("Bo Li Chan", "Bo", "Li Chan"), ("Sukarno", "Sukarno", "")]
)
def test_a_full_name_is_split_at_its_first_space(full: str, first: str, last: str) -> None:
    assert split_name(full) == (first, last)


def test_a_throttle_does_not_tell_whose_it_is() -> None:
    assert subject_hash("login", "ann@example.com") != subject_hash("send", "ann@example.com")
    assert "ann" not in subject_hash("login", "ann@example.com")


def test_channels_that_are_switched_on() -> None:
    assert channels_of({"email": True, "push": False, "sms": True, "pigeon": True}) == ["email", "sms"]
    assert channels_of({}) == []
