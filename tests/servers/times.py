"""Where the servers of a test run came from, and how long that took."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Got:
    """How a server's programs came here.

    Args:
        how: `found`, or `installed`, `fetched` or `built` by this run.
        seconds: what that took.
    """

    how: str = "found"
    seconds: float = 0.0


@dataclass(frozen=True)
class Started:
    """A server that this run started, `seconds` after it had the programs, or why it could not."""

    version: str
    got: Got
    seconds: float
    missing: str = ""


STARTED: list[Started] = []
"""All of them, in order."""

tell: Callable[[str], object] = lambda line: print(line, file=sys.stderr)  # noqa: E731
"""Says at once what takes long; a test run says it beside its dots."""

_here = threading.local()


@contextmanager
def getting(how: str, what: str) -> Iterator[None]:
    """Around what makes a server's programs be here: `with getting("fetched", "Kafka's jars"):`."""
    tell(f"{what}: to be {how}, which may take minutes")
    before: Got = getattr(_here, "got", Got())
    began = time.monotonic()
    try:
        yield
    finally:
        _here.got = Got(how, before.seconds + time.monotonic() - began)


def alone(get: Callable[P, T]) -> Callable[P, T]:
    """What one process at a time does: to install, to fetch or to build. The others find it done."""

    @wraps(get)
    def one_by_one(*args: P.args, **kwargs: P.kwargs) -> T:
        depth = getattr(_here, "depth", 0)
        with (Path(tempfile.gettempdir()) / f"freehold-tests-{os.geteuid()}.lock").open("w") as lock:
            if not depth:
                fcntl.flock(lock, fcntl.LOCK_EX)
            _here.depth = depth + 1
            try:
                return get(*args, **kwargs)
            finally:
                _here.depth = depth

    return one_by_one


def looking() -> float:
    """The moment from which a server's programs are looked for. What this thread did to get others is not of it."""
    _here.got = Got()
    return time.monotonic()


def got() -> Got:
    """What this thread did to get the programs of the server that it starts now."""
    found: Got = getattr(_here, "got", Got())
    _here.got = Got()
    return found


def started(version: str, found: Got, seconds: float) -> None:
    """Note a server that answers, so many seconds after its programs were looked for."""
    STARTED.append(Started(version, found, seconds - found.seconds))


def cache(start: Callable[[], T]) -> Callable[[], T]:
    """One server for all who ask: the first one starts it, others wait; what could not be had is not tried again."""
    lock, ended = threading.Lock(), list[T | Exception]()

    @wraps(start)
    def the_one() -> T:
        with lock:
            if not ended:
                try:
                    ended.append(start())
                except Exception as error:
                    if not any(each.missing == str(error) for each in STARTED):
                        STARTED.append(Started(start.__name__.removesuffix("_url"), got(), 0.0, str(error)))
                    ended.append(error)
            if isinstance(ended[0], Exception):
                raise ended[0]
            return ended[0]

    return the_one


def lines() -> Iterator[str]:
    """A table of them."""
    for each in STARTED:
        if each.missing:
            yield f"{each.version}: MISSING. {each.missing}"
        else:
            how = f"{each.got.how} in {each.got.seconds:.1f} s" if each.got.seconds else each.got.how
            yield f"{each.version:<60} {how:<22} started in {each.seconds:.1f} s"
