"""Which cells of the matrix a run has, and how it shows what became of them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import product

import pytest

from tests.matrix import (
    BUSES,
    ENGINES,
    NOTHING,
    Case,
    Table,
    chosen,
    faults,
    few,
    pairwise,
    restrictions,
    suite,
    variant,
)


def cases(
    test: str, *, buses: tuple[str, ...] = BUSES, variants: tuple[str, ...] = ("",), row: str = "G1"
) -> list[Case]:
    return [Case(test, (row,), *cell) for cell in product(ENGINES, buses, variants)]


def taken(given: list[Case]) -> list[Case]:
    return [given[n] for n in sorted(pairwise(dict(enumerate(given))))]


def test_each_test_meets_two_databases_and_two_buses_and_each_guarantee_every_engine_on_every_bus() -> None:
    rows = ("G1", "G2")
    run = taken([case for row in rows for n in range(12) for case in cases(f"test {row} {n}", row=row)])
    for name in {case.test for case in run}:
        its = [case for case in run if case.test == name]
        assert len(its) == 2
        assert len({case.engine.partition("-")[0] for case in its}) == len({case.bus for case in its}) == 2
    met = [sum((*case.rows, case.engine, case.bus) == cell for case in run) for cell in product(rows, ENGINES, BUSES)]
    assert min(met) >= 1
    assert max(met) <= 3


def test_a_guarantee_of_few_tests_is_tried_everywhere() -> None:
    run = taken(cases("one"))
    assert {(case.engine, case.bus) for case in run} == set(product(ENGINES, BUSES))


def test_a_single_test_meets_what_is_nowhere_else() -> None:
    given = [*cases("one"), Case("kafka's own", ("G2",), NOTHING, "kafka")]
    assert given[-1] in taken(given)


def test_other_parameters_are_spread_over_the_engines() -> None:
    run = taken(cases("one", buses=(NOTHING,), variants=tuple("abcdef")))
    assert len(run) == 6
    assert {case.variant for case in run} == set("abcdef")
    assert {case.engine for case in run} == set(ENGINES)


@pytest.mark.parametrize(
    ("id", "rest"),
    [
        ("sqlite-local-TimeoutError-None", "TimeoutError-None"),
        ("postgres-schemas-kafka-10", "10"),
        ("5-mariadb", "5"),
        ("mariadb", ""),
        ("postgres-databases-rabbitmq-postgres", "postgres"),
    ],
)
def test_a_variant_is_what_the_id_says_beside_engine_and_bus(id: str, rest: str) -> None:
    engine = next(kind for kind in ENGINES if kind in id)
    bus = next((kind for kind in BUSES if kind in id), NOTHING)
    assert variant(id, engine, bus) == rest


def collected(*arguments: str) -> list[str]:
    """What a usual run has of this, as pytest collects it."""
    environment = {name: value for name, value in os.environ.items() if name != "FREEHOLD_MATRIX"}
    command = [sys.executable, "-m", "pytest", *arguments, "--collect-only"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return [line for line in told.splitlines() if line.startswith("tests/")]


def test_a_test_with_many_variants_has_few_cells() -> None:
    """With all the ways in which pytest numbers parameters."""
    cells = collected("tests/conformance/test_parking_edges.py", "-k", "a_handler_whose_gateway_is_away")
    assert len(ENGINES) * len(BUSES) <= len(cells) < 2 * len(ENGINES) * len(BUSES), cells


def test_a_scenario_that_is_played_on_another_stage_has_cells_there_and_at_home() -> None:
    home, away = (f"tests/systems/booking_rush/{name}.py" for name in ("test_scenarios_main", "test_processes"))
    cells = collected(home, away, "-k", "scenario_2_last_seat")
    assert {cell.partition("::")[0] for cell in cells} == {home, away}
    assert f"{away}::test_scenario_2_last_seat[kafka]" in cells


def test_the_same_tests_have_the_same_cells_each_time() -> None:
    given = [case for n in range(20) for case in cases(f"test {n}", variants=("a", "b"))]
    assert taken(given) == taken(given)


def test_a_full_run_has_every_cell() -> None:
    given = [case for n in range(3) for case in cases(f"test {n}")]
    assert chosen(given, full=True) == set(range(len(given)))
    assert len(chosen(given, full=False)) < len(given)


@pytest.mark.parametrize(("engines", "full", "count"), [((2, 4), False, 2), ((2, 4), True, 4), ((1, 2), False, 1)])
def test_a_whole_system_runs_on_as_many_engines_as_it_says(engines: tuple[int, int], full: bool, count: int) -> None:
    names = [f"test {n}" for n in range(40)]
    given = [Case(name, ("booking_rush",), engine, engines=engines) for name in names for engine in ENGINES]
    run = [given[n] for n in chosen(given, full=full)]
    for name in names:
        met = {case.engine for case in run if case.test == name}
        assert len(met) == count
        assert count == 1 or "sqlite" in met
    assert {case.engine for case in run} == set(ENGINES)


def test_three_engines_are_three_databases() -> None:
    for number in range(20):
        one, two, three = few(f"test {number}", ENGINES, 3)
        assert one == "sqlite"
        assert {two.partition("-")[0], three.partition("-")[0]} == {"postgres", "mariadb"}
    assert set(few("test", ENGINES, 4)) == set(ENGINES)
    assert few("test", ["mariadb"], 1) == ["mariadb"]


def test_a_test_that_is_not_everywhere_must_say_why() -> None:
    some = [replace(case, only="mariadb") for case in cases("one")]
    assert restrictions(some)[1] == ["one"]
    assert faults(some) == ["one: say by tests.matrix.on_engines or on_buses why it is not everywhere"]
    told = [replace(case, why="it locks") for case in some]
    assert restrictions(told) == ({("it locks", "mariadb"): 1}, [])
    assert faults(told) == []


@pytest.mark.parametrize(
    "case", [Case("tests/conformance/test_x.py::a", ("conformance",), "sqlite", engines=(2, 4)), Case("a", ("G11",))]
)
def test_a_test_of_conformance_must_name_a_guarantee(case: Case) -> None:
    assert faults([case]) == [f'{case.test}: name its guarantee by pytest.mark.guarantee("G1")']


def test_the_table_tells_what_failed_what_was_left_out_and_what_there_is_not() -> None:
    table = Table()
    for engine, bus in product(ENGINES, BUSES):
        table.cells["G3", engine, bus].declared = 2
    table.cells["G3", "sqlite", "local"].passed = 2
    table.cells["G3", "mariadb", "kafka"].passed, table.cells["G3", "mariadb", "kafka"].failed = 1, 1
    table.cells["G10", "sqlite", NOTHING].declared = table.cells["G10", "sqlite", NOTHING].passed = 5
    table.cells["G2", NOTHING, "kafka"].declared = table.cells["G2", NOTHING, "kafka"].skipped = 1
    engines, labels, third, tenth, alone, alone_labels, second = (line.split("|") for line in table.lines())
    assert [part.strip() for part in engines] == ["", *ENGINES]
    assert labels[1].split() == ["no", "bus", "local", "rabbitmq", "kafka"]
    assert [part.split() for part in third] == [
        ["G3", "effects", "happen", "once"], ["-", "2", ".", "."], [".", ".", "."], [".", ".", "."], [".", ".", "✗1/2"],
    ]  # fmt: skip
    assert tenth[1].split() == ["5", "-", "-", "-"]
    assert alone[1].strip() == "no engine"
    assert (alone_labels[1].strip(), second[1].strip()) == ("kafka", "s1/1")


def test_suites_are_named_by_their_folder() -> None:
    assert suite("tests/systems/booking_rush/test_queue.py") == "booking_rush"
    assert suite("tests/faults/test_crashes.py") == "faults"
