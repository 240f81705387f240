"""The matrix: every guarantee on every engine and bus. Which cells a run has, and the table of them at its end.

A test is in the matrix by what it asks for: `engine_kind` (through `databases`) and `bus_kind`; it runs on all of them
unless it says by `on_engines` or `on_buses` on which, and why. Its mark `guarantee("G3")` names its row.

Without FREEHOLD_MATRIX=full a run has pairwise cells: each guarantee meets every engine with every bus, and each of its
tests two databases, two buses and all of its other parameters, in as few cells as possible. Whole systems are not
pairwise: their mark `engines(usual, full)` says on how many engines each test runs.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar

import pytest

FULL = os.environ.get("FREEHOLD_MATRIX") == "full"
"""Whether every test runs in every cell, however long it takes."""

ENGINES = ("sqlite", "postgres-schemas", "postgres-databases", "mariadb")
BUSES = ("local", "rabbitmq", "kafka")
PGBOUNCER = "postgres-pgbouncer"
"""Schemas behind PgBouncer in transaction mode: some files run on it in a full run, too."""
ROWS = {
    "G1": "published if committed",
    "G2": "reaches every consumer",
    "G3": "effects happen once",
    "G4": "order of a key",
    "G5": "nothing is dropped",
    "G6": "own tables only",
    "G7": "sagas end",
    "G8": "views converge",
    "G9": "the same everywhere",
    "G10": "requests happen once",
    "jobs": "one process runs each",
    "coalescing": "many calls, one commit",
    "flags": "one setting, all processes",
    "references": "orphans are found",
}
USUAL = (1, 2)
"""On how many engines a whole system's test runs, usually and in a full run, when it does not say so itself."""
EVERY = (len(ENGINES), len(ENGINES))
AXES = {"database": 2, "bus": 2, "variant": sys.maxsize}
"""How many of each a test of a guarantee meets usually, where it has so many."""
NOTHING = "-"
"""The name of the column of tests that no bus can touch, and of those that need no engine."""

Test = TypeVar("Test", bound=Callable[..., Any])


def on_engines(*kinds: str, why: str) -> Callable[[Test], Test]:
    """The test runs on these engines only. The reason is printed at the end of a run."""
    return _on("engine_kind", kinds, why)


def on_buses(*kinds: str, why: str) -> Callable[[Test], Test]:
    """The test runs on these buses only. The reason is printed at the end of a run."""
    return _on("bus_kind", kinds, why)


def _on(fixture: str, kinds: Sequence[str], why: str) -> Callable[[Test], Test]:
    def declare(test: Test) -> Test:
        return pytest.mark.only(why)(pytest.mark.parametrize(fixture, kinds, indirect=True)(test))  # type: ignore[no-any-return]

    return declare


@dataclass(frozen=True)
class Case:
    """One test in one cell.

    Args:
        test: the function.
        rows: its guarantees; of whole systems and faults, the suite.
        engine: NOTHING when it needs none.
        bus: NOTHING when none touches it.
        variant: its other parameters.
        engines: on how many engines it runs usually and in a full run; None when its cells are pairwise.
        only: the engines or buses that it runs on, when it does not run on all.
        why: the reason for that.
    """

    test: str
    rows: tuple[str, ...]
    engine: str = NOTHING
    bus: str = NOTHING
    variant: str = ""
    engines: tuple[int, int] | None = None
    only: str = ""
    why: str = ""

    @classmethod
    def of(cls, item: pytest.Item) -> Case:
        call = getattr(item, "callspec", None)
        given = call.params if call is not None else {}
        engine, bus = given.get("engine_kind", NOTHING), given.get("bus_kind", NOTHING)
        if fixed := item.get_closest_marker("cell"):
            engine, bus = fixed.kwargs.get("engine", engine), fixed.kwargs.get("bus", bus)
        path = item.nodeid.partition("::")[0]  # where it runs: its function may be of another module
        systems = path.startswith("tests/systems/")
        guarantee, share = item.get_closest_marker("guarantee"), item.get_closest_marker("engines")
        return cls(
            test=f"{path}::{getattr(item, 'originalname', None) or item.name}",
            rows=guarantee.args if guarantee else (suite(path),),
            engine=engine,
            bus=bus,
            variant=variant(call.id, engine, bus) if call is not None else "",
            engines=None if guarantee else (share.args if share else USUAL if systems else EVERY),
            only=", ".join(_kinds(item)),
            why=next((mark.args[0] for mark in item.iter_markers("only")), ""),
        )

    @property
    def in_matrix(self) -> bool:
        return (self.engine, self.bus) != (NOTHING, NOTHING)


