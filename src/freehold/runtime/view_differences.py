"""What a reconciliation finds: told in logs and metrics without anybody's data."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python

from freehold.observe.metrics import METRICS
from freehold.runtime.view_changes import Key

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not as it should be; `columns` are those that differ."""

    key: Key
    check: str
    columns: Sequence[str] = ()


class Tally:
    """Differences of one view, by check."""

    def __init__(self, service: str, view: str) -> None:
        self._service = service
        self._view = view
        self.counts: dict[str, int] = {}

    def count(self, differences: Iterable[Difference]) -> None:
        """Count and log them, after the transaction that put them right."""
        for found in differences:
            self.counts[found.check] = self.counts.get(found.check, 0) + 1
            METRICS.drifted(self._service, f"{self._view}.{found.check}")
            what = f"{found.check}: {', '.join(found.columns)}" if found.columns else found.check
            log.warning("%s: view %s: %s is %s", self._service, self._view, _name(found.key), what)


def alike(some: Any, other: Any) -> bool:
    """Whether a column has one value in both; JSON comes back from a database as plain values."""
    return bool(some == other or to_jsonable_python(some) == to_jsonable_python(other))


def _name(key: Key) -> str:
    """Ids tell nothing about people; other keys may."""
    return ", ".join(str(part) if isinstance(part, UUID | int) else "…" for part in key)
