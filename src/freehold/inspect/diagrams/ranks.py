"""Which rank each node of a layered layout belongs to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

Pairs = Sequence[tuple[str, str]]


def ranks(sizes: Mapping[str, float], pairs: Pairs, *, step: int, limit: float) -> dict[str, int]:
    """A rank for each node, so that no pair has both in one; most pairs lead from a lower rank to a higher one.

    Args:
        sizes: how much of a rank each node fills, in the order in which they are to be looked at.
        pairs: from one node to another; they may lead in circles.
        step: how many ranks lie between the nodes of a pair at least.
        limit: how much a rank should hold at most.
    """
    order = _sequence(list(sizes), pairs)
    at = {name: index for index, name in enumerate(order)}
    forwards = {(one, other) if at[one] < at[other] else (other, one) for one, other in pairs}
    columns = _Columns(sizes, forwards, step, limit)
    paired = {name for pair in forwards for name in pair}
    columns.fill([name for name in order if name in paired])
    columns.draw_in([name for name in order if name in paired])
    columns.scatter([name for name in order if name not in paired])
    last = max(columns.of.values(), default=0)
    return {name: last - columns.of[name] for name in sizes}


class _Columns:
    """Ranks counted from the end, and how full they are; `of` says which one each node has."""

    def __init__(self, sizes: Mapping[str, float], forwards: set[tuple[str, str]], step: int, limit: float) -> None:
        self.of: dict[str, int] = {}
        self._sizes = sizes
        self._step = step
        self._limit = limit
        self._filled: dict[int, float] = defaultdict(float)
        self._after: dict[str, set[str]] = defaultdict(set)
        self._before: dict[str, set[str]] = defaultdict(set)
        for one, other in forwards:
            self._after[one].add(other)
            self._before[other].add(one)

    def fill(self, order: Sequence[str]) -> None:
        """Put each node as near to the end as its successors and the room let it."""
        for name in reversed(order):
            column = max((self.of[other] + self._step for other in self._after[name]), default=0)
            while self._filled[column] and not self._has_room(column, name):
                column += self._step
            self._put(name, column)

    def draw_in(self, order: Sequence[str]) -> None:
        """Move what has more predecessors than successors next to the last of them, which makes its links shorter."""
        for name in order:
            if len(self._before[name]) > len(self._after[name]):
                column = min(self.of[other] for other in self._before[name]) - self._step
                if column > self.of[name] and self._has_room(column, name):
                    self._filled[self.of[name]] -= self._sizes[name]
                    self._put(name, column)

    def scatter(self, alone: Sequence[str]) -> None:
        """Put nodes without links where there is most room."""
        for name in alone:
            roomy = [column for column in sorted(self._filled) if self._has_room(column, name)]
            new = max(self._filled, default=-self._step) + self._step
            self._put(name, min(roomy, key=self._filled.__getitem__) if roomy else new)

    def _has_room(self, column: int, name: str) -> bool:
        return self._filled[column] + self._sizes[name] <= self._limit

    def _put(self, name: str, column: int) -> None:
        self.of[name] = column
        self._filled[column] += self._sizes[name]


def _sequence(names: list[str], pairs: Pairs) -> list[str]:
    """The nodes in a line along which few pairs lead backwards (Eades, Lin and Smyth's heuristic)."""
    left, first, last = dict.fromkeys(names), list[str](), list[str]()
    edges = set(pairs)
    while left:
        out = {name: sum(source == name for source, _ in edges) for name in left}
        into = {name: sum(target == name for _, target in edges) for name in left}
        sink = next((name for name in reversed(left) if not out[name]), None)
        source = next((name for name in left if not into[name]), None)
        chosen = sink or source or max(left, key=lambda name: out[name] - into[name])
        (last if chosen == sink else first).append(chosen)
        del left[chosen]
        edges = {pair for pair in edges if chosen not in pair}
    return first + last[::-1]
