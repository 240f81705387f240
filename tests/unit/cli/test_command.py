"""The command as a user meets it: help, exit codes, messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Freehold

HEAVY = ("fastapi", "sqlalchemy", "pydantic", "rich", "uvicorn", "asyncio", "sqlglot")
COMMANDS = [
    ["run"],
    ["check"],
    ["describe"],
    ["migrate"],
    ["load"],
    ["load-test"],
    ["dead-letters", "list"],
    ["dead-letters", "show"],
    ["dead-letters", "replay"],
    ["dead-letters", "discard"],
    ["views"],
    ["sagas"],
    ["demo", "flash-sale"],
]


def test_help_imports_nothing_heavy() -> None:
    program = """
import sys
sys.argv = ["freehold", "--help"]
from freehold.cli import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "dead-letters" in done.stdout
    assert [name for name in HEAVY if name in done.stderr.split()] == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_has_an_example_of_itself(freehold: Freehold, words: list[str]) -> None:
    done = freehold(*words, "--help")

    assert done.returncode == 0, done.stderr
    assert f"\n    freehold {' '.join(words)}" in done.stdout.partition("Example:")[2]


def test_the_version(freehold: Freehold) -> None:
    assert freehold("--version").stdout.startswith("freehold ")


def test_an_unknown_system_is_told_with_those_there_are(command: Freehold) -> None:
    done = command("describe", "shopp")

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "freehold: system 'shopp': there is none of this name here. Here are: broken, shop\n"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nobody.here:system", "there is no nobody"),
        ("systems.shop.system:sistem", "has no 'sistem'"),
        ("systems.shop.system:orders", "has a Service there"),
    ],
)
def test_an_address_that_leads_nowhere(freehold: Freehold, name: str, told: str) -> None:
    done = freehold("check", name)

    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_system_is_found_by_folder_by_address_and_by_configuration(freehold: Freehold, folder: Path) -> None:
    (folder / "freehold.toml").write_text('[systems]\nstore = "systems.shop.system:system"\n')

    described = [freehold("describe", name, "--json") for name in ("shop", "systems.shop.system:system", "store")]

    assert [done.returncode for done in described] == [0, 0, 0]
    assert {json.loads(done.stdout)["system"] for done in described} == {"shop"}


def test_a_folder_beside_the_caller_will_do(freehold: Freehold, folder: Path) -> None:
    (folder / "systems" / "shop").rename(folder / "shop")

    assert freehold("check", "shop").returncode == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [("[systems\n", "is not valid TOML"), ("[systems]\nshop = 3\n", "systems.shop"), ("systems = 3\n", "systems")],
)
def test_a_configuration_that_is_wrong(freehold: Freehold, folder: Path, text: str, told: str) -> None:
    (folder / "freehold.toml").write_text(text)

    done = freehold("describe", "shop")

    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_declaration_that_contradicts_itself_is_one_line(command: Freehold, folder: Path) -> None:
    (folder / "systems" / "shop" / "system.py").write_text("from freehold import Service\nService('No Word')\n")

    done = command("check", "shop")

    assert done.returncode == 2
    assert done.stderr.startswith("freehold: service 'No Word': ")
    assert len(done.stderr.splitlines()) == 1


def test_a_module_that_the_system_needs_is_missing(freehold: Freehold, folder: Path) -> None:
    (folder / "systems" / "shop" / "system.py").write_text("import not_installed\n")

    done = freehold("check", "shop")

    assert done.returncode == 2
    assert "needs not_installed, which is not there" in done.stderr


def test_check_of_a_good_system(command: Freehold) -> None:
    done = command("check", "shop")

    assert done.returncode == 0
    assert done.stdout.startswith("shop: all is well (")


def test_check_of_a_broken_system(command: Freehold) -> None:
    done = command("check", "broken")

    assert done.returncode == 1
    finding, summary = done.stdout.splitlines()
    assert finding.startswith("systems/broken/system.py:5: FH002 error: service auth ")
    assert summary.startswith("broken: 1 error (")


def test_check_for_scripts(freehold: Freehold) -> None:
    done = freehold("check", "broken", "--json")

    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert (found["system"], found["errors"], len(found["violations"])) == ("broken", 1, 1)
    assert found["violations"][0] == {
        "code": "FH002",
        "severity": "error",
        "where": "service auth",
        "message": "has the database orders_db, which is orders's",
        "remedy": "Give each service a database of its own, or leave database= out",
        "file": "systems/broken/system.py",
        "line": 5,
    }


def test_describe_into_a_pipe_is_one_line_for_each_service(freehold: Freehold) -> None:
    done = freehold("describe", "shop")

    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["orders", "auth"]


def test_describe_shows_the_commands_that_a_service_carries_out(freehold: Freehold, folder: Path) -> None:
    file = folder / "systems" / "shop" / "system.py"
    command = """
from freehold import Command, Tx

class Ship(Command, name="order.ship", key="order_id"):
    order_id: int

@orders.handles(Ship)
async def ship(command: Ship, tx: Tx) -> None: ...
"""
    file.write_text(file.read_text() + command)

    assert freehold("describe", "shop").stdout.splitlines()[0].split("\t")[4] == "order.ship"
