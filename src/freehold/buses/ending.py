"""Ending tasks that may have lost a cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN = 1.0
"""Seconds after which a task that goes on is cancelled again."""


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks until they have ended; what they raise is dropped.

    One cancellation is not enough: it is lost when it meets the end of what the task waits for, in `asyncio.wait_for`
    before Python 3.12, which drivers use.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=AGAIN)
    for task in tasks:
        if not task.cancelled():
            task.exception()
