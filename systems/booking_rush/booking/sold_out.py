"""Refusing at once who would be refused anyway, without looking at the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from systems.booking_rush.booking.settings import BookingSettings


@dataclass(slots=True)
class _Seen:
    revision: int
    left: int
    at: datetime
    buyers: frozenset[UUID] | set[UUID] | None


class SoldOutMemory:
    """What this process saw last of zones that had too few seats. It can only refuse; the row alone grants.

    It refuses nobody who ever booked in the zone: theirs may be a repeated request, whose first answer is stored. An
    entry whose buyers are not all known refuses nobody. What other processes give back is overlooked for
    `sold_out_memory_seconds` at most; then an entry lasts only if the live counter is at its revision still. Of several
    things seen, in whatever order they are told, the highest revision of the zone's row counts.
    """

    def __init__(self, settings: BookingSettings) -> None:
        self._lasts = timedelta(seconds=settings.sold_out_memory_seconds)
        self._seen: dict[UUID, _Seen] = {}

    def refuses(self, zone_id: UUID, user_id: UUID, quantity: int, now: datetime) -> bool:
        """Whether the zone's row would refuse this request, as far as it was seen a moment ago."""
        refused_at = self.refused_at(zone_id, user_id, quantity)
        return refused_at is not None and now - self._seen[zone_id].at <= self._lasts

    def refused_at(self, zone_id: UUID, user_id: UUID, quantity: int) -> int | None:
        """The revision of the zone's row that would refuse this request, however long ago it was seen."""
        seen = self._seen.get(zone_id)
        if seen is None or seen.left >= quantity or seen.buyers is None or user_id in seen.buyers:
            return None
        return seen.revision

    def still(self, zone_id: UUID, revision: int, at: datetime) -> None:
        """The zone's row was at this revision still."""
        seen = self._seen.get(zone_id)
        if seen is not None and seen.revision == revision:
            seen.at = max(seen.at, at)

    def buyers(self, zone_id: UUID, revision: int) -> set[UUID] | None:
        """Everybody who booked in the zone up to this revision of its row; None when that is not known here."""
        seen = self._seen.get(zone_id)
        return set(seen.buyers) if seen is not None and seen.revision == revision and seen.buyers is not None else None

    def saw(self, zone_id: UUID, revision: int, left: int, at: datetime, buyers: Iterable[UUID]) -> None:
        """A decision left the zone so, having been booked by these."""
        seen = self._seen.get(zone_id)
        if seen is None or seen.revision <= revision:
            self._seen[zone_id] = _Seen(revision, left, at, set(buyers))

    def forget(self, zone_id: UUID | None = None) -> None:
        """Know nothing of the zone any more, or of any."""
        if zone_id is None:
            self._seen.clear()
        else:
            self._seen.pop(zone_id, None)

    def changed(self, zone_id: UUID, revision: int, left: int) -> None:
        """Seats came back, or the zone grew, and nobody booked."""
        seen = self._seen.get(zone_id)
        if seen is None or seen.revision >= revision:
            return
        contiguous = seen.revision == revision - 1
        self._seen[zone_id] = _Seen(revision, left, seen.at, seen.buyers if contiguous else None)
