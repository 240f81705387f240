"""Queue passes: what somebody whose turn has come shows when reserving seats."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from freehold import Clock, InvalidToken, KeyRing, Problem, TokenExpired, TokenIssuer, TokenVerifier, User
from systems.booking_rush.booking.queue_tables import QueueEntry

ISSUER, PURPOSE = "booking", "queue_pass"
"""As the gateway knows them, too."""
REQUIRED = "QUEUE_PASS_REQUIRED"


class NotAdmitted(Exception):
    """A reservation without the pass that it needs. It is not stored under the request's idempotency key: with a pass,
    the same request may be granted.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Admission:
    """What a buyer shows at the door.

    Args:
        required: whether the event's queue must have let them through.
        pass_id: of the pass that they show, if its signature, owner, event and time are right.
        fault: what is wrong with what they show.
    """

    required: bool = False
    pass_id: UUID | None = None
    fault: Problem | None = None

    @property
    def token_shown(self) -> bool:
        """Whether they show anything, good or bad."""
        return self.pass_id is not None or (self.fault is not None and self.fault.code != REQUIRED)

    def refusal(self, usable: Collection[UUID]) -> NotAdmitted | None:
        """Why they may not pass; None when they may. `usable`: the passes that nobody has used and nothing revoked."""
        if not self.required or self.pass_id in usable:
            return None
        return NotAdmitted(self.fault or pass_expired())


UNGUARDED = Admission()
"""Where no pass is asked for."""


class QueuePasses:
    """Signs and reads passes. What a pass is worth is decided by the entry that it names: it is used once.

    Args:
        ring: booking's own keys.
        clock: where the time comes from.
    """

    def __init__(self, ring: KeyRing, clock: Clock) -> None:
        self._clock = clock
        self._issuer = TokenIssuer(ring, issuer=ISSUER, audience=PURPOSE, clock=clock)
        self._verifier = TokenVerifier(ring, issuer=ISSUER, audience=PURPOSE, clock=clock)

    def of(self, entry: QueueEntry) -> str:
        """The pass of a released entry, which is stored nowhere: it is signed anew whenever its owner looks."""
        if entry.pass_expires_at is None:
            raise ValueError(f"queue entry {entry.id} has no pass")
        claims = {
            "jti": str(entry.id),
            "user_id": str(entry.user_id),
            "event_id": str(entry.event_id),
            "purpose": PURPOSE,
        }
        ttl = int(entry.pass_expires_at.timestamp()) - int(self._clock.now().timestamp())
        return self._issuer.issue_claims(claims, ttl)

    async def admission(self, token: str | None, event_id: UUID, caller: User, *, required: bool) -> Admission:
        """What the caller shows for this event."""
        if not token:
            if not required:
                return UNGUARDED
            return Admission(required, fault=Problem(403, REQUIRED, "Join the event's queue first"))
        try:
            return Admission(required, await self._pass_id(token, event_id, caller))
        except Problem as fault:
            return Admission(required, fault=fault)

    async def _pass_id(self, token: str, event_id: UUID, caller: User) -> UUID:
        try:
            claims = await self._claims(token)
            pass_id, theirs = UUID(claims["jti"]), (claims["user_id"], claims["event_id"])
        except TokenExpired:
            raise pass_expired() from None
        except (InvalidToken, KeyError, ValueError, TypeError, AttributeError):
            raise Problem(403, "INVALID_QUEUE_PASS", "This is not a queue pass") from None
        if theirs != (str(caller.id), str(event_id)):
            raise Problem(403, "QUEUE_PASS_MISMATCH", "The pass is somebody else's, or another event's")
        return pass_id

    async def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            return self._verifier.verify_claims(token)
        except TokenExpired:
            raise
        except InvalidToken:
            await self._verifier.refresh()  # another process may have changed the key
            return self._verifier.verify_claims(token)


def pass_expired() -> Problem:
    """Its time is over, or it was used or revoked."""
    return Problem(403, "QUEUE_PASS_EXPIRED", "The pass is used or its time is over. Join the queue again")
