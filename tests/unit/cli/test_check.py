"""`freehold check`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freehold.inspect import page
from tests.unit.cli.conftest import Freehold


def test_it_ends_with_0_when_all_is_well_and_with_1_at_an_error(freehold: Freehold) -> None:
    assert freehold("check", "shop").returncode == 0
    done = freehold("check", "broken")
    assert done.returncode == 1
    assert "FH002 error: service auth has the database orders_db" in done.stdout


def test_warnings_do_not_count(freehold: Freehold, folder: Path) -> None:
    (folder / "freehold.toml").write_text('[check.rules]\nFH002 = "warning"\n')
    done = freehold("check", "broken")
    assert done.returncode == 0
    assert "FH002 warning" in done.stdout
    assert "shop: 1 warning (" in done.stdout.replace("broken", "shop")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "SYSTEM: is not given"),
        (("shop", "--json", "--sarif"), "--sarif: is one format and --json another"),
        (("shop", "--update-baseline"), "--baseline: is not given"),
        (("shop", "--baseline", "none.json"), "baseline none.json: is not there"),
        (("--explain", "FH999"), "--explain FH999: is no rule"),
    ],
)
def test_it_ends_with_2_when_it_is_asked_wrongly(freehold: Freehold, arguments: tuple[str, ...], told: str) -> None:
    done = freehold("check", *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_it_ends_with_2_when_it_is_configured_wrongly(freehold: Freehold, folder: Path) -> None:
    (folder / "freehold.toml").write_text('[check.rules]\nFH999 = "off"\n')
    done = freehold("check", "shop")
    assert done.returncode == 2
    assert "check.rules.FH999: is no rule" in done.stderr


def test_a_rule_is_explained(freehold: Freehold) -> None:
    done = freehold("check", "--explain", "FH010")
    assert (done.returncode, done.stdout) == (0, page("FH010"))


def test_sarif_says_what_was_found(freehold: Freehold) -> None:
    done = freehold("check", "broken", "--sarif")
    (run,) = json.loads(done.stdout)["runs"]
    assert done.returncode == 1
    assert [result["ruleId"] for result in run["results"]] == ["FH002"]
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith("system.py")


def test_a_baseline_from_its_first_day_to_its_last(freehold: Freehold, folder: Path) -> None:
    file = folder / "accepted.json"

    created = freehold("check", "broken", "--baseline", "accepted.json", "--create-baseline")
    assert created.returncode == 0
    assert "accepted in accepted.json: 1" in created.stdout
    assert freehold("check", "broken").returncode == 1
    assert freehold("check", "broken", "--baseline", "accepted.json").returncode == 0
    assert freehold("check", "broken", "--baseline", "accepted.json", "--create-baseline").returncode == 2

    system = folder / "systems" / "broken" / "system.py"
    system.write_text(system.read_text().replace(', database="orders_db"', ""))
    gone = freehold("check", "broken", "--baseline", "accepted.json")
    assert gone.returncode == 1
    assert "FH110 error: accepted.json: FH002 service auth is accepted and no longer found" in gone.stdout

    struck = freehold("check", "broken", "--baseline", "accepted.json", "--update-baseline")
    assert struck.returncode == 0
    assert "struck from accepted.json: 1" in struck.stdout
    assert json.loads(file.read_text()) == {"shop": []}


def test_the_configured_baseline_is_taken(freehold: Freehold, folder: Path) -> None:
    (folder / "freehold.toml").write_text('[check]\nbaseline = "accepted.json"\n')
    assert freehold("check", "broken", "--create-baseline").returncode == 0
    assert freehold("check", "broken").returncode == 0