def variant(id: str, *kinds: str) -> str:
    """What the id of a test says beside its engine and its bus. The indices of pytest do not tell: they count cells."""
    rest = f"-{id}-"
    for kind in kinds:
        rest = rest.replace(f"-{kind}-", "-", 1)
    return rest.strip("-")


def _kinds(item: pytest.Item) -> Sequence[str]:
    """Where the test runs as its marks say it, whatever else was collected."""
    for mark in item.iter_markers("parametrize"):
        if mark.args[0] in ("engine_kind", "bus_kind") and set(mark.args[1]) != {*ENGINES, PGBOUNCER}:
            return tuple(mark.args[1])
    fixed = item.get_closest_marker("cell")
    return tuple(fixed.kwargs.values()) if fixed and len(fixed.kwargs) == 1 else ()


def suite(path: str) -> str:
    """`booking_rush` of `tests/systems/booking_rush/test_queue.py`, `faults` of `tests/faults/test_crashes.py`."""
    folders = path.split("/")[1:-1]
    return folders[-1] if folders else "tests"


# --- which cells ----------------------------------------------------------------------------------------------------------


def chosen(cases: Sequence[Case], *, full: bool = FULL) -> set[int]:
    """The numbers of the cases that a run has."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        kinds[case.test].add(case.engine)
    taken = {n for n, case in enumerate(cases) if case.engines is not None and _has(case, full=full, among=kinds)}
    # What a broker does is the same behind a pooler.
    twice = {n for n, case in enumerate(cases) if case.engine == PGBOUNCER and case.bus not in (NOTHING, BUSES[0])}
    pairs = [n for n, case in enumerate(cases) if case.engines is None and n not in twice]
    return taken | (set(pairs) if full else pairwise({n: cases[n] for n in pairs}))


def _has(case: Case, *, full: bool, among: Mapping[str, set[str]]) -> bool:
    """Whether a whole system's test runs on this engine."""
    assert case.engines is not None
    return case.engine == PGBOUNCER or case.engine in few(case.test, among[case.test] - {PGBOUNCER}, case.engines[full])


def few(test: str, kinds: Collection[str], many: int) -> Sequence[str]:
    """So many of the engines, chosen by the test's name: different databases before two layouts of one, SQLite first."""
    by_name = sorted(kinds, key=lambda kind: zlib.crc32(f"{test} {kind}".encode()))
    if many > 1:
        by_name.sort(key=lambda kind: kind != ENGINES[0])
        databases = {kind.partition("-")[0]: kind for kind in reversed(by_name)}
        by_name.sort(key=lambda kind: kind not in databases.values())
    return by_name[:many]


