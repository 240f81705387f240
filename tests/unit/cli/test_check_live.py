"""`freehold check --live` on embedded databases."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.cli.conftest import Freehold


def test_a_system_that_is_kept_apart(freehold: Freehold) -> None:
    assert freehold("migrate", "shop").returncode == 0

    done = freehold("check", "shop", "--live")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("shop: all is well (")


def test_two_services_in_one_file(freehold: Freehold, folder: Path) -> None:
    assert freehold("migrate", "shop").returncode == 0
    files = folder / ".freehold" / "shop"
    (files / "auth_db.sqlite").unlink()
    (files / "auth_db.sqlite").symlink_to(files / "orders_db.sqlite")

    done = freehold("check", "shop", "--live", "--json")

    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert {each["code"] for each in found["violations"]} == {"FH080"}
    assert {each["where"] for each in found["violations"]} == {"service orders", "service auth"}


def test_databases_that_are_not_there_prove_nothing_and_are_not_made(freehold: Freehold, folder: Path) -> None:
    done = freehold("check", "shop", "--live")

    assert done.returncode == 2
    assert "services.orders.database" in done.stderr
    assert "Run `freehold migrate` first" in done.stderr
    assert not (folder / ".freehold").exists()


def test_a_deployment_without_live(freehold: Freehold) -> None:
    done = freehold("check", "shop", "--deploy", "prod")

    assert done.returncode == 2
    assert done.stderr.endswith("Add --live\n")
