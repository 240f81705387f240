"""Every way that a saga can take, walked without running it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from freehold.model.messages import Event
from freehold.model.saga import FINAL, Saga, Status, Step, is_command
from freehold.runtime.saga_machine import (
    Answered,
    Failed,
    Happening,
    Note,
    Overdue,
    SagaMachine,
    SagaSettings,
    State,
    Succeeded,
)

ENDS = FINAL | {"needs_attention"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a saga can end.

    Args:
        status: completed, compensated or needs_attention.
        left: the steps whose effect stands (or may stand) in the end, by name. A signal has one only if it has an undo.
        path: the shortest way there, as `step: what happened`.
    """

    status: Status
    left: tuple[str, ...]
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a saga stays for ever: the step, and the shortest way there."""

    step: str
    path: tuple[str, ...]


@dataclass(slots=True)
class Walk:
    """What all the ways of a saga come to.

    Args:
        outcomes: every end that differs in status or in what is left.
        stops: the steps that wait for what cannot come.
        reached: the steps that some way comes to, by name.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)


def explore(saga: Saga) -> list[Outcome]:
    """Every outcome that differs in status or in what is left, each by its shortest path.

    A saga is sound when nothing is left in its compensated outcomes; steps that are left there need an undo.
    """
    return walk(saga).outcomes


def walk(saga: Saga, *, can_come: Callable[[Step, type[Event]], bool] = lambda step, event: True) -> Walk:
    """Take every way once.

    Each action succeeds, fails for good, fails once and succeeds; each answer comes, refuses or stays out.

    Args:
        saga: its former versions are walked by themselves.
        can_come: whether an answer to the step is ever given; True for every one by default.
    """
    once = [replace(step, retries=min(step.retries, 1)) for step in saga.steps]  # more retries open no other way
    machine = SagaMachine(replace(saga, steps=once, former=()), SagaSettings(tries=2))
    begun = machine.begin()
    walked = Walk()
    found: dict[tuple[Status, frozenset[str]], Outcome] = {}
    stopped: dict[str, Stop] = {}
    seen: set[tuple[State, frozenset[str]]] = set()
    queue: deque[tuple[State, frozenset[str], tuple[str, ...]]] = deque([(begun.state, frozenset(), ())])
    while queue:
        state, left, path = queue.popleft()
        if state.status in ENDS:
            names = tuple(step.name for step in saga.steps if step.name in left)
            found.setdefault((state.status, left), Outcome(state.status, names, path))
            continue
        if state.status == "running":
            walked.reached.add(machine.step(state).name)
        moves = [machine.decide(state, happening) for happening in _possible(machine, state, can_come)]
        if not any(moves):
            name = machine.step(state).name
            stopped.setdefault(name, Stop(name, path))
        for move in filter(None, moves):
            node = (replace(move.state, error=None), _left(machine, left, move.notes))
            if node not in seen:
                seen.add(node)
                queue.append((*node, (*path, *_lines(move.notes))))
    walked.outcomes, walked.stops = list(found.values()), list(stopped.values())
    return walked


def _possible(machine: SagaMachine, state: State, can_come: Callable[[Step, type[Event]], bool]) -> Iterator[Happening]:
    step, running = machine.step(state), state.status == "running"
    if state.waits_for == "turn":
        yield Succeeded()
        if not is_command(machine.action(state)):
            yield Failed("refuses", again=False)
            yield Failed("raises")
        return
    for event in (step.ok, step.fail) if running else (step.undone,):
        if event is not None and can_come(step, event):
            yield Answered(event)
    if step.limit is not None or machine.saga.limit is not None or not running:
        yield Overdue()


def _left(machine: SagaMachine, left: frozenset[str], notes: Sequence[Note]) -> frozenset[str]:
    leaves = {step.name for step in machine.saga.steps if step.do is not None or step.undo is not None}
    for note in notes:
        if note.what == "undone" and note.step:
            left -= {note.step}
        elif note.what in ("done", "timed out") and note.step in leaves:
            left |= {note.step}
    return left


def _lines(notes: Sequence[Note]) -> tuple[str, ...]:
    return tuple(f"{note.step}: {note.what}" if note.step else note.what for note in notes)
