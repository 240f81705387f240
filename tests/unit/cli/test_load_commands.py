"""Commands that make load, on a system of one route: exit codes, output, and what they refuse."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.unit.cli.conftest import COMMAND, Freehold

SHAPES = """
from freehold import LoadAsk, LoadMark, LoadNote, LoadPause, LoadPhase, LoadShape, LoadShapes, LoadStage

def hello(sale, token, number):
    yield LoadPause(0.001)
    answer = yield LoadAsk("hello", "GET", "/api/v1/hello")
    if answer.body == sale["wanted"]:
        yield LoadNote("as wanted")
    yield LoadAsk("gone", "GET", "/api/v1/hello", patience=0)

async def prepare(works, seats):
    return {"wanted": "hello"}

async def count(books, sale):
    return {"services": len(books.works())}

async def reconcile(books, sale, load):
    told, asked = load.notes.get("as wanted", 0), load.count("all/hello", 200)
    return [LoadMark("all were told", f"{told} of {asked}", 0 < told == asked)]

def judge(holds):
    return lambda load: [
        LoadMark("p95 < 1 s", f"{load.time('all/hello', 200).p95} ms", holds, speed=True),
        LoadMark("success", "makes no sense here", None),
    ]

PHASES = [LoadPhase("all", "systems.shop.shapes:hello", [LoadStage(0.3, users=2, to=4), LoadStage(0.3, rate=20)])]
SHAPES = LoadShapes(
    prepare=prepare, people=lambda number: [], count=count, reconcile=reconcile,
    shapes={
        "good": LoadShape("All is well", PHASES, judge(True)),
        "bad": LoadShape("Too slow", [LoadPhase("all", "systems.shop.shapes:hello", at_once=5)], judge(False)),
    },
)
"""
SALE = """
VISITORS = "systems.booking_rush.flash_sale:buyers"

def buyers(sale, tokens, pay):
    for number in range(sale["seats"]):
        yield buy()

def buy():
    yield "reserve", "GET", "/api/v1/hello", None, {}

async def prepare(works, seats):
    return {"seats": seats}

def people(number):
    return []

async def count(books, sale):
    return {"oversold": 0}

async def reconcile(books, sale, report):
    granted = report.answers["reserve"].get(200, 0)
    return ([] if granted != 3 else ["a seat is lost"]), f"{granted} seats"
"""


@pytest.fixture(autouse=True)
def _load(folder: Path) -> None:
    shop = folder / "systems" / "shop"
    (shop / "shapes.py").write_text(SHAPES)
    declared = (shop / "system.py").read_text()
    shaped = declared.replace('System("shop", ', 'System("shop", load_shapes="systems.shop.shapes:SHAPES", ')
    (shop / "system.py").write_text(shaped)
    rush = folder / "systems" / "booking_rush"
    rush.mkdir()
    (rush / "__init__.py").touch()
    (rush / "system.py").write_text(declared)
    (rush / "flash_sale.py").write_text(SALE)


def in_a_terminal(folder: Path, *arguments: str) -> tuple[int, str]:
    """The installed command's exit code, and what it writes to a terminal."""
    ours, its = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "120", "LINES": "50"}
    with subprocess.Popen([COMMAND, *arguments], cwd=folder, env=environment, stdin=its, stdout=its, stderr=its) as run:
        os.close(its)
        written = b""
        try:
            while part := os.read(ours, 65536):
                written += part
        except OSError:
            pass  # that is how a terminal ends
    os.close(ours)
    return run.returncode, written.decode()


# --- load-test --------------------------------------------------------------------------------------------------------


def test_without_a_shape_they_are_listed(freehold: Freehold) -> None:
    done = freehold("load-test", "shop")
    assert (done.returncode, done.stdout) == (0, "good\tAll is well\nbad\tToo slow\n")
    assert json.loads(freehold("load-test", "shop", "--json").stdout) == {"good": "All is well", "bad": "Too slow"}


def test_every_mark_is_told_by_itself(freehold: Freehold) -> None:
    done = freehold("load-test", "shop", "good", "--seconds", "1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "good: All is well",
        "  all: 2 → 4 users for 0.5 s, 20/s for 0.5 s",
        "  visitors x 1, seconds x 1.67 of what is specified",
    ]
    assert lines[3].startswith("phase all  seconds ")
    told = {line[10:].partition(":")[0]: line[:10].strip() for line in lines if line[8:10] == "  "}
    assert told["p95 < 1 s"] == told["all were told"] == told["every event delivered"] == "holds"
    assert told["success"] == "no sense"
    assert lines[-1] == "3 of 3 marks hold"


def test_a_missed_mark_ends_with_1(freehold: Freehold) -> None:
    done = freehold("load-test", "shop", "bad", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert (told["shape"], told["scale"], told["counts"]) == ("bad", 1.0, {"services": 2})
    assert told["load"]["outcomes"] == {"all/hello": {"200": 5}, "all/gone": {"0": 5}}
    assert [mark["name"] for mark in told["marks"] if mark["holds"] is False] == ["p95 < 1 s"]


def test_it_shows_itself_in_a_terminal(folder: Path) -> None:
    code, written = in_a_terminal(folder, "load-test", "shop", "good")
    assert code == 0, written
    assert "Load test" in written
    assert "hello 200" in written
    assert "3 of 3 marks hold" in written


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("shop", "storm"), "shape 'storm': there is none of this name. There are: good, bad"),
        (("broken", "good"), "system shop: has no load shapes. Declare a LoadShapes"),
        (("shop", "good", "--deploy", "prod"), "deploy.prod: there is no freehold.toml here"),
        (("shop", "good", "--scale", "0"), "--scale"),
        (("shop", "good", "--seconds", "601"), "--seconds"),
        (("shop", "good", "--scale", "much"), "--scale"),
    ],
)
def test_what_load_test_refuses(freehold: Freehold, arguments: tuple[str, ...], told: str) -> None:
    done = freehold("load-test", *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


# --- the demo ---------------------------------------------------------------------------------------------------------


def test_the_demo_runs_where_a_deployment_says(freehold: Freehold, folder: Path) -> None:
    (folder / "freehold.toml").write_text('[deploy.here]\ndata = "kept"\n')
    done = freehold("demo", "flash-sale", "--seats", "20", "--deploy", "here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "No seat, no baht and no event is missing: 20 seats"
    assert {path.name for path in folder.glob("kept/**/*.sqlite")} == {"orders_db.sqlite", "auth_db.sqlite"}


def test_the_demo_keeps_nothing_without_a_deployment(freehold: Freehold, folder: Path) -> None:
    assert freehold("demo", "flash-sale", "--seats", "20").returncode == 0
    assert list(folder.rglob("*.sqlite")) == []


def test_the_demo_ends_with_1_when_the_books_do_not_agree(freehold: Freehold) -> None:
    done = freehold("demo", "flash-sale", "--seats", "3")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "MISSING: a seat is lost")
    told = json.loads(freehold("demo", "flash-sale", "--seats", "3", "--json").stdout)
    assert told["missing"] == ["a seat is lost"]


def test_the_demo_draws_a_table_in_a_terminal(folder: Path) -> None:
    code, written = in_a_terminal(folder, "demo", "flash-sale", "--seats", "20")
    assert code == 0, written
    assert "Flash sale" in written
    assert "oversold" in written
    assert "╭" in written
    assert "No seat, no baht and no event is missing: 20 seats" in written
