"""How far a group has come in one partition: never further than its lowest unfinished message."""

from __future__ import annotations

from collections import deque


class Progress:
    """Offsets that were begun, in their order, and those of them that are finished, in any order."""

    def __init__(self) -> None:
        self.position: int | None = None
        """The offset to commit: everything below it is finished. None until something is."""
        self._begun: deque[int] = deque()
        self._finished: set[int] = set()

    @property
    def unfinished(self) -> int:
        """How many messages are begun and not finished."""
        return len(self._begun) - len(self._finished)

    @property
    def span(self) -> int:
        """How many messages there are from the lowest unfinished one on: what a crash would deliver again."""
        return len(self._begun)

    def begin(self, offset: int) -> None:
        """Offsets come in rising order."""
        self._begun.append(offset)

    def finish(self, offset: int) -> None:
        """Finish what was begun; `position` moves when it was the lowest."""
        self._finished.add(offset)
        while self._begun and self._begun[0] in self._finished:
            lowest = self._begun.popleft()
            self._finished.remove(lowest)
            self.position = lowest + 1
