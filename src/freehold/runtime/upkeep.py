"""The toolkit's own periodic work for a service: saga deadlines, delayed events, backlog gauges, retention."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from freehold.runtime.backlog import measure
from freehold.runtime.delayed import Delayed
from freehold.runtime.host import Host
from freehold.runtime.retention import Retention

log = logging.getLogger(__name__)


class Upkeep:
    """Runs each task at its interval until cancelled. Every process may: the rows decide who does what."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.delayed = Delayed(host)
        self.retention = Retention(host)

    async def run(self) -> None:
        """Until cancelled; a task that fails is logged and tried again at its next turn."""
        async with asyncio.TaskGroup() as group:
            if self._host.service.sagas:
                group.create_task(self._every("saga deadlines", self._host.sagas.run_due, self._host.sagas.wait, 0.25))
            group.create_task(self._every("delayed events", self.delayed.run_due, asyncio.sleep, 0.5))
            group.create_task(self._every("backlog", partial(measure, self._host), asyncio.sleep, 5.0))
            group.create_task(self._every("retention", self.retention.run_due, asyncio.sleep, 60.0))

    async def _every(
        self,
        what: str,
        task: Callable[[], Awaitable[object]],
        pause: Callable[[float], Awaitable[object]],
        seconds: float,
    ) -> None:
        while True:
            try:
                await task()
            except Exception as error:
                if self._host.engine.is_unavailable(error) or self._host.engine.is_conflict(error):
                    log.warning("%s: %s wait for the database", self._host.service.name, what)
                else:
                    log.exception("%s: %s failed", self._host.service.name, what)
            await pause(seconds)
