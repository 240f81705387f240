"""Every way that a saga can take, walked without running it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from freehold.model.saga import FINAL, Saga, Status, is_command
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


def explore(saga: Saga) -> list[Outcome]:
    """Every outcome that differs in status or in what is left, each by its shortest path.

    Each action succeeds, fails for good, fails once and succeeds; each answer comes, refuses or stays out. A saga is
    sound when nothing is left in its compensated outcomes; steps that are left there need an undo.
    """
    once = [replace(step, retries=min(step.retries, 1)) for step in saga.steps]  # more retries open no other way
    machine = SagaMachine(replace(saga, steps=once, former=()), SagaSettings(tries=2))
    begun = machine.begin()
    found: dict[tuple[Status, frozenset[str]], Outcome] = {}
    seen: set[tuple[State, frozenset[str]]] = set()
    queue: deque[tuple[State, frozenset[str], tuple[str, ...]]] = deque([(begun.state, frozenset(), ())])
    while queue:
        state, left, path = queue.popleft()
        if state.status in ENDS:
            names = tuple(step.name for step in saga.steps if step.name in left)
            found.setdefault((state.status, left), Outcome(state.status, names, path))
            continue
        for happening in _possible(machine, state):
            move = machine.decide(state, happening)
            if move is None:
                continue
            node = (replace(move.state, error=None), _left(machine, left, move.notes))
            if node not in seen:
                seen.add(node)
                queue.append((*node, (*path, *_lines(move.notes))))
    return list(found.values())


def _possible(machine: SagaMachine, state: State) -> Iterator[Happening]:
    step, running = machine.step(state), state.status == "running"
    if state.waits_for == "turn":
        yield Succeeded()
        if not is_command(machine.action(state)):
            yield Failed("refuses", again=False)
            yield Failed("raises")
        return
    for event in (step.ok, step.fail) if running else (step.undone,):
        if event is not None:
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
