"""Sagas as they run: the decisions of `saga_machine`, carried out in the transactions of the events that lead to them.

A step's command leaves through the outbox of the transaction that takes the previous answer; a local step's effects
commit together with the instance's new state; deadlines are rows. So a crash loses nothing and repeats nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import insert

from freehold.model.envelope import Envelope
from freehold.model.errors import DeclarationError
from freehold.model.ids import uuid7
from freehold.model.messages import Event
from freehold.model.problem import Problem
from freehold.model.saga import Saga, is_command
from freehold.model.service import Handler
from freehold.observe.metrics import METRICS
from freehold.runtime import faultpoints
from freehold.runtime.context import Context
from freehold.runtime.failure import describe
from freehold.runtime.host import Host
from freehold.runtime.injection import Bound, bind, takes
from freehold.runtime.outbox import OutboxRow
from freehold.runtime.saga_commands import build_command, command_id, origin_of, same_fields
from freehold.runtime.saga_machine import (
    Answered,
    Failed,
    Move,
    Note,
    Order,
    Overdue,
    Resumed,
    SagaMachine,
    SagaSettings,
    State,
    Succeeded,
)
from freehold.runtime.saga_store import Instance, SagaStore, SagaView, Transition, moved
from freehold.runtime.transaction import MisuseError, Tx
from freehold.runtime.work import Work

log = logging.getLogger(__name__)
INHERITED = ("correlationid", "tenantid", "traceparent")


class StepTimeout(Exception):
    """A local step took longer than its timeout."""


class Sagas:
    """The orchestrator of one service.

    Args:
        host: the running service. A `SagaSettings` that it is given or provides is heeded.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._settings = host.provided.use(SagaSettings) if SagaSettings in host.provided else SagaSettings()
        self._machines: dict[tuple[str, int], SagaMachine] = {}
        self._functions: dict[Any, Bound] = {}
        for saga in host.service.sagas:
            for version in (saga, *saga.former):
                self._machines[saga.name, version.version] = SagaMachine(version, self._settings)
                self._bind(version)
        self._store = SagaStore(host, self._machines)
        self._woken = asyncio.Event()

    def handlers(self) -> list[Handler]:
        """What the consumer group runs for the sagas: one handler for each."""
        return [self._handler(saga) for saga in self._host.service.sagas]

    async def start(self, saga: Saga, data: BaseModel, tx: Tx) -> UUID:
        """Start an instance in this transaction; its id, or that of the instance which the key has already.

        Raises MisuseError when the service does not run the saga, or the data is not of its type.
        """
        if not any(saga is declared for declared in self._host.service.sagas):
            raise MisuseError(f"{self._host.service.name} does not run saga {saga.name}: add it with service.saga(…)")
        if not isinstance(data, saga.data_type):
            raise MisuseError(f"saga {saga.name} starts with {saga.data_type.__name__}, not {type(data).__name__}")
        started = await self._begin(saga, data, tx)
        if started is None:
            present = await self._store.hold_by_key(tx, saga, _key(saga, data))
            assert present is not None  # noqa: S101 - its key was taken a moment ago, in this transaction
            return present.id
        return started

    async def run_due(self, limit: int = 100) -> int:
        """Go on with instances whose time has come; how many. Any number of processes may call it at once.

        Each is worked on in transactions of its own: local steps and undos, timeouts, tries that had to wait. One that
        cannot be worked on now is logged and stays due.
        """
        due = await self._store.due(self._host.clock.now(), limit)
        gate = asyncio.Semaphore(self._settings.parallel)

        async def go_on(saga_id: UUID, headers: Mapping[str, str]) -> None:
            async with gate:
                try:
                    await self._go_on(saga_id, headers)
                except Exception as error:
                    if not (self._host.engine.is_conflict(error) or self._host.engine.is_unavailable(error)):
                        log.exception("%s: saga instance %s cannot go on", self._host.service.name, saga_id)
                    else:
                        log.warning("%s: saga instance %s waits for the database", self._host.service.name, saga_id)

        await asyncio.gather(*(go_on(saga_id, headers) for saga_id, headers in due))
        return len(due)

    async def wait(self, seconds: float) -> None:
        """Until an instance of this process is due at once, or so many seconds have passed."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def resume(self, saga_id: UUID) -> None:
        """Try the undo again that left the instance in need of attention.

        Raises LookupError when there is no such instance, MisuseError when it needs no attention.
        """

        async def resume(tx: Tx) -> None:
            instance = await self._store.hold(tx, saga_id)
            if instance is None:
                raise LookupError(f"{self._host.service.name} has no saga instance {saga_id}")
            move = instance.decide(Resumed(), tx.now())
            if move is None:
                raise MisuseError(f"saga instance {saga_id} is {instance.state.status} and needs no attention")
            await self._advance(tx, instance, move)

        await self._host.work().run(resume)

    # --- for people ---------------------------------------------------------------------------------------------------

    async def get(self, tx: Tx, saga_id: UUID) -> SagaView | None:
        """This instance."""
        return next(iter(await self._store.views(tx, self._host.tables.sagas.c.id == saga_id)), None)

    async def find(self, tx: Tx, saga: Saga | str, key: object) -> SagaView | None:
        """The saga's instance with this key."""
        table, name = self._host.tables.sagas, saga if isinstance(saga, str) else saga.name
        found = await self._store.views(tx, table.c.saga == name, table.c.saga_key == str(key))
        return next(iter(found), None)

    async def instances(
        self, tx: Tx, *, saga: str | None = None, status: str | None = None, limit: int = 50, after: UUID | None = None
    ) -> list[SagaView]:
        """Instances, newest first; `after` is the last id of the page before."""
        table = self._host.tables.sagas
        conditions = [table.c.saga == saga] if saga is not None else []
        conditions += [table.c.status == status] if status is not None else []
        return await self._store.views(tx, *conditions, limit=limit, after=after)

    async def history(self, tx: Tx, saga_id: UUID) -> list[Transition]:
        """What an instance went through, in order."""
        return await self._store.history(tx, saga_id)

    async def unfinished(self, tx: Tx) -> dict[tuple[str, str], int]:
        """How many instances have not ended, by saga and status."""
        return await self._store.unfinished(tx)

    # --- events -------------------------------------------------------------------------------------------------------

    def _bind(self, saga: Saga) -> None:
        for step in saga.steps:
            for action in (step.do, step.undo):
                if action is None or isinstance(action, type):
                    continue
                if takes(action, Work):
                    raise DeclarationError(
                        f"saga {saga.name}, step {step.name!r}",
                        "its function takes a Work, but commits together with the saga's state",
                        "Take a Tx, and make a step of its own of what must lie between two transactions",
                    )
                self._functions[action] = bind(action)

    def _handler(self, saga: Saga) -> Handler:
        async def handle(event: Event, tx: Tx) -> None:
            if type(event) is saga.starts_on and await self._begin(saga, same_fields(saga.data_type, event), tx):
                return
            await self._answer(saga, event, tx)

        return Handler(f"saga.{saga.name}", tuple(saga.listens_to()), handle)

    async def _begin(self, saga: Saga, data: BaseModel, tx: Tx) -> UUID | None:
        saga_id, machine = uuid7(), self._machines[saga.name, saga.version]
        inherited = {name: value for name, value in tx.context.event_headers().items() if name in INHERITED}
        move = machine.begin()
        instance = Instance(
            saga_id, machine, move.state, data, {"correlationid": str(saga_id)} | inherited, None, tx.now()
        )
        if not await self._store.insert(tx, instance, _key(saga, data)):
            return None
        tx.on_commit(lambda: METRICS.saga(self._host.service.name, saga.name, "running"))
        move.notes.insert(0, Note(None, "started"))
        await self._advance(tx, instance, move)
        return saga_id

    async def _answer(self, saga: Saga, event: Event, tx: Tx) -> None:
        instance = await self._store.hold_by_key(tx, saga, _key(saga, event))
        if instance is None:
            return
        causation = tx.context.cause.headers.get("causationid") if tx.context.cause is not None else None
        origin = None if causation is None else origin_of(instance, causation)
        move = instance.decide(Answered(type(event), origin), tx.now())
        if move is None:
            log.debug("saga instance %s does not wait for %s", instance.id, event.__message__.name)
            return
        known = {
            name: getattr(event, name) for name in type(event).model_fields if name in type(instance.data).model_fields
        }
        instance.data = type(instance.data).model_validate(dict(instance.data) | known)
        await self._advance(tx, instance, move)

    # --- due instances ------------------------------------------------------------------------------------------------

    async def _go_on(self, saga_id: UUID, headers: Mapping[str, str]) -> None:
        work = self._host.work(self._context(saga_id, headers))
        while await self._take_turn(work, saga_id):
            pass

    def _context(self, saga_id: UUID, headers: Mapping[str, str]) -> Context:
        """What an instance does by itself is caused by itself, on the trail of what started it."""
        origin = self._host.service.name
        cause = Envelope(saga_id, "saga", 1, origin, "", str(saga_id), self._host.clock.now(), "{}", headers)
        return Context(cause=cause, traceparent=headers.get("traceparent"))

    async def _take_turn(self, work: Work, saga_id: UUID) -> bool:
        """One transaction; False when the instance is no longer due, or in other hands."""
        called: State | None = None

        async def take_turn(tx: Tx) -> bool:
            nonlocal called
            called = None
            instance = await self._store.hold_due(tx, saga_id)
            if instance is None:
                return False
            move: Move | None = None
            if instance.state.waits_for == "answer":
                move = instance.decide(Overdue(), tx.now())
            elif not is_command(instance.machine.action(instance.state)):
                called = instance.state
                move = await self._call(instance, tx)
            await self._advance(tx, instance, move)
            return True

        try:
            return await work.run(take_turn)
        except Exception as error:
            engine = self._host.engine
            lost = engine.is_conflict(error) or engine.is_unavailable(error)
            if called is None or lost:
                raise
            log.info("saga instance %s: a local step failed", saga_id, exc_info=error)
            failed, before = Failed(describe(error), again=not isinstance(error, Problem)), called
            await work.run(lambda tx: self._record_failure(tx, saga_id, before, failed))
            return True

    async def _call(self, instance: Instance, tx: Tx) -> Move | None:
        """Call a local step, or the undo of one, inside the transaction that will keep its outcome."""
        machine, state = instance.machine, instance.state
        step, running = machine.step(state), state.status == "running"
        _reach(running, tx)
        limit = step.limit.total_seconds() if running and step.limit is not None else None
        try:
            async with asyncio.timeout(limit) as timer:
                result = await self._functions[machine.action(state)](instance.data, tx)
        except TimeoutError:
            if timer.expired():
                raise StepTimeout(f"{step.name} took longer than {limit:g} s") from None
            raise
        except Problem as problem:
            if not problem.keep:
                raise
            return instance.decide(Failed(describe(problem), again=False), tx.now())
        if result is not None and not isinstance(result, machine.saga.data_type):
            raise TypeError(
                f"{step.name} returned {type(result).__name__}, not {machine.saga.data_type.__name__} or None"
            )
        instance.data = instance.data if result is None else result
        return instance.decide(Succeeded(), tx.now())

    async def _record_failure(self, tx: Tx, saga_id: UUID, before: State, failed: Failed) -> None:
        """After the failed transaction was rolled back, in a new one: unless another process has gone on meanwhile."""
        instance = await self._store.hold(tx, saga_id)
        if instance is None or instance.machine.order(instance.state) != instance.machine.order(before):
            return
        await self._advance(tx, instance, instance.decide(failed, tx.now()))

    # --- onwards ------------------------------------------------------------------------------------------------------

    async def _advance(self, tx: Tx, instance: Instance, move: Move | None) -> None:
        """Make the move and send what is to be sent, until the instance waits or a function is to be called."""
        now, notes, before = tx.now(), [], instance.state.status
        if move is not None:
            if move.missed is not None:
                await self._keep(move, move.missed, instance, tx)
            moved(instance, move, now)
            notes += move.notes
        while instance.deadline is not None and instance.deadline <= now and self._sends(instance):
            move = instance.decide(self._send(instance, tx), now)
            assert move is not None  # noqa: S101 - an instance whose turn it is always moves
            moved(instance, move, now)
            notes += move.notes
        await self._store.save(tx, instance, notes)
        if instance.state.status != before:
            tx.on_commit(lambda: self._tell(instance))
        if instance.deadline is not None and instance.deadline <= now:
            tx.on_commit(self._woken.set)

    def _tell(self, instance: Instance) -> None:
        saga, state = instance.machine.saga, instance.state
        METRICS.saga(self._host.service.name, saga.name, state.status)
        if state.status == "needs_attention":
            log.error(
                "saga %s, instance %s needs attention at step %r: %s. Remove the cause, then resume it",
                saga.name, instance.id, instance.machine.step(state).name, state.error,
            )  # fmt: skip

    async def _keep(self, move: Move, missed: Order, instance: Instance, tx: Tx) -> None:
        """A command that the saga goes on without stays as a dead letter until somebody replays or discards it."""
        name, now = instance.machine.saga.name, tx.now()
        row = OutboxRow.of(build_command(instance), command_id(instance.id, missed), dict(instance.headers), now)
        error = next(note.detail for note in move.notes if note.what == "skipped")
        letter = {
            "id": uuid7(), "direction": "publish", "consumer_name": f"saga.{name}", "event_id": row.event_id,
            "source": self._host.service.name, **row.message(), "event_time": now, "died_at": now,
            "retry_count": instance.state.attempt, "error": error, "held": False, "status": "dead",
        }  # fmt: skip
        await tx.execute(insert(self._host.tables.dead_letters).values(letter))
        log.warning("saga %s, instance %s goes on without a step: %s", name, instance.id, error)

    @staticmethod
    def _sends(instance: Instance) -> bool:
        return instance.state.waits_for == "turn" and is_command(instance.machine.action(instance.state))

    def _send(self, instance: Instance, tx: Tx) -> Succeeded | Failed:
        """Send the command whose turn it is; a command that cannot be built is a failure of its step."""
        machine, state = instance.machine, instance.state
        order, step = machine.order(state), machine.step(state)
        try:
            command = build_command(instance)
        except Exception as error:
            log.exception("saga instance %s: the command of step %r cannot be built", instance.id, step.name)
            return Failed(describe(error), again=False)
        _reach(state.status == "running", tx)
        headers, undone = dict(instance.headers), machine.tombstone(state)
        if undone is not None and is_command(step.do):
            headers["undoes"] = f"{command_id(instance.id, undone)}/{step.do.__message__.name}"
        tx._enqueue(command, event_id=command_id(instance.id, order), extra=headers)
        return Succeeded()


def _key(saga: Saga, data: BaseModel) -> str:
    return str(getattr(data, saga.key))


def _reach(running: bool, tx: Tx) -> None:
    what = "step" if running else "compensation"
    faultpoints.reach(f"saga.before_{what}")
    tx.on_commit(lambda: faultpoints.reach(f"saga.after_{what}"))