def pairwise(cases: dict[int, Case]) -> set[int]:
    """As few cases as meet each (guarantee, engine, bus), and with each test what it needs, spread over the cells."""
    by_test: dict[str, list[int]] = defaultdict(list)
    for n, case in cases.items():
        by_test[case.test].append(n)
    met: Counter[tuple[str, str, str]] = Counter()
    taken: set[int] = set()

    def take(n: int) -> None:
        taken.add(n)
        met.update(_cells(cases[n]))

    for numbers in by_test.values():
        there, had = _values(cases[n] for n in numbers), _values(())

        def new(n: int, there: Values = there, had: Values = had) -> int:
            return sum(
                value not in had[axis] and len(had[axis]) < min(AXES[axis], len(there[axis]))
                for axis, value in _axes(cases[n]).items()
            )

        while new(best := max(numbers, key=lambda n: (new(n), -_times(met, cases[n]), -n))):
            take(best)
            for axis, value in _axes(cases[best]).items():
                had[axis].add(value)
    for n, case in cases.items():
        if any(not met[cell] for cell in _cells(case)):
            take(n)
    return taken


Values = Mapping[str, set[str]]


def _axes(case: Case) -> dict[str, str]:
    return {"database": case.engine.partition("-")[0], "bus": case.bus, "variant": case.variant}


def _values(cases: Iterable[Case]) -> Values:
    each = [_axes(case) for case in cases]
    return {axis: {axes[axis] for axes in each} for axis in AXES}


def _cells(case: Case) -> list[tuple[str, str, str]]:
    return [(row, case.engine, case.bus) for row in case.rows]


def _times(met: Counter[tuple[str, str, str]], case: Case) -> int:
    return sum(met[cell] for cell in _cells(case))


# --- what is not everywhere must say why ------------------------------------------------------------------------------------


def restrictions(cases: Sequence[Case]) -> tuple[dict[tuple[str, str], int], list[str]]:
    """For each reason and where its tests run, how many there are; and the tests that tell no reason."""
    limited = {case.test: (case.why, case.only) for case in cases if case.only and case.engines is None}
    silent = [test for test, (why, _) in limited.items() if not why]
    return dict(Counter(limited.values())), silent


# --- the table ------------------------------------------------------------------------------------------------------------


@dataclass
class Cell:
    """How many tests a cell has, and what became of those that ran."""

    declared: int = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        if wrong := "".join(f"{sign}{count}" for sign, count in (("✗", self.failed), ("s", self.skipped)) if count):
            return f"{wrong}/{self.passed + self.failed + self.skipped}"
        return str(self.passed or ("." if self.declared else "-"))


