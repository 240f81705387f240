"""Refresh tokens: random, stored as a hash, replaced at every use; a second use of one gives the family away.

The table belongs to the auth service. A refresh reads the row by `hash_refresh_token`, locked, and acts on `judge`:

    ROTATE   mark the row replaced, insert a new one of the same family, answer with the new token
    REUSED   end every session of the family and answer 401 *keeping* that effect (`Problem(..., keep=True)`):
             either the thief or the victim holds the old token, and nobody can tell which
    EXPIRED, UNKNOWN   answer 401
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple

_BYTES = 32


class RefreshToken(NamedTuple):
    """A new refresh token: `token` for the client and nowhere else, `hash` for the table."""

    token: str
    hash: str

    def __repr__(self) -> str:
        return "RefreshToken(token=…)"


def new_refresh_token(random: Callable[[int], bytes] = secrets.token_bytes) -> RefreshToken:
    """32 random bytes as URL-safe text of 43 characters, with their hash. Good for one-time links by mail too."""
    token = base64.urlsafe_b64encode(random(_BYTES)).rstrip(b"=").decode()
    return RefreshToken(token, hash_refresh_token(token))


def hash_refresh_token(token: str) -> str:
    """SHA-256 as 64 hexadecimal digits: enough for 32 random bytes, which need no salt and no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class RefreshState:
    """What the decision needs to know of a stored token.

    Args:
        expires_at: aware.
        replaced: it was rotated; its row is kept so that a second use is noticed.
        revoked: it was ended by logging out, changing the password or disabling the user.
    """

    expires_at: datetime
    replaced: bool = False
    revoked: bool = False


class Verdict(Enum):
    """What to do with a presented refresh token; see the module."""

    ROTATE = auto()
    REUSED = auto()
    EXPIRED = auto()
    UNKNOWN = auto()


def judge(state: RefreshState | None, now: datetime) -> Verdict:
    """Decide about a presented refresh token.

    A replaced one is REUSED even when it has expired since: it should be nowhere any more. A revoked one is UNKNOWN:
    its holder learns no more than about a token that never was.

    Args:
        state: of the row with the token's hash; None when there is none.
        now: aware; a token is expired from `expires_at` on.
    """
    if state is None:
        return Verdict.UNKNOWN
    if state.replaced:
        return Verdict.REUSED
    if state.revoked:
        return Verdict.UNKNOWN
    return Verdict.EXPIRED if now >= state.expires_at else Verdict.ROTATE
