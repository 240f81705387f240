"""Starts programs, passes on what they write, starts again what dies, and stops all of them in the end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds before a program that died is started again: doubled while it dies young."""
YOUNG = 30.0
STOP_SECONDS = 40.0
LINE_BYTES = 1 << 20

Line = Callable[[str, str], None]
"""Called with a program's name and a line that it wrote."""


@dataclass(frozen=True)
class Program:
    """What to keep running.

    Args:
        name: what its lines are shown under.
        arguments: of the `freehold` command.
        environment: all that it gets.
        descriptors: open files that it inherits.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    descriptors: Sequence[int] = ()


class Misconfigured(Exception):
    """A program ended at its first start with the exit code that says that it was asked wrongly."""


class Supervisor:
    """Keeps programs running until `stop`.

    Each has an open pipe as its standard input, which ends when this process does, however it ends: `freehold serve
    --supervised` stops then. A program that was asked wrongly is not started again when that shows at its first start.

    Args:
        programs: in the order in which they are stopped.
        on_line: told what they write.
    """

    WRONG = 2

    def __init__(self, programs: Sequence[Program], on_line: Line) -> None:
        self._programs = programs
        self._on_line = on_line
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self.deaths: dict[str, int] = {program.name: 0 for program in programs}

    async def run(self) -> None:
        """Until `stop`, then until all have ended, which takes `STOP_SECONDS` at most. Raises Misconfigured."""
        keeping = [asyncio.create_task(self._keep(program), name=program.name) for program in self._programs]
        insisting = asyncio.create_task(self._insist())
        try:
            await asyncio.gather(*keeping)
        finally:
            if not self._stopping.is_set():
                self.stop()
            await asyncio.gather(*keeping, return_exceptions=True)
            insisting.cancel()

    def stop(self) -> None:
        """Ask all programs to finish what is at work and end; a second time, end at once."""
        again = self._stopping.is_set()
        self._stopping.set()
        for process in self._running.values():
            _signal(process, signal.SIGKILL if again else signal.SIGTERM)

    async def _keep(self, program: Program) -> None:
        loop, wait = asyncio.get_running_loop(), FIRST_WAIT
        while not self._stopping.is_set():
            began = loop.time()
            code = await self._run_once(program)
            if self._stopping.is_set():
                return
            if code == self.WRONG and not self.deaths[program.name]:
                raise Misconfigured(program.name)
            self.deaths[program.name] += 1
            wait = FIRST_WAIT if loop.time() - began > YOUNG else min(wait * 2, LONGEST_WAIT)
            self._on_line(program.name, f"it ended with {_told(code)} and starts again in {wait:g} seconds")
            try:
                async with asyncio.timeout(wait):
                    await self._stopping.wait()
            except TimeoutError:
                pass

    async def _run_once(self, program: Program) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "freehold.cli",
            *program.arguments,
            env=dict(program.environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=program.descriptors,
            start_new_session=True,  # Ctrl-C in the terminal is for the supervisor, which asks them once
            limit=LINE_BYTES,
        )
        self._running[program.name] = process
        if self._stopping.is_set():
            _signal(process, signal.SIGTERM)
        try:
            await self._pass_on(program.name, process)
            return await process.wait()
        finally:
            del self._running[program.name]

    async def _pass_on(self, name: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                line = b"(a line that is too long)\n"
            if not line:
                return
            self._on_line(name, line.decode(errors="replace").rstrip("\n"))

    async def _insist(self) -> None:
        await self._stopping.wait()
        await asyncio.sleep(STOP_SECONDS)
        self.stop()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(number)


def _told(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
