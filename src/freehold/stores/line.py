"""Waiting lines: who came first is let in first."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody stands.

    Args:
        position: 1 is the next to be let in.
        total: how many stand in the line.
        joined: by this call; False: stood there already, and keeps the place.
    """

    position: int
    total: int
    joined: bool


class Line(Protocol):
    """Waiting lines by name. A line that nobody stands in is no line; nothing of it is kept.

    Every method raises `StoreUnavailable` when the store is away, and may then have been carried out or not. All may be
    called again but `pop`: whom it took out then, nobody learns.
    """

    async def join(self, line: str, member: str) -> Place:
        """Stand behind all others, once: who stands there already keeps the place."""
        ...

    async def position(self, line: str, member: str) -> int | None:
        """1 for the next to be let in; None for somebody who does not stand there."""
        ...

    async def total(self, line: str) -> int:
        """How many stand there."""
        ...

    async def pop(self, line: str, count: int) -> list[str]:
        """Take out the first of the line, at most so many, in their order. No two calls get the same member."""
        ...

    async def leave(self, line: str, member: str) -> bool:
        """Whether the member stood there; now no more."""
        ...

    async def restore(self, line: str, members: Sequence[str]) -> None:
        """Put these at the front, in this order, at once; whoever else stands there keeps the order behind them."""
        ...

    async def forget(self, line: str) -> None:
        """Send everybody home."""
        ...


@dataclass(slots=True)
class _Standing:
    """Members in their order, and the number that each got when it joined."""

    numbers: list[int] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    by_member: dict[str, int] = field(default_factory=dict)

    def place(self, member: str) -> int:
        return bisect_left(self.numbers, self.by_member[member])

    def add(self, member: str) -> None:
        number = self.numbers[-1] + 1 if self.numbers else 1
        self.numbers.append(number)
        self.members.append(member)
        self.by_member[member] = number

    def take(self, start: int, stop: int) -> list[str]:
        taken = self.members[start:stop]
        del self.members[start:stop], self.numbers[start:stop]
        for member in taken:
            del self.by_member[member]
        return taken


class MemoryLine:
    """Waiting lines of this process."""

    def __init__(self) -> None:
        self._lines: dict[str, _Standing] = {}

    async def join(self, line: str, member: str) -> Place:
        standing = self._lines.setdefault(line, _Standing())
        joined = member not in standing.by_member
        if joined:
            standing.add(member)
        return Place(standing.place(member) + 1, len(standing.members), joined)

    async def position(self, line: str, member: str) -> int | None:
        standing = self._lines.get(line)
        return standing.place(member) + 1 if standing is not None and member in standing.by_member else None

    async def total(self, line: str) -> int:
        return len(self._lines[line].members) if line in self._lines else 0

    async def pop(self, line: str, count: int) -> list[str]:
        return self._take(line, 0, count)

    async def leave(self, line: str, member: str) -> bool:
        standing = self._lines.get(line)
        if standing is None or member not in standing.by_member:
            return False
        at = standing.place(member)
        return bool(self._take(line, at, at + 1))

    async def restore(self, line: str, members: Sequence[str]) -> None:
        before = self._lines.pop(line, _Standing())
        standing = self._lines[line] = _Standing()
        for member in dict.fromkeys([*members, *before.members]):
            standing.add(member)
        self._drop_if_empty(line)

    async def forget(self, line: str) -> None:
        self._lines.pop(line, None)

    def _take(self, line: str, start: int, stop: int) -> list[str]:
        standing = self._lines.get(line)
        if standing is None or stop <= start:
            return []
        taken = standing.take(start, stop)
        self._drop_if_empty(line)
        return taken

    def _drop_if_empty(self, line: str) -> None:
        if not self._lines[line].members:
            del self._lines[line]
