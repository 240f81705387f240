"""Fixtures that several suites share."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.matrix import BUSES, ENGINES, FULL, PGBOUNCER, Matrix
from tests.servers import mariadb_admin_url, postgres_admin_url
from tests.servers.ahead import Ahead

BEHIND_PGBOUNCER = (
    "tests/conformance/engines",
    "tests/conformance/test_delivery.py",
    "tests/conformance/test_idempotency.py",
    "tests/conformance/test_sagas.py",
    "tests/systems/booking_rush/test_scenarios_main.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With FREEHOLD_MATRIX=full, what a pooler could break runs behind one as well."""
    chosen = metafunc.definition.location[0].startswith(BEHIND_PGBOUNCER)
    named = any("engine_kind" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if FULL and chosen and "engine_kind" in metafunc.fixturenames and not named:
        metafunc.definition.add_marker(pytest.mark.parametrize("engine_kind", [*ENGINES, PGBOUNCER], indirect=True))


def pytest_configure(config: pytest.Config) -> None:
    for mark in (
        'guarantee("G1"): the row of the matrix that the test belongs to',
        "engines(usual, full): on how many engines a whole system's test runs, usually and in a full run",
        "cell(engine=, bus=): the cell of a test that does not ask for engine_kind or bus_kind",
        "only(why): the test does not run on every engine and bus",
    ):
        config.addinivalue_line("markers", mark)
    config.pluginmanager.register(Matrix(), "matrix")
    config.pluginmanager.register(Ahead(), "servers")


def pytest_collection_finish() -> None:
    """What is imported by now stays, and a system that a test starts is large: the collector need not walk so often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A test that runs the command in this process leaves its logging behind."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """An administrator's URL of a PostgreSQL server."""
    return postgres_admin_url()


@pytest.fixture(scope="session")
def mariadb_url() -> str:
    """An administrator's URL of a MariaDB server."""
    return mariadb_admin_url()


@pytest.fixture(params=ENGINES)
def engine_kind(request: pytest.FixtureRequest) -> str:
    """Each way to keep services' data apart."""
    kind: str = request.param
    return kind


@pytest.fixture(params=BUSES)
def bus_kind(request: pytest.FixtureRequest) -> str:
    """Each way of events from one service to another."""
    kind: str = request.param
    return kind


@pytest.fixture
async def databases(engine_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Databases]:
    """Fresh databases of this kind: `engine = await databases.open("orders")`."""
    server = engine_kind.partition("-")[0]
    admin_url = None if server == "sqlite" else request.getfixturevalue(f"{server}_url")
    made = Databases(engine_kind, tmp_path, admin_url)
    yield made
    await made.close()
