"""What a saga does next: a pure function of where it stands and what happened. `sagas` carries it out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from freehold.model.messages import Event
from freehold.model.saga import Action, Saga, Status, Step, is_command

AT_ONCE = timedelta()


@dataclass(frozen=True, slots=True)
class SagaSettings:
    """How patiently sagas are carried out. Provide one to a service to change it.

    Args:
        tries: how often a local undo may fail before the saga needs attention.
        first_wait: seconds before the second try of anything; doubled each time.
        longest_wait: seconds between two tries at most.
        undone_within: how long an undo command may stay unanswered before the saga needs attention. It is not sent
            again by itself: its delivery is certain, and a second one could have a second effect.
        parallel: due instances that one process works on at the same time.
    """

    tries: int = 10
    first_wait: float = 1.0
    longest_wait: float = 300.0
    undone_within: timedelta = timedelta(minutes=15)
    parallel: int = 4

    def backoff(self, tried: int) -> timedelta:
        """How long to wait after so many failed tries."""
        return timedelta(seconds=min(self.first_wait * 2 ** min(tried - 1, 30), self.longest_wait))


@dataclass(frozen=True, slots=True)
class Order:
    """One try of a step's action, or of its undo. Commands are numbered by it, and their answers found again."""

    step: str
    attempt: int
    kind: Literal["do", "undo"] = "do"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a try of a step left behind; `certain` is False when it timed out, so that nobody knows."""

    step: str
    attempt: int
    certain: bool = True


@dataclass(frozen=True, slots=True)
class State:
    """Where an instance stands.

    `waits_for` says whose move it is: its own `turn` (to send a command or to call a function), or an `answer`.
    `effects` are those that can be taken back; the last one goes first. `early` are the names of signals that came
    before their step.
    """

    status: Status = "running"
    step: int = 0
    attempt: int = 1
    waits_for: Literal["turn", "answer"] | None = "turn"
    effects: tuple[Effect, ...] = ()
    early: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The turn was taken: the command is on its way, or the function returned."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn failed without an effect. `again`: another try may succeed."""

    error: str
    again: bool = True


@dataclass(frozen=True, slots=True)
class Answered:
    """An event came that may be an answer; `origin` is the command that caused it, where that is known."""

    event: type[Event]
    origin: Order | None = None


@dataclass(frozen=True, slots=True)
class Overdue:
    """No answer came in time."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Somebody looked after what needed attention."""


Happening = Succeeded | Failed | Answered | Overdue | Resumed


@dataclass(frozen=True, slots=True)
class Note:
    """A line of an instance's history."""

    step: str | None
    what: str
    detail: str | None = None


@dataclass(slots=True)
class Move:
    """The next state, what to write down, and when the instance is due again: after `due_in`, never when it is None.

    `left` is what is left of the saga's deadline, `missed` the order by which a command that was skipped may be given
    after all.
    """

    state: State
    left: timedelta | None = None
    due_in: timedelta | None = None
    keeps_deadline: bool = False
    notes: list[Note] = field(default_factory=list)
    missed: Order | None = None

    def to(self, due_in: timedelta | None, **changes: object) -> None:
        """Change the state and set when it is due."""
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]  # the callers name State's own fields
        self.due_in = due_in


