"""Many concurrent calls on one hot row become one transaction that decides them in order.

The calls of a key gather while the batch before theirs commits: a batch is as large as the load makes it, and a call
that comes alone waits for nothing. Callers who were just answered together often ask again together; the next batch
waits a fraction of a batch's time for them, or a few callers would halve their own throughput: one of them makes a
batch alone, and the others the next. Which calls meet is chance. The function locks the row they contend for, and so
several processes stay correct.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import operator
from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextvars import Context as Variables
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from pydantic import TypeAdapter
from sqlalchemy import Row

from freehold.model.errors import DeclarationError, Unavailable
from freehold.model.problem import Problem
from freehold.model.service import Coalescing
from freehold.observe.metrics import METRICS
from freehold.runtime import faultpoints
from freehold.runtime.context import Context
from freehold.runtime.injection import bind
from freehold.runtime.once import Identity, KeyRefused, Once, Stored
from freehold.runtime.transaction import MisuseError, Tx

if TYPE_CHECKING:
    from freehold.runtime.host import Host


@dataclass(slots=True, eq=False)
class _Call:
    """One caller's call and the future it waits on, which is cancelled when the caller leaves."""

    argument: Any
    once: Once | None
    answer: asyncio.Future[Any]
    arrived: float

    def settle(self, answer: Any) -> None:
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


COME_BACK = 0.25
"""The share of a batch's time that the next one waits for those who were in it."""
LONGEST_COME_BACK = 0.005
"""Seconds, at most."""
FEW = 32
"""With more callers than this some are on their way while others are decided, and the one hides the other's time."""
_Leader = tuple[_Call, Once]
"""The first call of its key in a batch, and that key."""


@dataclass(slots=True)
class _Lane:
    """The calls of one key that wait for their batch; it exists while there are any.

    Args:
        enough: with so many calls the next batch starts at once.
        until: when it starts with fewer, on the loop's clock.
    """

    enough: int
    until: float
    waiting: deque[_Call] = field(default_factory=deque)
    full: asyncio.Event = field(default_factory=asyncio.Event)


class _RollBack(Exception):
    """Carries, as its cause, a Problem that keeps effects out of a batch whose other calls it must not speak for."""


