"""Load shapes: how many visitors come when, what each does, and what must hold in the end. No I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from freehold.model.access import User
from freehold.model.errors import DeclarationError

# --- what a visitor does ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadAsk:
    """A request of a visitor's script.

    Args:
        step: what it is for, as reports count it.
        method, path, body, headers: the request; `body` becomes JSON.
        patience: seconds until the visitor hangs up; at 0 without reading anything.
    """

    step: str
    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float = 30.0


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """What came back.

    Args:
        status: of HTTP; 0 when nothing came in time, or the connection broke.
        body: decoded JSON; None without any.
        headers: with their names in small letters.
    """

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LoadPause:
    """A visitor does nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class LoadNote:
    """A visitor saw something worth counting."""

    what: str


LoadScript = Generator[LoadAsk | LoadPause | LoadNote, LoadAnswer, None]
"""A visitor: yields what it asks, and gets the answer; a pause or a note gets an answer of status 0."""


# --- how many come when -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadStage:
    """A stretch of time with so many visitors.

    Args:
        seconds: how long.
        users: visitors at a time, each followed by the next one after 1 to 10 ms.
        rate: or else new visitors a second, however slow the answers are.
        to: what `users` or `rate` grows or falls to, evenly; unchanged when None.
    """

    seconds: float
    users: int = 0
    rate: float = 0.0
    to: float | None = None

    def __post_init__(self) -> None:
        if self.seconds <= 0 or (self.users and self.rate) or not (self.users or self.rate or self.to):
            raise DeclarationError(f"stage {self}", "needs seconds, and users or a rate", "Give it one of both")

    def scaled(self, scale: float, stretch: float) -> LoadStage:
        """With `scale` times the visitors in `stretch` times the time; somebody comes in any case."""
        users = max(1, round(self.users * scale)) if self.users else 0
        to = None if self.to is None else self.to * scale
        return LoadStage(self.seconds * stretch, users, self.rate * scale, to)

    def at(self, second: float) -> float:
        """Visitors at a time, or a second, after so many seconds of the stage."""
        first = self.users or self.rate
        return first if self.to is None else first + (self.to - first) * min(1.0, second / self.seconds)

    def __str__(self) -> str:
        unit = "/s" if self.rate else " users"
        first = f"{self.users or self.rate:,g}"
        return f"{first if self.to is None else f'{first} → {self.to:,g}'}{unit} for {self.seconds:,g} s"


@dataclass(frozen=True, slots=True)
class LoadPhase:
    """Visitors of one kind.

    Args:
        name: as reports call it.
        script: `module:function`, called in the client's process with what `prepare` returned, an access token and the
            visitor's number; it returns a `LoadScript`.
        stages: when they come.
        at_once: without stages, so many, all of them at once and each one time.
    """

    name: str
    script: str
    stages: Sequence[LoadStage] = ()
    at_once: int = 0

    def scaled(self, scale: float, stretch: float) -> LoadPhase:
        """With other numbers; those who come at once are what the phase is about, and stay as many."""
        return replace(self, stages=[stage.scaled(scale, stretch) for stage in self.stages])

    @property
    def seconds(self) -> float:
        """Of its stages."""
        return sum(stage.seconds for stage in self.stages)

    def __str__(self) -> str:
        return ", ".join(map(str, self.stages)) or f"{self.at_once:,} at once"


# --- what came of it --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadTimes:
    """Times to an answer, in milliseconds; at a rate from when the visitor was due, not from when a slow system had
    taken the one before.
    """

    count: int = 0
    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What the client saw.

    Args:
        seconds: it took.
        outcomes: how often, by `phase/step` and status; status 0 is no answer.
        times: by `phase/step` for all that were answered, and by `phase/step status` for each.
        notes: by what the scripts noted.
    """

    seconds: float
    outcomes: Mapping[str, Mapping[int, int]]
    times: Mapping[str, LoadTimes]
    notes: Mapping[str, int]

    def count(self, step: str, *statuses: int) -> int:
        """How often a `phase/step` was asked, or answered so."""
        seen = self.outcomes.get(step, {})
        return sum(seen.get(status, 0) for status in statuses) if statuses else sum(seen.values())

    def time(self, step: str, status: int | None = None) -> LoadTimes:
        """Of all answers to a `phase/step`, or of those with a status."""
        return self.times.get(step if status is None else f"{step} {status}", LoadTimes())

    def failures(self) -> int:
        """Server errors, and requests that nobody answered although somebody waited."""
        return sum(count for seen in self.outcomes.values() for status, count in seen.items() if status >= 500)


@dataclass(frozen=True, slots=True)
class LoadMark:
    """Something that must hold.

    Args:
        name: what, with its limit: "p95 < 500 ms".
        found: what was found.
        holds: whether it does; None where it makes no sense, and `found` says why.
        speed: it depends on the machine.
    """

    name: str
    found: str
    holds: bool | None
    speed: bool = False


@dataclass(frozen=True, slots=True)
class LoadShape:
    """A scenario.

    Args:
        title: one line for the list.
        phases: one after another.
        judge: the marks, from what the client saw.
        seats: so many in each zone.
        scale: of the numbers in `phases`, that a laptop bears; `--scale` changes it.
        stretch: of the seconds in `phases`; `--seconds` changes it.
        rate_limits: leave the gateway's on.
        settings: by service, for a private system; a deployment keeps its own.
    """

    title: str
    phases: Sequence[LoadPhase]
    judge: Callable[[LoadReport], Sequence[LoadMark]]
    seats: int = 20_000
    scale: float = 1.0
    stretch: float = 1.0
    rate_limits: bool = False
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def scaled(self, scale: float | None = None, seconds: float | None = None) -> LoadShape:
        """As it is run: with so many times the visitors, in so many seconds in all."""
        scale = self.scale if scale is None else scale
        whole = sum(phase.seconds for phase in self.phases)
        stretch = self.stretch if seconds is None or not whole else seconds / whole
        return replace(
            self, phases=[phase.scaled(scale, stretch) for phase in self.phases], scale=scale, stretch=stretch
        )


@dataclass(frozen=True, slots=True)
class LoadShapes:
    """A system's scenarios, for `freehold load-test`; named in `System(load_shapes="module:NAME")`.

    Args:
        shapes: by name.
        prepare: puts something up for sale: gets each service's `Work` and the seats in a zone, and returns what
            scripts need of it, as JSON can say it.
        people: so many visitors; none where nobody needs a token.
        count: what to show meanwhile, by name; gets something whose `work(service)` is a unit of work, and what
            `prepare` returned.
        reconcile: compares every database once all is quiet: gets the same, and the `Load`; the marks.
    """

    shapes: Mapping[str, LoadShape]
    prepare: Callable[[Mapping[str, Any], int], Awaitable[Mapping[str, Any]]]
    people: Callable[[int], Sequence[User]]
    count: Callable[[Any, Mapping[str, Any]], Awaitable[Mapping[str, int]]]
    reconcile: Callable[[Any, Mapping[str, Any], LoadReport], Awaitable[Sequence[LoadMark]]]
