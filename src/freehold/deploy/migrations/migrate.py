"""Brings a service's database to where its declarations are: made when it is fresh, else revision by revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.deploy.migrations.declared import declared_tables
from freehold.deploy.migrations.history import History, Revision, history_of, toolkit_history
from freehold.deploy.migrations.schema import Difference, declared_shapes, differences, live_shapes
from freehold.deploy.migrations.standing import Standing, stamp, standing
from freehold.model.errors import ConfigurationError
from freehold.model.ports import Clock, Engine, SystemClock
from freehold.model.service import Service
from freehold.runtime import faultpoints
from freehold.runtime.tables import FrameworkTables


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a pending revision: in words, in SQL, and why processes of the version before could trip over it."""

    text: str
    sql: Sequence[str]
    breaks: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A pending revision of one history."""

    history: str
    revision: Revision
    steps: Sequence[PlannedStep]

    @property
    def contracts(self) -> bool:
        """Whether it must wait until no process of the version before runs."""
        return any(step.breaks for step in self.steps)


class Migrations:
    """A service's two histories on its database: the toolkit's and its own.

    Args:
        service: its declarations.
        engine: its database.
        clock: where the time comes from.
        histories: others than those beside the declarations.
    """

    def __init__(
        self,
        service: Service,
        engine: Engine,
        *,
        clock: Clock | None = None,
        histories: Sequence[History] | None = None,
    ) -> None:
        self.service = service
        self.engine = engine
        self._clock = clock or SystemClock()
        tables = FrameworkTables.of(engine.dialect, service.table_names)
        self._tables, self._versions = tables.metadata, tables.versions
        toolkit, own = histories or (toolkit_history(service), history_of(service))
        self._histories = ((toolkit, self._tables), (own, declared_tables(service)))

    # --- where it is --------------------------------------------------------------------------------------------------

    async def standing(self) -> list[Standing]:
        """How far the toolkit's history has come, and the service's."""
        async with self.engine.read() as connection:
            return [await self._standing(connection, history, tables) for history, tables in self._histories]

    async def plan(self) -> list[Planned]:
        """The pending revisions in their order, and what they would do; nothing is changed."""
        async with self.engine.read() as connection:
            found = [await self._standing(connection, history, tables) for history, tables in self._histories]
            return [
                await connection.run_sync(_planned, each.history, revision)
                for each in found
                for revision in each.pending
            ]

    async def drift(self) -> list[Difference]:
        """How the database differs from what is declared."""

        def compared(connection: Connection) -> list[Difference]:
            declared = {
                name: shape
                for _, tables in self._histories
                for name, shape in declared_shapes(tables, connection.dialect).items()
            }
            return list(differences(declared, live_shapes(connection)))

        async with self.engine.read() as connection:
            return await connection.run_sync(compared)

    # --- on -----------------------------------------------------------------------------------------------------------

    async def start(self, *, automatic: bool) -> None:
        """Before a process uses the database: make what is fresh, and see that nothing is behind.

        Args:
            automatic: run what is pending, what drops something included: no other process uses the database.

        Raises:
            ConfigurationError: it is behind. What only takes away what this code uses no more may wait.
        """
        await self.make()
        pending = [each for each in await self.standing() if each.pending]
        if not pending:
            return
        if automatic:
            await self.migrate(contract=True)
            return
        plan = await self.plan()
        needed = [planned for place, planned in enumerate(plan) if not all(each.contracts for each in plan[place:])]
        if needed:
            raise ConfigurationError(
                f"services.{self.service.name}.database",
                f"{self.engine.url} is {len(needed)} revision{'s' * (len(needed) > 1)} behind "
                f"({', '.join(planned.revision.name for planned in needed)})",
                "Run `freehold migrate`; with --plan it shows first what it would do",
            )

    async def make(self) -> None:
        """Create what a fresh database needs and say so; elsewhere only tables of the toolkit's that are missing.

        A service without a history of its own has its missing tables made, too.
        """
        if any(each.is_fresh or each.steps_done is None for each in await self.standing()):
            async with self.engine.change() as connection:
                for history, tables in self._histories:
                    await self._make(connection, history, tables)
            return
        await self.engine.create(self._tables)
        own, tables = self._histories[1]
        if not own.head:
            await self.engine.create(tables)

    async def migrate(self, *, contract: bool) -> list[Planned]:
        """Run what is pending, a revision at a time; those that were run.

        Whatever ends it, it can be run again: where DDL commits by itself, it goes on behind the last step that is
        done.

        Args:
            contract: also what processes of the version before could trip over. Without, it stops before the first.
        """
        await self.make()
        done: list[Planned] = []
        while True:
            async with self.engine.change() as connection:
                planned = await self._next(connection)
                if planned is None or (planned.contracts and not contract):
                    return done
                await self._run(connection, planned)
            done.append(planned)

    async def _standing(self, connection: AsyncConnection, history: History, tables: MetaData) -> Standing:
        return await standing(connection, self._versions, history, tables)

    async def _make(self, connection: AsyncConnection, history: History, tables: MetaData) -> None:
        found = await self._standing(connection, history, tables)
        if not (found.is_fresh or found.steps_done is None):
            return
        alone = MetaData()
        self._versions.to_metadata(alone)
        await self.engine.make(connection, alone)
        await self._stamp(connection, history, history.head, None)
        await self.engine.make(connection, tables)
        await self._stamp(connection, history, history.head, 0)

    async def _stamp(
        self, connection: AsyncConnection, history: History, revision: str, steps_done: int | None
    ) -> None:
        row = {"history": history.name, "revision": revision, "steps_done": steps_done, "changed_at": self._clock.now()}
        await stamp(connection, self._versions, row)

    async def _next(self, connection: AsyncConnection) -> Planned | None:
        """The first that is pending, as it is now that nobody else can change it."""
        for history, tables in self._histories:
            for revision in (await self._standing(connection, history, tables)).pending:
                return await connection.run_sync(_planned, history, revision)
        return None

    async def _run(self, connection: AsyncConnection, planned: Planned) -> None:
        history, tables = next(each for each in self._histories if each[0].name == planned.history)
        found = await self._standing(connection, history, tables)
        steps = planned.revision.steps(connection.dialect, history.names)
        for number, step in enumerate(steps[found.steps_done or 0 :], (found.steps_done or 0) + 1):
            if not await connection.run_sync(step.is_done):
                await connection.run_sync(step.run)
            faultpoints.reach("migration.step")
            await self._stamp(connection, history, found.revision, number)
        await self._stamp(connection, history, planned.revision.number, 0)


def _planned(connection: Connection, history: History, revision: Revision) -> Planned:
    dialect = connection.dialect
    steps = revision.steps(dialect, history.names)
    return Planned(history.name, revision, [PlannedStep(step.text, step.sql(dialect), step.breaks) for step in steps])
