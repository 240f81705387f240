"""Rows of the benchmarks: medians over interleaved rounds, and the conditions they were measured under."""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class Row:
    """One result.

    Args:
        name: of the row.
        ours, baseline: medians, in `unit`.
        unit: what was counted.
        against: what the baseline is.
        target: the ratio that is wanted; 0 where one is only stated.
        lower_is_better: the ratio is then baseline / ours.
        details: further figures.
    """

    name: str
    ours: float
    baseline: float
    unit: str
    against: str
    target: float
    lower_is_better: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times better; above 1 is better than the baseline."""
        return self.baseline / self.ours if self.lower_is_better else self.ours / self.baseline

    def document(self, conditions: Mapping[str, Any]) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "conditions": conditions}


Side = Callable[[], Awaitable[Mapping[str, float]]]


async def interleave(sides: Mapping[str, Side], rounds: int) -> dict[str, dict[str, float]]:
    """The median of each figure of each side, the sides taking turns so that a noisy minute hits them all."""
    figures: dict[str, list[Mapping[str, float]]] = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]
        for name in order:
            figures[name].append(await sides[name]())
            await asyncio.sleep(0.2)  # the server's background work of one side is not the other's
    return {name: _median(each) for name, each in figures.items()}


def _median(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(each[key] for each in rounds), 3) for key in rounds[0]}


async def conditions(admin_url: str) -> dict[str, Any]:
    """Under what all this was measured."""
    connection = await asyncpg.connect(admin_url)
    try:
        settings = {name: await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")}
        version = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "python": platform.python_version(),
        "postgresql": version,
        **settings,
        "client": "on the same machine",
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