class Coalescer:
    """The queue of one coalesced function in this process.

    Args:
        host: the running service.
        declared: what `@service.coalesced` made of the function.
    """

    def __init__(self, host: Host, declared: Coalescing) -> None:
        self._host = host
        self._declared = declared
        self._work = host.work()
        self._function = bind(declared.function)
        self._lanes: dict[Hashable, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False

    async def call(self, argument: Any, context: Context, once: Once | None = None) -> Any:
        """The answer to this call, decided together with others of its key.

        A caller that is cancelled before its batch starts leaves no trace; afterwards the effects stay. The batch
        speaks for all its callers and so runs in nobody's context: what the function needs of it is in `argument`.

        Raises the answer when it is an exception, and what the function raises for this call alone. With `once`, a call
        that was answered before gets that answer; KeyRefused when its key came with another call.
        """
        if self._draining:
            raise Unavailable(f"{self._declared.name}: this process is shutting down")
        loop = asyncio.get_running_loop()
        call = _Call(argument, once, loop.create_future(), loop.time())
        key = self._declared.key(argument)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = self._open(call)
            # Without the first caller's context variables: its trace and log fields are not those of the others.
            task = loop.create_task(self._serve(key, lane), context=Variables())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        lane.waiting.append(call)
        if len(lane.waiting) >= lane.enough:
            lane.full.set()
        return await call.answer

    async def drain(self) -> None:
        """Take no more calls and answer those that wait."""
        self._draining = True
        for lane in self._lanes.values():
            lane.full.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- which calls meet ---------------------------------------------------------------------------------------------

    def _open(self, first: _Call) -> _Lane:
        """A lane for a call that finds none: it waits for others only where `max_wait` says so."""
        return _Lane(
            self._declared.max_batch if self._declared.max_wait else 1, first.arrived + self._declared.max_wait
        )

    async def _serve(self, key: Hashable, lane: _Lane) -> None:
        """Batch after batch until nobody waits, and nobody comes back who was just answered."""
        batch: Sequence[_Call] = ()
        try:
            while True:
                await self._gather(lane)
                batch = self._take(lane)
                if not batch:
                    break
                began = asyncio.get_running_loop().time()
                await self._decide(batch)
                self._expect(lane, len(batch), began)
                # Those just answered may have more to ask: they come before the next batch is taken.
                await asyncio.sleep(0)
        finally:
            del self._lanes[key]
            for call in (*batch, *lane.waiting):
                call.answer.cancel()  # only when this task was cancelled is one of them still open

    def _expect(self, lane: _Lane, answered: int, began: float) -> None:
        """After a batch: everybody who was in it may come back, for a while that is short beside what it took."""
        now = asyncio.get_running_loop().time()
        if self._declared.max_wait:
            lane.until = lane.waiting[0].arrived + self._declared.max_wait if lane.waiting else now
        else:
            together = answered + len(lane.waiting)
            lane.enough = min(together, self._declared.max_batch) if together <= FEW else 1
            lane.until = now + min((now - began) * COME_BACK, LONGEST_COME_BACK)

    async def _gather(self, lane: _Lane) -> None:
        """Until enough calls wait, or it has been long enough."""
        if len(lane.waiting) >= lane.enough or self._draining:
            return
        lane.full.clear()
        try:
            async with asyncio.timeout_at(lane.until):
                await lane.full.wait()
        except TimeoutError:
            pass

    def _take(self, lane: _Lane) -> Sequence[_Call]:
        """The next batch, without those who left."""
        batch: list[_Call] = []
        while lane.waiting and len(batch) < self._declared.max_batch:
            call = lane.waiting.popleft()
            if not call.answer.done():
                batch.append(call)
        return batch

    # --- one batch ----------------------------------------------------------------------------------------------------

    async def _decide(self, calls: Sequence[_Call]) -> None:
        """Answer every one of the calls; whatever fails them all is divided until the failing call stands alone."""
        try:
            answers = await self._work.run(lambda tx: self._transact(calls, tx))
        except Exception as raised:
            error = raised.__cause__ if isinstance(raised, _RollBack) else raised
            if len(calls) == 1:
                calls[0].settle(await self._alone(calls[0], error))
            elif self._concerns_all(error):
                for call in calls:
                    call.settle(error)
            else:
                middle = len(calls) // 2
                await self._decide(calls[:middle])
                await self._decide(calls[middle:])
            return
        faultpoints.reach("coalesced.after_commit")
        METRICS.coalesced(self._host.service.name, self._declared.name, len(calls))
        for call, answer in zip(calls, answers, strict=True):
            call.settle(answer)

    def _concerns_all(self, error: BaseException | None) -> bool:
        """Smaller batches would fail just the same, or make it worse."""
        if error is None or isinstance(error, MisuseError | Unavailable):
            return True
        return self._host.engine.is_unavailable(error) or self._host.engine.is_conflict(error)

    async def _transact(self, calls: Sequence[_Call], tx: Tx) -> Sequence[Any]:
        """Inside the transaction: decide the calls that were not answered before, each key once."""
        onces = [call.once for call in calls if call.once is not None]
        recorded = await self._host.idempotency.recall(tx, onces) if onces else {}
        leaders: dict[Identity, _Leader] = {}
        fresh: list[_Call] = []
        for call in calls:
            once = call.once
            if once is not None:
                identity = once.identity
                if identity in recorded or identity in leaders:
                    continue
                leaders[identity] = call, once
                once.replayed = False
            fresh.append(call)
        decided = dict(zip(fresh, await self._apply(fresh, tx), strict=True))
        if leaders:
            self._record(leaders.values(), decided, tx)
        faultpoints.reach("coalesced.before_commit")
        return [
            decided[call]
            if call.once is None or call in decided
            else self._repeated(call.once, recorded, leaders, decided)
            for call in calls
        ]

    async def _apply(self, calls: Sequence[_Call], tx: Tx) -> Sequence[Any]:
        if not calls:
            return ()
        try:
            answers = await self._function([call.argument for call in calls], tx)
        except Problem as problem:
            if not problem.keep:
                raise
            if len(calls) > 1:
                raise _RollBack from problem
            return (problem,)
        if not isinstance(answers, Sequence) or len(answers) != len(calls):
            given = len(answers) if isinstance(answers, Sequence) else type(answers).__name__
            raise MisuseError(
                f"{self._declared.name} was given {len(calls)} calls and returned {given} answers: "
                "return one for each call, in their order; an exception for a call that is refused"
            )
        return answers

    # --- idempotency --------------------------------------------------------------------------------------------------

    def _record(self, leaders: Iterable[_Leader], decided: Mapping[_Call, Any], tx: Tx) -> None:
        answers = ((once, decided[call]) for call, once in leaders)
        stored = [
            (once, self._stored(once, answer))
            for once, answer in answers
            if isinstance(answer, Problem) or not isinstance(answer, Exception)
        ]
        self._host.idempotency.record(tx, stored)

    def _stored(self, once: Once, answer: Any) -> Stored:
        if isinstance(answer, Problem):
            return Stored.of(answer)
        return Stored(once.status, self._answer_type.dump_json(answer, by_alias=True, round_trip=True))

    def _read(self, stored: Stored) -> Any:
        return stored.problem() if stored.status >= 400 else self._answer_type.validate_json(stored.body)

    def _repeated(
        self,
        once: Once,
        recorded: Mapping[Identity, Row[Any]],
        leaders: Mapping[Identity, _Leader],
        decided: Mapping[_Call, Any],
    ) -> Any:
        """What a call is answered whose key was used before, or by an earlier call of this batch."""
        if once.identity in recorded:
            try:
                return self._read(self._host.idempotency.replay(once, recorded[once.identity]))
            except KeyRefused as refusal:
                return refusal
        leader, first = leaders[once.identity]
        if first.fingerprint != once.fingerprint:
            return KeyRefused.reused()
        once.replayed = True
        return decided[leader]

    async def _alone(self, call: _Call, error: BaseException | None) -> Any:
        """What a call is answered for which the function, or the commit, raised."""
        once, idempotency = call.once, self._host.idempotency
        if once is None:
            return error
        try:
            if isinstance(error, Problem):
                return self._read(await idempotency.refuse(self._work, once, error))
            if error is not None and self._host.engine.is_duplicate(error):
                first = await idempotency.find(once)
                return error if first is None else self._read(first)
        except Exception as refusal:
            return refusal
        return error

    @functools.cached_property
    def _answer_type(self) -> TypeAdapter[Any]:
        """One call's answer, from `-> Sequence[Answer | Problem]`; exceptions are stored otherwise."""
        returned = inspect.get_annotations(self._declared.function, eval_str=True).get("return")
        members = [member for one in get_args(returned)[:1] for member in (get_args(one) or (one,))]
        kinds = [kind for kind in members if not (isinstance(kind, type) and issubclass(kind, BaseException))]
        if not kinds:
            raise DeclarationError(
                f"{self._host.service.name}.{self._declared.name}",
                "is called with an idempotency key and does not say what it answers",
                "Annotate it like '-> Sequence[Reserved | Problem]'",
            )
        return TypeAdapter(functools.reduce(operator.or_, kinds))
