"""A saga as data: steps that go forward one after another, and undo themselves in reverse when one cannot."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeGuard

from pydantic import BaseModel

from freehold.model.errors import DeclarationError
from freehold.model.messages import Command, Event

Action = type[Command] | Callable[..., Any]
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

Status = Literal["running", "compensating", "completed", "compensated", "needs_attention"]
FINAL: frozenset[str] = frozenset({"completed", "compensated"})


def duration(text: str | float | timedelta) -> timedelta:
    """`"30s"`, `"10m"`, `"1.5h"`, seconds as a number, or a timedelta. Raises ValueError on anything else."""
    if isinstance(text, timedelta):
        return text
    if isinstance(text, int | float):
        return timedelta(seconds=text)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", text)
    if not match:
        raise ValueError(f"{text!r} is not a duration; write it like '30s', '10m' or '1.5h'")
    return timedelta(seconds=float(match[1]) * UNITS[match[2]])


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a saga.

    Args:
        name: unique within the saga.
        do: a command for another service; or a local function `async def (data, tx) -> data | None` that runs in this
            service's transaction; or None to wait for `ok` or `fail` as a signal.
        ok: the event that says the step is done. Needed unless `do` is local.
        fail: the event that says it was refused. A local step refuses by raising.
        undo: a command or local function that takes the step's effect back.
        undone: the event that answers the undo command; None goes on at once, trusting delivery.
        timeout: how long the step may take, like `"30s"`; None waits for ever (a check warns).
        retries: how often a local step that raises something other than a Problem runs again, and how often a refused
            command is sent again, before the saga turns back.
        pause: how long it waits before each of these tries, like `"10s"`; None waits for longer and longer.
        critical: False lets the saga go on when the step fails; a command that was sent in vain is kept as a dead
            letter of this service.
        build: makes the command from the saga's data; by default fields are taken by name.
    """

    name: str
    do: Action | None = None
    ok: type[Event] | None = None
    fail: type[Event] | None = None
    undo: Action | None = None
    undone: type[Event] | None = None
    timeout: str | float | timedelta | None = None
    retries: int = 0
    pause: str | float | timedelta | None = None
    critical: bool = True
    build: Callable[[Any], Command] | None = None

    @property
    def local(self) -> bool:
        """Whether the step is a function of this service."""
        return self.do is not None and not is_command(self.do)

    @property
    def limit(self) -> timedelta | None:
        """`timeout` as a timedelta."""
        return None if self.timeout is None else duration(self.timeout)

    @property
    def between_tries(self) -> timedelta | None:
        """`pause` as a timedelta."""
        return None if self.pause is None else duration(self.pause)


@dataclass(frozen=True)
class Saga:
    """A flow over several services that ends completed, compensated or in somebody's attention, never half done.

    Args:
        name: unique in a system.
        key: the field, in the data and in every answering event, that finds the instance.
        steps: in order.
        starts_on: the event that starts an instance; None: `tx.start(saga, data)` does.
        data: the pydantic model of what the saga knows; the starting event's class when None. Fields of answering
            events with the same names are merged into it.
        deadline: how long the whole may take on its way forward, like `"60s"`. Past it no answer is awaited and nothing
            tried again, but a step that only then has its turn still gets one try. None: as long as its steps do.
        version: raised when the steps change; running instances finish on theirs, so keep the old one in `former`.
        former: earlier versions whose instances may still run.
    """

    name: str
    key: str
    steps: Sequence[Step]
    starts_on: type[Event] | None = None
    data: type[BaseModel] | None = None
    deadline: str | float | timedelta | None = None
    version: int = 1
    former: Sequence[Saga] = ()

    def __post_init__(self) -> None:
        where = f"saga {self.name}"
        if not self.steps:
            raise DeclarationError(where, "has no steps", "Give it at least one")
        if self.data is None and self.starts_on is None:
            raise DeclarationError(
                where, "has neither starts_on nor data", "Say which event starts it, or what data it has"
            )
        if self.key not in self.data_type.model_fields:
            raise DeclarationError(
                where,
                f"key {self.key!r} is not a field of {self.data_type.__name__}",
                "Name one of its fields",
            )
        try:
            _ = self.limit
        except ValueError as error:
            raise DeclarationError(where, f"deadline: {error}", "Use '30s', '10m' or '1.5h'") from error
        seen: set[str] = set()
        for step in self.steps:
            self._check(step, f"{where}, step {step.name!r}", seen)

    def _check(self, step: Step, where: str, seen: set[str]) -> None:
        if step.name in seen:
            raise DeclarationError(where, "another step has the same name", "Names tell steps apart in the history")
        seen.add(step.name)
        if step.local and (step.ok or step.fail):
            raise DeclarationError(
                where, "is a local function and waits for an event too", "Make the wait a step of its own"
            )
        if not step.local and step.ok is None:
            raise DeclarationError(where, "does not say which event tells that it is done", "Give ok=…")
        for event in filter(None, (step.ok, step.fail, step.undone)):
            if self.key not in event.model_fields:
                raise DeclarationError(
                    where,
                    f"{event.__message__.name} has no field {self.key!r}",
                    "Answers are matched to the saga by that field",
                )
        try:
            _ = step.limit
        except ValueError as error:
            raise DeclarationError(where, f"timeout: {error}", "Use '30s', '10m' or '1.5h'") from error
        try:
            _ = step.between_tries
        except ValueError as error:
            raise DeclarationError(where, f"pause: {error}", "Use '30s', '10m' or '1.5h'") from error

    @property
    def limit(self) -> timedelta | None:
        """`deadline` as a timedelta."""
        return None if self.deadline is None else duration(self.deadline)

    @property
    def data_type(self) -> type[BaseModel]:
        """The model of the saga's data."""
        chosen = self.data or self.starts_on
        assert chosen is not None  # noqa: S101 - __post_init__ refused it
        return chosen

    def listens_to(self) -> list[type[Event]]:
        """Every event that moves an instance of this or a former version, each once."""
        found: dict[type[Event], None] = {}
        for saga in (self, *self.former):
            found |= dict.fromkeys(filter(None, [saga.starts_on]))
            for step in saga.steps:
                found |= dict.fromkeys(e for e in (step.ok, step.fail, step.undone) if e is not None)
        return list(found)

    def of_version(self, version: int) -> Saga:
        """The definition that an instance of this version runs on."""
        return next(saga for saga in (self, *self.former) if saga.version == version)


def is_command(action: object) -> TypeGuard[type[Command]]:
    """Whether a step's action is a command rather than a local function."""
    return isinstance(action, type) and issubclass(action, Command)
