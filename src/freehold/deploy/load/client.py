"""Visitors over keep-alive connections to this machine: tens of thousands of requests a second from one process."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, Protocol, cast

END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"
EVERY = 0.25
GRACE = 30.0
"""Seconds that answers are waited for after the end."""


class Visitor(Protocol):
    """Somebody who sends one request after the other.

    `step` is what the present one is for, as reports count it.
    """

    step: str

    def first(self) -> bytes:
        """The first request."""
        ...

    def then(self, status: int, body: bytes) -> bytes | None:
        """The next request after this answer; None: that was all."""
        ...


@dataclass(slots=True)
class Report:
    """What happened until now.

    Args:
        seconds: since the first request.
        answers: how many there were, by step and status.
        lost: connections that broke with a request under way.
        rate: answers per second since the report before; in the last report, over all.
        p50, p99: milliseconds from request to answer, over the same time.
        last: nothing follows.
    """

    seconds: float
    answers: dict[str, dict[int, int]]
    lost: int
    rate: float
    p50: float
    p99: float
    last: bool = False

    def document(self) -> dict[str, Any]:
        """For the way between processes."""
        return asdict(self)


@dataclass
class Load:
    """Visitors at work.

    Args:
        host, port: where to.
        visitors: taken one after the other, as connections come free.
        connections: kept open at a time.
        seconds: after so many no further visitor begins.
        report: called every quarter of a second, and in the end.
    """

    host: str
    port: int
    visitors: Iterator[Visitor]
    connections: int
    seconds: float
    report: Callable[[Report], None]

    answers: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter), init=False)
    latencies: list[float] = field(default_factory=list, init=False)
    lost: int = field(default=0, init=False)

    async def run(self) -> None:
        """Until all visitors are through, or time is over. Raises OSError when nobody listens there."""
        self._open = 0
        self._over = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._began = perf_counter()
        opened = await asyncio.gather(
            *(loop.create_connection(lambda: _Connection(self), self.host, self.port) for _ in range(self.connections)),
            return_exceptions=True,
        )
        failed = [each for each in opened if isinstance(each, BaseException)]
        if failed:
            raise failed[0]
        seen, at = 0, self._began
        while not self._over.is_set():
            try:
                async with asyncio.timeout(EVERY):
                    await self._over.wait()
            except TimeoutError:
                now = perf_counter()
                if now - self._began > self.seconds + GRACE:
                    self.lost += self._open
                    break
                self.report(self._picture(self.latencies[seen:], now - at))
                seen, at = len(self.latencies), now
        self.report(self._picture(self.latencies, perf_counter() - self._began, last=True))

    def _picture(self, latencies: list[float], seconds: float, *, last: bool = False) -> Report:
        ordered = sorted(latencies)
        return Report(
            seconds=perf_counter() - self._began,
            answers={step: dict(counted) for step, counted in self.answers.items()},
            lost=self.lost,
            rate=len(ordered) / seconds,
            p50=_percentile(ordered, 0.50),
            p99=_percentile(ordered, 0.99),
            last=last,
        )

    def next_visitor(self) -> Visitor | None:
        """Whoever comes next; None when all came or time is over."""
        return next(self.visitors, None) if perf_counter() - self._began < self.seconds else None

    def opened(self) -> None:
        """A connection began."""
        self._open += 1

    def closed(self, *, busy: bool) -> None:
        """A connection ended, perhaps with a request under way."""
        self._open -= 1
        self.lost += busy
        if self._open == 0:
            self._over.set()


def _percentile(ordered: list[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 3) if ordered else 0.0


class _Connection(asyncio.Protocol):
    """One keep-alive connection with one visitor at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._visitor: Visitor | None = None
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._load.opened()
        self._next()

    def _next(self) -> None:
        self._visitor = self._load.next_visitor()
        if self._visitor is None:
            self._transport.close()
        else:
            self._send(self._visitor.first())

    def _send(self, message: bytes) -> None:
        self._sent_at = perf_counter()
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        end = received.find(END_OF_HEAD)
        if end < 0:
            self._received = received
            return
        body_at = end + len(END_OF_HEAD)
        length_at = received[:end].lower().find(LENGTH)
        length = int(received[length_at + len(LENGTH) : end + 1].split(b"\r", 1)[0]) if length_at >= 0 else 0
        if len(received) < body_at + length:
            self._received = received
            return
        self._received = b""
        self._answered(int(received[9:12]), received[body_at : body_at + length])

    def _answered(self, status: int, body: bytes) -> None:
        load, visitor = self._load, cast("Visitor", self._visitor)
        load.latencies.append(perf_counter() - self._sent_at)
        load.answers[visitor.step][status] += 1
        following = visitor.then(status, body)
        if following is None:
            self._next()
        else:
            self._send(following)

    def connection_lost(self, _: Exception | None) -> None:
        self._load.closed(busy=self._visitor is not None)
