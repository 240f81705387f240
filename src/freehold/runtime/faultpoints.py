"""Named places between two lines that touch the world, where a test can make a process die.

`FREEHOLD_CRASH_AT="outbox.before_commit:3"` kills the process (SIGKILL) when it reaches that point for the third time.
A test in the same process sets `on_reach` instead. In production both are absent and a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

POINTS = (
    "commit.before",
    "commit.after",
    "publish.before",
    "publish.after",
    "mark.before",
    "mark.after",
    "inbox.before",
    "inbox.after",
    "handler.before_commit",
    "handler.after_commit",
    "saga.before_step",
    "saga.after_step",
    "saga.before_compensation",
    "saga.after_compensation",
    "job.before",
    "job.after",
    "coalesced.before_commit",
    "coalesced.after_commit",
    "parking.before",
    "parking.after",
    "migration.step",
)

_name, _, _nth = os.environ.get("FREEHOLD_CRASH_AT", "").partition(":")
_left = int(_nth or 1)
_armed: bool = bool(_name)
on_reach: Callable[[str], None] | None = None


def reach(point: str) -> None:
    """Pass a named point; die there when told so."""
    if not _armed and on_reach is None:
        return
    if on_reach is not None:
        on_reach(point)
    if _armed and point == _name:
        _count_down()


def _count_down() -> None:
    global _left  # noqa: PLW0603 - one process, one crash
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