class Table:
    """What became of each row in each column."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str, str], Cell] = defaultdict(Cell)

    def lines(self) -> Iterator[str]:
        """The table with the engines and then, when buses were tried alone, a second one with them."""
        for engines in ((*ENGINES, PGBOUNCER, "mixed"), (NOTHING,)):
            columns = [column for column in product(engines, (NOTHING, *BUSES)) if self._has(*column)]
            rows = {row for row, engine, _ in self.cells if engine in engines}
            if rows:
                yield from self._lines(sorted(rows, key=_place), columns)

    def _has(self, engine: str, bus: str) -> bool:
        return any((engine, bus) == place[1:] for place in self.cells)

    def _lines(self, rows: Sequence[str], columns: Sequence[tuple[str, str]]) -> Iterator[str]:
        names = [f"{row} {ROWS.get(row, '')}".rstrip() for row in rows]
        found = [[str(self.cells.get((row, *column), Cell())) for column in columns] for row in rows]
        labels = ["no bus" if bus == NOTHING else bus for _, bus in columns]
        widths = [max(map(len, cells)) for cells in zip(labels, *found, strict=True)]
        titles = {engine: "no engine" if engine == NOTHING else engine for engine, _ in columns}
        last = {engine: n for n, (engine, _) in enumerate(columns)}
        for engine, title in titles.items():
            room = sum(width + 2 for (each, _), width in zip(columns, widths, strict=True) if each == engine)
            widths[last[engine]] += max(0, len(title) + 1 - room)
            titles[engine] = f"| {title:<{max(room, len(title) + 1)}}"
        margin = " " * max(map(len, names))
        yield margin + "".join(titles.values())
        for name, cells in zip(["", *names], [labels, *found], strict=True):
            line = f"{name:<{len(margin)}}"
            for n, (cell, width) in enumerate(zip(cells, widths, strict=True)):
                line += "| " * (n == 0 or columns[n][0] != columns[n - 1][0]) + f"{cell:<{width + 2}}"
            yield line


def _place(row: str) -> tuple[int, str]:
    return (list(ROWS).index(row) if row in ROWS else len(ROWS), row)


# --- in pytest --------------------------------------------------------------------------------------------------------------


class Matrix:
    """The plugin: leaves out the cells that this run does not have, and prints the table in its end.

    With several workers (pytest-xdist) each collects all tests and has some of them; the table is the controller's.
    """

    def __init__(self) -> None:
        self._table = Table()
        self._cases: dict[str, Case] = {}
        self._told: dict[tuple[str, str], int] = {}
        self._left = 0
        self._faults: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
        self._faults = faults([Case.of(item) for item in items])
        yield  # others leave out what this run was not asked for
        every = [(item, Case.of(item)) for item in items]
        cases = [case for _, case in every]
        self._told = restrictions(cases)[0]
        kept = chosen(cases)
        for case in cases:
            for cell in _cells(case) if case.in_matrix else ():
                self._table.cells[cell].declared += 1
        config.hook.pytest_deselected(items=[item for n, item in enumerate(items) if n not in kept])
        items[:] = [item for n, item in enumerate(items) if n in kept]
        self._left = len(every) - len(items)
        self._cases = {item.nodeid: case for n, (item, case) in enumerate(every) if n in kept and case.in_matrix}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        report = yield
        if item.nodeid in self._cases:
            report.cells = _cells(self._cases[item.nodeid])
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.passed and report.when != "call":
            return
        for place in getattr(report, "cells", ()):
            cell = self._table.cells[tuple(place)]
            setattr(cell, report.outcome, getattr(cell, report.outcome) + 1)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            declared = [[*place, cell.declared] for place, cell in self._table.cells.items()]
            told = [[*reason, count] for reason, count in self._told.items()]
            output["matrix"] = {"declared": declared, "told": told, "left": self._left, "faults": self._faults}
        if self._faults and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        said = getattr(node, "workeroutput", {}).get("matrix")
        if said is None or self._told:
            return
        for row, engine, bus, count in said["declared"]:
            self._table.cells[row, engine, bus].declared = count
        self._told = {(why, where): count for why, where, count in said["told"]}
        self._left, self._faults = said["left"], said["faults"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not (self._table.cells or self._faults) or terminalreporter.config.option.collectonly:
            return
        terminalreporter.section("matrix")
        for line in self._table.lines():
            terminalreporter.write_line(line, red="✗" in line)
        terminalreporter.write_line(
            "number: tests that passed   ✗2/12: two of twelve failed   .: not in this run   -: no such test"
        )
        for (why, where), count in sorted(self._told.items()):
            terminalreporter.write_line(f"on {where} only: {count} test{'s' * (count > 1)}, because {why}")
        for fault in self._faults:
            terminalreporter.write_line(fault, red=True)
        if self._left:
            terminalreporter.write_line(f"{self._left} cells are left to the full run (FREEHOLD_MATRIX=full)")


def faults(cases: Sequence[Case]) -> list[str]:
    """What is wrong with tests of guarantees: that they name none, or are not everywhere and tell no reason."""
    nameless = {
        c.test for c in cases if c.in_matrix and c.engines is not None and c.test.startswith("tests/conformance/")
    }
    unknown = {c.test for c in cases if c.engines is None and not set(c.rows) <= set(ROWS)}
    return [
        *(f'{test}: name its guarantee by pytest.mark.guarantee("G1")' for test in sorted(nameless | unknown)),
        *(
            f"{test}: say by tests.matrix.on_engines or on_buses why it is not everywhere"
            for test in restrictions(cases)[1]
        ),
    ]
