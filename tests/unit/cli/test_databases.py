"""Commands that open databases: embedded ones, in the project's folder."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from freehold.engines import open_engine
from freehold.model.ids import uuid7
from freehold.model.ports import SystemClock
from freehold.runtime.tables import FrameworkTables
from tests.unit.cli.conftest import Freehold


@pytest.fixture
def dead(freehold: Freehold, folder: Path) -> list[str]:
    """The ids of two dead letters of orders."""
    assert freehold("migrate", "shop").returncode == 0
    now = SystemClock().now()
    rows: list[dict[str, object]] = [
        {
            "id": uuid7(), "direction": "consume", "consumer_name": "mark_paid", "event_id": uuid7(),
            "source": "payments", "event_type": event_type, "version": 1, "topic": "payments",
            "partition_key": "k", "payload": '{"amount": "1.00"}', "headers": {}, "event_time": now, "died_at": now,
            "retry_count": 5, "error": "ValueError: no\nsuch order", "held": False, "status": "dead",
        }
        for event_type in ("payment.completed", "payment.failed")
    ]  # fmt: skip

    async def insert() -> None:
        engine = open_engine(f"sqlite:///{folder}/.freehold/shop/orders_db.sqlite")
        async with engine.write() as connection:
            await connection.execute(FrameworkTables(engine.dialect).dead_letters.insert(), rows)
        await engine.close()

    asyncio.run(insert())
    return [str(row["id"]) for row in rows]


def test_migrate_makes_every_service_its_own_database(freehold: Freehold, folder: Path) -> None:
    done = freehold("migrate", "shop")

    assert done.returncode == 0, done.stderr
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["orders", "auth"]
    assert {path.name for path in folder.glob(".freehold/shop/*.sqlite")} == {"orders_db.sqlite", "auth_db.sqlite"}


def test_migrate_of_one_service_leaves_the_others_alone(freehold: Freehold, folder: Path) -> None:
    assert freehold("migrate", "shop", "auth").returncode == 0
    assert [path.name for path in folder.glob(".freehold/shop/*.sqlite")] == ["auth_db.sqlite"]


def test_an_unknown_service(freehold: Freehold) -> None:
    done = freehold("dead-letters", "list", "shop", "ordrs")

    assert done.returncode == 2
    assert done.stderr == "freehold: service 'ordrs': shop has none of this name. It has: orders, auth\n"


def test_list_is_a_line_for_each(freehold: Freehold, dead: list[str]) -> None:
    lines = freehold("dead-letters", "list", "shop", "orders").stdout.splitlines()

    assert [line.split("\t")[0] for line in lines] == dead
    assert lines[0].endswith("5\tValueError: no such order")


def test_list_for_scripts(freehold: Freehold, dead: list[str]) -> None:
    done = freehold("dead-letters", "list", "shop", "orders", "--type", "payment.failed", "--json")

    [letter] = json.loads(done.stdout)
    assert letter["id"] == dead[1]
    assert json.loads(letter["payload"]) == {"amount": "1.00"}


def test_show_one(freehold: Freehold, dead: list[str]) -> None:
    assert json.loads(freehold("dead-letters", "show", "shop", "orders", dead[0], "--json").stdout)["id"] == dead[0]


def test_replay_and_discard_by_id(freehold: Freehold, dead: list[str]) -> None:
    replayed = freehold("dead-letters", "replay", "shop", "orders", dead[0], "--by", "ann")
    discarded = freehold("dead-letters", "discard", "shop", "orders", dead[1])

    assert (replayed.returncode, replayed.stdout) == (0, f"{dead[0]} replayed\n")
    assert (discarded.returncode, discarded.stdout) == (0, f"{dead[1]} discarded\n")
    assert freehold("dead-letters", "list", "shop", "orders").stdout == ""
    shown = json.loads(freehold("dead-letters", "show", "shop", "orders", dead[0], "--json").stdout)
    assert (shown["status"], shown["resolved_by"]) == ("replayed", "ann")


def test_replay_of_all_of_a_type(freehold: Freehold, dead: list[str]) -> None:
    assert freehold("dead-letters", "replay", "shop", "orders", "--all", "--type", "payment.failed").returncode == 0

    [left] = freehold("dead-letters", "list", "shop", "orders").stdout.splitlines()
    assert left.startswith(dead[0])


def test_discard_of_all(freehold: Freehold, dead: list[str]) -> None:
    done = freehold("dead-letters", "discard", "shop", "orders", "--all")

    assert done.stdout == "2 discarded\n"
    assert freehold("dead-letters", "list", "shop", "orders").stdout == ""


@pytest.mark.parametrize("arguments", [[], ["--all", "0197a1c2-7b1e-7c3a-9f52-0d8a3c1b5e77"]])
def test_which_ones_must_be_clear(freehold: Freehold, arguments: list[str]) -> None:
    done = freehold("dead-letters", "discard", "shop", "orders", *arguments)

    assert done.returncode == 2
    assert "Give either ids or --all" in done.stderr


def test_a_letter_that_is_not_there(freehold: Freehold) -> None:
    done = freehold("dead-letters", "replay", "shop", "orders", "0197a1c2-7b1e-7c3a-9f52-0d8a3c1b5e77")

    assert done.returncode == 1
    assert done.stderr == "freehold: dead letter 0197a1c2-7b1e-7c3a-9f52-0d8a3c1b5e77 was not found\n"


def test_a_system_without_data_sets_says_so(freehold: Freehold) -> None:
    done = freehold("load", "shop", "demo")

    assert done.returncode == 2
    assert "has no data sets" in done.stderr