class SagaMachine:
    """Decides for one version of a saga."""

    def __init__(self, saga: Saga, settings: SagaSettings = SagaSettings()) -> None:
        self.saga = saga
        self._settings = settings
        self._index = {step.name: index for index, step in enumerate(saga.steps)}

    def begin(self) -> Move:
        """A new instance."""
        move = Move(State(), self.saga.limit)
        self._enter(move, 0)
        return move

    def step(self, state: State) -> Step:
        """The step that is carried out or undone."""
        return self.saga.steps[state.step]

    def order(self, state: State) -> Order:
        """What the instance does, or has an answer outstanding for."""
        return Order(self.step(state).name, state.attempt, "do" if state.status == "running" else "undo")

    def action(self, state: State) -> Action | None:
        """The command or function that carries the order out; None while a signal is awaited."""
        step = self.step(state)
        return step.do if state.status == "running" else step.undo

    def tombstone(self, state: State) -> Order | None:
        """The command that may arrive after its own undo: the undo must keep it from having an effect then.

        None where the effect is certain, since the command has arrived.
        """
        effect = state.effects[-1] if state.effects and state.status != "running" else None
        if effect is None or effect.certain or not is_command(self.step(state).do):
            return None
        return Order(effect.step, effect.attempt)

    def orders(self, state: State) -> Iterator[Order]:
        """Every order whose command an instance in this state may have sent."""
        for step in self.saga.steps:
            if is_command(step.do):
                yield from (Order(step.name, n) for n in range(1, step.retries + 2))
            if is_command(step.undo):
                last = max(self._settings.tries, state.attempt)
                yield from (Order(step.name, n, "undo") for n in range(1, last + 1))

    def decide(self, state: State, happened: Happening, left: timedelta | None = None) -> Move | None:
        """What follows; None when it changes nothing: late, repeated and foreign happenings are harmless.

        Args:
            state: where the instance stands.
            happened: what came about.
            left: of the saga's deadline; below zero when it is over, None when there is none.
        """
        move = Move(state, left)
        match happened:
            case Succeeded() if state.waits_for == "turn":
                self._succeeded(move)
            case Failed(error, again) if state.waits_for == "turn":
                self._failed(move, error, again)
            case Overdue() if state.waits_for == "answer":
                self._overdue(move)
            case Answered(event, origin):
                return self._answered(move, event, origin)
            case Resumed() if state.status == "needs_attention":
                move.notes.append(Note(self.step(state).name, "resumed"))
                move.to(AT_ONCE, status="compensating", attempt=state.attempt + 1, waits_for="turn")
            case _:
                return None
        return move

    # --- what happened ------------------------------------------------------------------------------------------------

    def _succeeded(self, move: Move) -> None:
        state, step = move.state, self.step(move.state)
        if not is_command(self.action(state)):
            self._done(move) if state.status == "running" else self._undone(move)
        elif state.status == "running":
            move.notes.append(Note(step.name, "sent"))
            move.to(self._patience(step, move), waits_for="answer")
        elif step.undone is None or self.tombstone(state):  # an undo that finds nothing to undo is not answered
            self._undone(move)
        else:
            move.notes.append(Note(step.name, "undo sent"))
            move.to(self._settings.undone_within, waits_for="answer")

    def _failed(self, move: Move, error: str, again: bool) -> None:
        state, step = move.state, self.step(move.state)
        running = state.status == "running"
        move.notes.append(Note(step.name, "failed" if running else "undo failed", error))
        wait = self._settings.backoff(state.attempt)
        if running and step.between_tries is not None:
            wait = step.between_tries
        in_time = move.left is None or wait <= move.left
        if (again and in_time and state.attempt <= step.retries) if running else state.attempt < self._settings.tries:
            move.to(wait, attempt=state.attempt + 1, waits_for="turn")
        elif running:
            self._give_up(move, error, again_as=state.attempt + 1 if state.waits_for == "answer" else None)
        else:
            self._need_attention(move, error, waits_for=None)

    def _overdue(self, move: Move) -> None:
        state, step = move.state, self.step(move.state)
        if state.status == "running":
            error = f"{step.name}: no answer in time"
            move.notes.append(Note(step.name, "timed out"))
            self._keep_effect(move, certain=False)
            self._give_up(move, error, again_as=state.attempt)  # its delivery may be late: it must not become two
        else:
            self._need_attention(move, f"undo of {step.name}: no answer in time", waits_for="answer")

    def _answered(self, move: Move, event: type[Event], origin: Order | None) -> Move | None:
        state, step = move.state, self.step(move.state)
        if state.status != "running":
            expected = origin is None or (origin.step == step.name and origin.kind == "undo")
            if state.waits_for != "answer" or event is not step.undone or not expected:
                return None
            self._undone(move)
        elif state.waits_for == "answer" and event in (step.ok, step.fail) and origin in (None, self.order(state)):
            self._take(move, event)
        elif origin is None and event.__message__.name not in state.early and self._comes_later(state, event):
            move.notes.append(Note(None, "early", event.__message__.name))
            move.to(None, early=(*state.early, event.__message__.name))
            move.keeps_deadline = True
        else:
            return None
        return move

    def _take(self, move: Move, event: type[Event]) -> None:
        if event is self.step(move.state).ok:
            self._done(move)
        else:
            # Only a command can be given once more; a signal that says no has said it.
            again = self.action(move.state) is not None
            self._failed(move, f"{self.step(move.state).name}: {event.__message__.name}", again)

    def _comes_later(self, state: State, event: type[Event]) -> bool:
        """Topics have no order between them, so a signal may overtake the answer that the instance still waits for."""
        return any(step.do is None and event in (step.ok, step.fail) for step in self.saga.steps[state.step + 1 :])

    # --- where it leads -----------------------------------------------------------------------------------------------

    def _enter(self, move: Move, index: int) -> None:
        if index == len(self.saga.steps):
            move.notes.append(Note(None, "completed"))
            move.to(None, status="completed", waits_for=None)
            return
        step = self.saga.steps[index]
        if step.do is not None:
            move.to(AT_ONCE, step=index, attempt=1, waits_for="turn")
            return
        move.to(self._patience(step, move), step=index, attempt=1, waits_for="answer")
        signals = {event.__message__.name: event for event in (step.fail, step.ok) if event is not None}
        came = next((name for name in move.state.early if name in signals), None)
        if came is not None:
            move.state = replace(move.state, early=tuple(name for name in move.state.early if name != came))
            self._take(move, signals[came])

    @staticmethod
    def _patience(step: Step, move: Move) -> timedelta | None:
        """How long the step's answer is awaited. A step that begins after the deadline has its own time, if any."""
        if move.left is None:
            return step.limit
        if move.left > AT_ONCE:
            return move.left if step.limit is None else min(step.limit, move.left)
        return AT_ONCE if step.limit is None else step.limit

    def _done(self, move: Move) -> None:
        move.notes.append(Note(self.step(move.state).name, "done"))
        self._keep_effect(move, certain=True)
        self._enter(move, move.state.step + 1)

    def _keep_effect(self, move: Move, *, certain: bool) -> None:
        step, state = self.step(move.state), move.state
        if step.undo is not None:
            move.state = replace(state, effects=(*state.effects, Effect(step.name, state.attempt, certain)))

    def _give_up(self, move: Move, error: str, *, again_as: int | None) -> None:
        step = self.step(move.state)
        if not step.critical:
            if again_as is not None and is_command(step.do):
                move.missed = Order(step.name, again_as)
            move.notes.append(Note(step.name, "skipped", error))
            self._enter(move, move.state.step + 1)
            return
        move.notes.append(Note(step.name, "turned back", error))
        move.to(None, status="compensating", error=error)
        self._turn_back(move)

    def _turn_back(self, move: Move) -> None:
        effects = move.state.effects
        if effects:
            move.to(AT_ONCE, step=self._index[effects[-1].step], attempt=1, waits_for="turn")
        else:
            move.notes.append(Note(None, "compensated"))
            move.to(None, status="compensated", waits_for=None)

    def _undone(self, move: Move) -> None:
        move.notes.append(Note(self.step(move.state).name, "undone"))
        move.to(None, status="compensating", effects=move.state.effects[:-1])
        self._turn_back(move)

    def _need_attention(self, move: Move, error: str, waits_for: Literal["answer"] | None) -> None:
        move.notes.append(Note(self.step(move.state).name, "needs attention", error))
        move.to(None, status="needs_attention", waits_for=waits_for, error=error)
