"""Watches the statements of running services: nobody touches another's tables, no request writes two databases."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Final, Literal
from weakref import WeakKeyDictionary

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.model.system import System
from freehold.observe.metrics import METRICS
from freehold.observe.sql_tables import DIALECTS, Foreign, TableOwners
from freehold.runtime.context import Context
from freehold.runtime.host import Host
from freehold.runtime.transaction import Tx

Kind = Literal["foreign_table", "two_databases"]
STATEMENTS: Final = 4096
"""How many distinct statements are remembered."""
_WRITES: Final = re.compile(
    r"\s*(insert|update|delete|merge|replace|with\b.*\b(insert|update|delete|merge)\b(?<!for update))", re.I | re.S
)
_log = logging.getLogger("freehold.sql")


@dataclass(frozen=True, slots=True)
class SqlFinding:
    """What a running service did that it must not.

    Args:
        service: whose statement, or whose request, it was.
        kind: `foreign_table` or `two_databases`.
        message: what it did.
        statement: its SQL, without the values.
    """

    service: str
    kind: Kind
    message: str
    statement: str = ""


@dataclass(slots=True)
class Followed:
    """A transaction that is part of a followed request."""

    wrote: bool = False


@dataclass(frozen=True, slots=True)
class _Verdict:
    writes: bool
    foreign: tuple[Foreign, ...]


class SqlDetector:
    """Reports SQL that touches tables of another service, and requests that write more than one service's database.

    Both are told in `findings` and in the log once for each distinct statement, or pair of services, and counted in
    `freehold_ownership_violations_total` every time. A statement is seen even where the database refuses it. What the
    toolkit runs on the driver itself is not seen; a service's own statements all are.

    A request is what a client asked for and what it asked of others meanwhile. What follows later, by an event or in a
    saga, is none of it.

    Args:
        system: whose tables are known.
        share: of the statements and requests that is looked at, from 0 to 1.
        chance: gives numbers from 0 to 1 for that.
    """

    def __init__(self, system: System, share: float = 1.0, *, chance: Callable[[], float] = random.random) -> None:
        self.findings: list[SqlFinding] = []
        self._owners = TableOwners(system)
        self._share = share
        self._chance = chance
        self._judge = lru_cache(maxsize=STATEMENTS)(self._judged)
        self._followed: WeakKeyDictionary[Connection, Followed] = WeakKeyDictionary()
        self._attached: list[tuple[Host, Callable[[], None]]] = []

    def attach(self, hosts: Iterable[Host]) -> None:
        """Watch these services from now on."""
        for host in hosts:
            host.detector = self
            self._attached.append((host, host.engine.watch(partial(self._seen, host))))

    def detach(self) -> None:
        """Watch nothing any more."""
        for host, end in self._attached:
            host.detector = None
            end()
        self._attached.clear()

    def begin(self, context: Context, service: str, *, always: bool = False) -> Context:
        """The context of a request that begins in the service, so that it is followed if its turn comes.

        Args:
            context: of the request, or of anything else, which stays as it is.
            service: that answers it.
            always: whatever the share is; whoever asked has decided.
        """
        begins = context.request_id is not None and context.writes is None
        if not begins or not (always or self._chosen()):
            return context
        return replace(context, writes=RequestWrites(self, service))

    def follow(self, connection: Connection) -> Followed:
        """See whether the transaction that begins on this connection writes."""
        followed = self._followed[connection] = Followed()
        return followed

    def report(self, finding: SqlFinding) -> None:
        """Count it, and tell what was not told before."""
        METRICS.ownership_violated(finding.service, finding.kind)
        if finding not in self.findings:
            self.findings.append(finding)
            _log.error("%s %s", finding.service, finding.message, extra={"statement": finding.statement})

    def _seen(self, host: Host, connection: Connection, statement: str) -> None:
        followed = self._followed.get(connection)
        if followed is None and not self._chosen():
            return
        verdict = self._judge(host.service.name, DIALECTS[host.engine.dialect], statement)
        if followed is not None:
            followed.wrote |= verdict.writes
        for owner, table in verdict.foreign:
            message = f"touches {table}, a table of {owner}"
            self.report(SqlFinding(host.service.name, "foreign_table", message, statement))

    def _judged(self, service: str, dialect: str, statement: str) -> _Verdict:
        return _Verdict(
            _WRITES.match(statement) is not None, tuple(self._owners.foreign(service, statement, [dialect]))
        )

    def _chosen(self) -> bool:
        return self._share >= 1 or self._chance() < self._share


class RequestWrites:
    """The services whose databases one request has written, wherever they run."""

    def __init__(self, detector: SqlDetector, service: str) -> None:
        self.services: list[str] = []
        self._detector = detector
        self._service = service

    def follow(self, tx: Tx, service: str) -> None:
        """Note the service if the transaction writes and commits."""
        followed: list[Followed] = []

        async def opened(connection: AsyncConnection) -> None:
            if connection.sync_connection is not None:
                followed.append(self._detector.follow(connection.sync_connection))

        def committed() -> None:
            if tx.wrote or any(each.wrote for each in followed):
                self.add(service)

        tx.on_open(opened)
        tx.on_commit(committed)

    def add(self, *services: str) -> None:
        """These services committed something for the request."""
        new = [service for service in services if service not in self.services]
        self.services += new
        if new and len(self.services) > 1:
            written = " and ".join(sorted(self.services))
            message = f"answers a request that writes the databases of {written}"
            self._detector.report(SqlFinding(self._service, "two_databases", message))
