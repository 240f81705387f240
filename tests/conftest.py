"""Fixtures that several suites share."""

from __future__ import annotations

import gc
import logging
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.databases import FULL, KINDS, PGBOUNCER, Databases
from tests.servers import mariadb_admin_url, postgres_admin_url

SERVER_KINDS = tuple(kind for kind in KINDS if kind != "sqlite")
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
        metafunc.definition.add_marker(pytest.mark.parametrize("engine_kind", [*KINDS, PGBOUNCER], indirect=True))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without FREEHOLD_MATRIX=full, each test that runs on every kind runs on SQLite and on one of the server's layouts.

    Which one is chosen by the test's name, so that all are met by every suite. Brokers are met on SQLite. The summary
    counts what was left out.
    """
    if FULL:
        twice = [item for item in items if kind_of(item) == PGBOUNCER and bus_of(item) != "local"]
        config.hook.pytest_deselected(items=twice)  # what a broker does is the same on any engine
        items[:] = [item for item in items if item not in twice]
        return
    every = {(item.location[0], getattr(item, "originalname", ""), kind_of(item)) for item in items}
    kept, left = [], []
    for item in items:
        kind, name = kind_of(item), getattr(item, "originalname", "")
        chosen = SERVER_KINDS[zlib.crc32(name.encode()) % len(SERVER_KINDS)]
        on_all = all((item.location[0], name, each) in every for each in SERVER_KINDS)
        elsewhere = kind in SERVER_KINDS and bus_of(item) != "local"
        (left if kind in SERVER_KINDS and (elsewhere or (on_all and kind != chosen)) else kept).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


def pytest_collection_finish() -> None:
    """What is imported by now stays: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()


def kind_of(item: pytest.Item) -> str:
    """The engine kind that a test runs on; empty for one that needs no database."""
    call = getattr(item, "callspec", None)
    return str(call.params.get("engine_kind", "")) if call is not None else ""


def bus_of(item: pytest.Item) -> str:
    """The bus kind that a test runs on."""
    call = getattr(item, "callspec", None)
    return str(call.params.get("bus_kind", "local")) if call is not None else "local"


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


@pytest.fixture(params=KINDS)
def engine_kind(request: pytest.FixtureRequest) -> str:
    """Each way to keep services' data apart."""
    kind: str = request.param
    return kind


@pytest.fixture
def bus_kind(request: pytest.FixtureRequest) -> str:
    """The local bus; tests that run on others name them."""
    kind: str = getattr(request, "param", "local")
    return kind


@pytest.fixture
async def databases(engine_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Databases]:
    """Fresh databases of this kind: `engine = await databases.open("orders")`."""
    server = engine_kind.partition("-")[0]
    admin_url = None if server == "sqlite" else request.getfixturevalue(f"{server}_url")
    made = Databases(engine_kind, tmp_path, admin_url)
    yield made
    await made.close()
