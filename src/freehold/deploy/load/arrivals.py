"""Visitors that come as a load shape says, each following its script."""

from __future__ import annotations

import asyncio
import itertools
import random
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from time import perf_counter
from typing import Any

from freehold.deploy.load.connections import Connections
from freehold.model.load import (
    LoadAnswer,
    LoadAsk,
    LoadNote,
    LoadPause,
    LoadPhase,
    LoadReport,
    LoadScript,
    LoadStage,
    LoadTimes,
)

EVERY = 0.25
GRACE = 30.0
"""Seconds that answers are waited for after a phase."""
TICK = 0.02
MOST_TASKS = 20_000
"""Visitors at rates who are in the house or wait at its door; one more is turned away, and counted so."""
Write = Callable[[int], LoadScript]


class Arrivals:
    """The visitors of all phases.

    Args:
        connections: how they reach the server.
        show: called every quarter of a second with the phase, what is there, and the answers since the last time.
    """

    def __init__(self, connections: Connections, show: Callable[[str, LoadReport, LoadTimes], None]) -> None:
        self._connections = connections
        self._show = show
        self._numbers = itertools.count()
        self._outcomes: dict[str, Counter[int]] = defaultdict(Counter)
        self._times: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self._recent: list[float] = []
        self._notes: Counter[str] = Counter()
        self._began = perf_counter()

    async def run(self, phases: Sequence[tuple[LoadPhase, Write]]) -> LoadReport:
        """One phase after another; what there was in all."""
        for phase, write in phases:
            showing = asyncio.create_task(self._go_on_showing(phase.name))
            try:
                await self._phase(phase, write)
            finally:
                showing.cancel()
        await self._connections.close()
        return self._load(whole=True)

    async def _phase(self, phase: LoadPhase, write: Write) -> None:
        tasks: set[asyncio.Task[None]] = set()
        for _ in range(phase.at_once):
            self._begin(tasks, self._visit(phase.name, write, perf_counter()))
        for stage in phase.stages:
            if stage.rate:
                await self._arrive(phase.name, stage, write, tasks)
            else:
                await self._crowd(phase.name, stage, write, tasks)
        late = (await asyncio.wait(tasks, timeout=GRACE))[1] if tasks else set()
        for task in late:
            task.cancel()
            self._outcomes[f"{phase.name}/unfinished"][0] += 1

    # --- who comes when -----------------------------------------------------------------------------------------------

    async def _arrive(self, phase: str, stage: LoadStage, write: Write, tasks: set[asyncio.Task[None]]) -> None:
        """At a rate, whether or not the earlier ones have left."""
        began, due = perf_counter(), 0.0
        while due < stage.seconds:
            wait = began + due - perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            if len(tasks) < MOST_TASKS:
                self._begin(tasks, self._visit(phase, write, began + due))
            else:
                self._outcomes[f"{phase}/turned away"][0] += 1
            due += 1 / max(stage.at(due), 0.1)
            if wait <= 0:
                await asyncio.sleep(0)

    async def _crowd(self, phase: str, stage: LoadStage, write: Write, tasks: set[asyncio.Task[None]]) -> None:
        """So many at a time."""
        began = perf_counter()
        crowd: list[asyncio.Event] = []
        while (second := perf_counter() - began) < stage.seconds:
            wanted = round(stage.at(second))
            while len(crowd) < wanted:
                crowd.append(asyncio.Event())
                self._begin(tasks, self._keep_visiting(phase, write, crowd[-1]))
            while len(crowd) > wanted:
                crowd.pop().set()
            await asyncio.sleep(min(TICK, stage.seconds))
        for each in crowd:
            each.set()

    async def _keep_visiting(self, phase: str, write: Write, leave: asyncio.Event) -> None:
        while not leave.is_set():
            await self._visit(phase, write, perf_counter())
            await asyncio.sleep(random.uniform(0.001, 0.010))

    def _begin(self, tasks: set[asyncio.Task[None]], visit: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(visit)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    # --- a visit ------------------------------------------------------------------------------------------------------

    async def _visit(self, phase: str, write: Write, due: float) -> None:
        """Follow a script; the first request's time counts from when it was due."""
        script = write(next(self._numbers))
        answer = LoadAnswer(0, None, {})
        wish = next(script, None)
        while wish is not None:
            match wish:
                case LoadAsk():
                    answer = await self._connections.ask(wish)
                    self._count(f"{phase}/{wish.step}", answer.status, perf_counter() - due)
                case LoadPause(seconds):
                    await asyncio.sleep(seconds)
                case LoadNote(what):
                    self._notes[what] += 1
            due = perf_counter()
            try:
                wish = script.send(answer)
            except StopIteration:
                return

    def _count(self, step: str, status: int, seconds: float) -> None:
        self._outcomes[step][status] += 1
        if status:
            self._times[f"{step} {status}"].append(seconds)
            self._recent.append(seconds)

    # --- telling ------------------------------------------------------------------------------------------------------

    async def _go_on_showing(self, phase: str) -> None:
        while True:
            await asyncio.sleep(EVERY)
            recent, self._recent = self._recent, []
            self._show(phase, self._load(whole=False), _measured(recent))

    def _load(self, *, whole: bool) -> LoadReport:
        times = dict(self._measure()) if whole else {}
        outcomes = {step: dict(seen) for step, seen in self._outcomes.items()}
        return LoadReport(perf_counter() - self._began, outcomes, times, dict(self._notes))

    def _measure(self) -> Iterator[tuple[str, LoadTimes]]:
        together: dict[str, list[float]] = defaultdict(list)
        for key, seconds in self._times.items():
            together[key.rpartition(" ")[0]] += seconds
            yield key, _measured(seconds)
        for step, every in together.items():
            yield step, _measured(every)


def _measured(seconds: Sequence[float]) -> LoadTimes:
    if not seconds:
        return LoadTimes()
    ordered = sorted(seconds)
    p50, p95, p99 = (round(ordered[min(len(ordered) - 1, int(len(ordered) * p))] * 1000, 3) for p in (0.5, 0.95, 0.99))
    return LoadTimes(len(ordered), round(sum(ordered) / len(ordered) * 1000, 3), p50, p95, p99)
