"""A baseline accepts what is known, and may only shrink."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freehold import ConfigurationError, Service, System
from freehold.inspect import RULES, Baseline, check
from freehold.testing import verify

APPLIED = list(RULES)


def sharing(*names: str) -> System:
    """A system whose services after the first are all in the first one's database."""
    return System("shop", [Service("first"), *(Service(name, database="first_db") for name in names)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "baseline.json"


def test_what_is_accepted_is_not_reported_and_what_is_new_is(file: Path) -> None:
    Baseline.create(file, "shop", check(sharing("a")))

    found = Baseline.read(file, "shop").compared(check(sharing("a", "b")), APPLIED)

    assert [(each.code, each.where) for each in found] == [("FH002", "service b")]


def test_what_is_gone_is_an_error_until_it_is_struck(file: Path) -> None:
    Baseline.create(file, "shop", check(sharing("a", "b")))
    now = check(sharing("b"))

    [gone] = Baseline.read(file, "shop").compared(now, APPLIED)
    assert (gone.code, gone.severity, gone.where) == ("FH110", "error", "baseline.json: FH002 service a")
    assert "--update-baseline" in gone.remedy

    assert Baseline.read(file, "shop").shrink(now, APPLIED) == 1
    assert Baseline.read(file, "shop").compared(now, APPLIED) == []


def test_shrinking_adds_nothing(file: Path) -> None:
    Baseline.create(file, "shop", check(sharing("a")))
    before = file.read_text()
    now = check(sharing("a", "b"))

    baseline = Baseline.read(file, "shop")

    assert baseline.shrink(now, APPLIED) == 0
    assert file.read_text() == before
    assert [each.where for each in baseline.compared(now, APPLIED)] == ["service b"]


def test_a_finding_that_comes_twice_is_accepted_as_often_as_it_was(file: Path) -> None:
    once = check(sharing("a"))
    Baseline.create(file, "shop", once)

    assert Baseline.read(file, "shop").compared([*once, *once], APPLIED) == once


def test_what_is_accepted_of_rules_that_were_not_applied_stays(file: Path) -> None:
    Baseline.create(file, "shop", check(sharing("a")))
    others = [rule for rule in RULES if rule.code != "FH002"]
    baseline = Baseline.read(file, "shop")

    assert baseline.compared([], others) == []
    assert baseline.shrink([], others) == 0


def test_it_is_created_once_and_each_system_has_its_part(file: Path) -> None:
    Baseline.create(file, "shop", check(sharing("a")))
    Baseline.create(file, "school", [])

    assert list(json.loads(file.read_text())) == ["school", "shop"]
    with pytest.raises(ConfigurationError, match="has shop already, and may only shrink"):
        Baseline.create(file, "shop", [])
    assert len(json.loads(file.read_text())["shop"]) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "is not there. Make it once with --create-baseline"),
        ("{}", "says nothing of shop"),
        ("{", "cannot be read: the file: "),
        ('{"shop": [{"code": "FH002", "where": "a"}]}', "cannot be read: shop.0.message: Field required"),
    ],
)
def test_a_file_that_cannot_be_used(file: Path, text: str | None, told: str) -> None:
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        Baseline.read(file, "shop")
    assert told in str(error.value)


def test_verify_heeds_it(tmp_path: Path) -> None:
    (tmp_path / "freehold.toml").write_text('[check]\nbaseline = "accepted.json"\n')
    Baseline.create(tmp_path / "accepted.json", "shop", check(sharing("a")))

    assert verify(sharing("a"), folder=tmp_path) == []
    assert [found.code for found in verify(sharing(), folder=tmp_path)] == ["FH110"]
