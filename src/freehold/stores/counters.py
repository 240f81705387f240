"""Live counters: how much is left of something that many want at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

ENDED_SECONDS = 7 * 24 * 3600.0


class Outcome(StrEnum):
    """What became of a call."""

    DONE = "done"
    UNKNOWN_COUNTER = "unknown_counter"
    TOO_FEW = "too_few"
    OVER_LIMIT = "over_limit"
    UNKNOWN_CLAIM = "unknown_claim"
    NOT_CONFIRMED = "not_confirmed"
    ALREADY_RESERVED = "already_reserved"
    ALREADY_CONFIRMED = "already_confirmed"
    ALREADY_RELEASED = "already_released"


@dataclass(frozen=True, slots=True)
class Counted:
    """The answer to a call: anything but DONE changed nothing.

    Args:
        outcome: what became of it.
        left: what the claim's counter holds now; None when it is absent.
    """

    outcome: Outcome
    left: int | None

    @property
    def done(self) -> bool:
        return self.outcome is Outcome.DONE


@dataclass(frozen=True, slots=True)
class Level:
    """What a counter holds.

    Args:
        left: as it says.
        version: the last one that was `set`; 0 when none was.
    """

    left: int
    version: int


@dataclass(frozen=True, slots=True)
class Claim:
    """An open claim, as the truth knows it."""

    id: str
    quantity: int
    holder: str = ""
    status: Literal["reserved", "confirmed"] = "reserved"


class Counters(Protocol):
    """Counters by name, the claims on them by id, and what each holder has in open claims.

    Each call happens whole or not at all, also between processes. A claim is taken once, confirmed once and given back
    once, however often it is asked for; so a call whose answer was lost may be repeated. Counters, open claims and
    holders last until they are forgotten; a claim that has ended is remembered for a week.

    A counter that is absent says so: it may have been lost with the store, which knows no truth. Rebuild it with
    `restore`, or let it follow a truth elsewhere with `set`. Every method raises `StoreUnavailable` when the store is
    away, and may then have been carried out or not.
    """

    @property
    def shared(self) -> bool:
        """Whether all processes see the same counters."""
        ...

    async def reserve(
        self, counter: str, claim: str, quantity: int, *, holder: str = "", limit: int | None = None
    ) -> Counted:
        """Take from the counter under a claim that is new.

        Args:
            counter: what to take from.
            claim: under which it can be confirmed and given back.
            quantity: at least 1.
            holder: in whose name.
            limit: the most that the holder's open claims may come to.

        Returns:
            `ALREADY_…` for a claim that is not new, else `UNKNOWN_COUNTER`, `TOO_FEW`, `OVER_LIMIT` or `DONE`, in this
            order.
        """
        ...

    async def confirm(self, claim: str) -> Counted:
        """From reserved to confirmed. Else `UNKNOWN_CLAIM`, `ALREADY_CONFIRMED` or `ALREADY_RELEASED`."""
        ...

    async def release(self, claim: str) -> Counted:
        """Give back what is reserved. Else `UNKNOWN_CLAIM`, `ALREADY_CONFIRMED` or `ALREADY_RELEASED`."""
        ...

    async def give_back(self, claim: str) -> Counted:
        """Give back what was confirmed. Else `UNKNOWN_CLAIM`, `NOT_CONFIRMED` or `ALREADY_RELEASED`."""
        ...

    async def levels(self, counters: Iterable[str]) -> dict[str, Level]:
        """What each holds; absent ones are missing."""
        ...

    async def held(self, holder: str) -> int:
        """What the holder's open claims come to."""
        ...

    async def add(self, counter: str, difference: int) -> int | None:
        """Add to the counter, or take from it without a claim; what it holds now. None: it is absent and stays so."""
        ...

    async def restore(self, counter: str, left: int, claims: Iterable[Claim] = ()) -> bool:
        """Make an absent counter from the truth; False, and nothing changed, where it is there.

        Claims that are known already stay as they are. The counter comes last: nobody reserves before all claims are
        known, and a restore that broke off may be repeated. Nothing may change the truth meanwhile.
        """
        ...

    async def set(self, counter: str, left: int, version: int) -> bool:
        """Let the counter follow a truth that is kept elsewhere, absent or not.

        Args:
            counter: which one.
            left: what the truth says.
            version: grows with every change of the truth; below 2**53. False, and nothing changed, when the counter
                has seen a higher one.
        """
        ...

    async def forget(
        self, *, counters: Iterable[str] = (), claims: Iterable[str] = (), holders: Iterable[str] = ()
    ) -> None:
        """Know these no longer; what belongs to them stays as it is."""
        ...


def check_reserve(quantity: int, holder: str, limit: int | None) -> None:
    """Raise ValueError for what no counter can mean."""
    if quantity < 1:
        raise ValueError("quantity: must be at least 1")
    if limit is not None and not holder:
        raise ValueError("limit: needs the holder whom it limits")
