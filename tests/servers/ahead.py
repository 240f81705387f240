"""The servers that a test run needs: started while the tests that need none run, and listed at its end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests import servers
from tests.matrix import Case
from tests.servers import times

SERVERS: dict[str, Callable[[], str]] = {
    "postgres-schemas": servers.postgres_admin_url,
    "postgres-databases": servers.postgres_admin_url,
    "mariadb": servers.mariadb_admin_url,
    "rabbitmq": servers.rabbitmq_url,
    "kafka": servers.kafka_url,
}
"""By engine and bus."""
ASKED_FOR = {"redis_url": servers.redis_url, "s3_url": servers.s3_url}
"""By the name under which a test's module has them."""


class Ahead:
    """The plugin. One after another, since an installer lets nobody install beside it."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.config.option.collectonly:
            return
        cases = [Case.of(item) for item in session.items]
        needed = dict.fromkeys(SERVERS[kind] for case in cases for kind in (case.engine, case.bus) if kind in SERVERS)
        modules = {item.getparent(pytest.Module).obj for item in session.items}
        needed |= dict.fromkeys(ASKED_FOR[name] for name in ASKED_FOR for module in modules if hasattr(module, name))
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            times.tell = lambda line: reporter.write_line(f"\n{line}")
        threading.Thread(target=_start, args=(list(needed),), name="servers").start()

    def __init__(self) -> None:
        self._lines: list[str] = []

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["servers"] = list(times.lines())

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        said = getattr(node, "workeroutput", {}).get("servers", ())
        self._lines += [f"{node.gateway.id}: {line}" for line in said]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        named = sorted(name for name in os.environ if name.startswith("FREEHOLD_TEST_") and "://" in os.environ[name])
        lines = [*times.lines(), *self._lines]
        if not lines and not named:
            return
        terminalreporter.section("servers")
        for line in lines:
            terminalreporter.write_line(line, red="MISSING" in line)
        for name in named:
            terminalreporter.write_line(f"the server that {name} names was there already")


def _start(needed: list[Callable[[], str]]) -> None:
    for start in needed:
        try:
            start()
        except Exception:
            continue
