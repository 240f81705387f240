"""A circuit breaker: a service that keeps failing is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from freehold.model.errors import Unavailable


class Breaker:
    """Opens after `failures` failures in a row; after `rest` seconds one call tries whether the service is back.

    Args:
        name: of the service, for the message.
        failures: how many in a row open it.
        rest: seconds that it stays open.
        now: seconds that only grow.
    """

    def __init__(
        self, name: str, *, failures: int = 5, rest: float = 5.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._limit = failures
        self._rest = rest
        self._now = now
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> str:
        """`closed`, `open` (every call is refused) or `half-open` (one call may try)."""
        if self._opened_at is None:
            return "closed"
        return "half-open" if self._now() - self._opened_at >= self._rest else "open"

    @asynccontextmanager
    async def call(self) -> AsyncGenerator[None, None]:
        """Around one call. Raises Unavailable at once while open; inside, Unavailable counts as a failure."""
        state = self.state
        if state == "open" or (state == "half-open" and self._probing):
            raise Unavailable(f"{self._name} failed {self._failures} times in a row and is left alone for a while")
        self._probing = state == "half-open"
        probe = self._probing
        try:
            yield
        except Unavailable:
            self._failed()
            raise
        except Exception:
            self._succeeded()  # a refusal is an answer
            raise
        else:
            self._succeeded()
        finally:
            if probe:
                self._probing = False

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= self._limit:
            self._opened_at = self._now()

    def _succeeded(self) -> None:
        self._failures = 0
        self._opened_at = None
