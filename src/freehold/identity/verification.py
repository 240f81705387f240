"""Checking a signed token: what every kind of token shares, and the memory of those already checked."""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import jwt

from freehold.identity.keys import KeySource, VerificationKey
from freehold.identity.lru import LruCache
from freehold.model.ports import Clock, SystemClock

T = TypeVar("T")

ACCESS = "at+jwt"
SERVICE = "service+jwt"
PLAIN = "JWT"
"""Token kinds, in the `typ` header (RFC 8725, 3.11): one kind is never taken for another, whatever else agrees."""

_MAXIMUM_LENGTH = 8192
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, RecursionError)


class InvalidToken(Exception):
    """The token is not to be trusted. The text says why and never contains the token."""


class TokenExpired(InvalidToken):
    """The token was good, but its time is over."""


class UnknownKey(InvalidToken):
    """The token names a key that its source does not know: a forgery, or a key made since the last refresh."""

    def __init__(self, keys: KeySource) -> None:
        super().__init__("the token is signed with an unknown key")
        self.keys = keys


@dataclass(frozen=True, slots=True)
class Verified(Generic[T]):
    """A token that passed: what it says, until when, and the key that vouches for it."""

    value: T
    expires_at: datetime
    key: VerificationKey
    keys: KeySource


class CachedVerifier(ABC, Generic[T]):
    """Verifies tokens and remembers those that passed, the least recently used one going first.

    A remembered token costs a look-up; its expiry and whether its key is still trusted are checked every time.
    """

    def __init__(self, clock: Clock | None, leeway: float, cache_size: int) -> None:
        self._now = (clock or SystemClock()).now
        self._leeway = timedelta(seconds=leeway)
        self._passed: LruCache[str, Verified[T]] = LruCache(cache_size)

    @abstractmethod
    def _check(self, token: str) -> Verified[T]:
        """Check everything but the time."""

    def verify(self, token: str) -> T:
        """What the token says. Does no I/O.

        Raises:
            TokenExpired: from the second on that its `exp` names (plus leeway).
            UnknownKey: `verify_with_refresh`, or `refresh` and another try, may find the key.
            InvalidToken: everything else that is wrong with it.
        """
        verified = self._passed.get(token)
        if verified is None or verified.keys.find(verified.key.kid) is not verified.key:
            self._passed.discard(token)
            verified = self._check(token)
            self._in_time(verified)
            self._passed.put(token, verified)
        else:
            self._in_time(verified)
        return verified.value

    async def verify_with_refresh(self, token: str) -> T:
        """Like `verify`; where the key is unknown, asks the key source once for new ones and tries again.

        Raises:
            KeysUnavailable: the source cannot be asked now, so the token can be judged neither way.
        """
        try:
            return self.verify(token)
        except UnknownKey as unknown:
            await unknown.keys.refresh()
        return self.verify(token)

    def _in_time(self, verified: Verified[T]) -> None:
        if self._now() >= verified.expires_at:
            raise TokenExpired("the token has expired")


def check_token(
    token: str,
    keys: KeySource,
    *,
    issuer: str,
    audience: str,
    kind: str,
    require: tuple[str, ...],
    now: datetime,
    leeway: timedelta,
) -> Verified[Mapping[str, Any]]:
    """Check signature, kind, issuer, audience and required claims; leaves the expiry, with leeway, to the caller.

    Raises:
        UnknownKey, InvalidToken: see `CachedVerifier.verify`.
    """
    key = _key_of(token, keys, kind)
    try:
        claims = jwt.decode(
            token,
            key.public,
            algorithms=[key.algorithm],
            audience=audience,
            issuer=issuer,
            # The times are checked below, by the injected clock.
            options={
                "require": ["exp", "iat", "iss", "aud", *require],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except _UNREADABLE as error:
        raise InvalidToken(_reason(error)) from None
    _time(claims, "iat")
    if "nbf" in claims and now + leeway < _time(claims, "nbf"):
        raise InvalidToken("the token is not valid yet")
    try:
        expires_at = _time(claims, "exp") + leeway
    except OverflowError:
        raise InvalidToken("the token's exp is out of range") from None
    return Verified(claims, expires_at, key, keys)


def unverified_issuer(token: str) -> str:
    """The issuer that the token claims: good for finding its keys, for nothing else."""
    issuer = _part(token, 1).get("iss")
    if not isinstance(issuer, str):
        raise InvalidToken("the token names no issuer")
    return issuer


def _key_of(token: str, keys: KeySource, kind: str) -> VerificationKey:
    header = _part(token, 0)
    if header.get("typ") != kind:
        raise InvalidToken("the token is of another kind")
    if "crit" in header:
        raise InvalidToken("the token demands an extension that is not supported")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise InvalidToken("the token does not name its key")
    key = keys.find(kid)
    if key is None:
        raise UnknownKey(keys)
    if header.get("alg") != key.algorithm:
        raise InvalidToken("the token's algorithm is not that of its key")
    return key


def _part(token: str, number: int) -> dict[str, Any]:
    """The header (0) or the claims (1), unverified. PyJWT would decode and validate the whole token for either."""
    if len(token) > _MAXIMUM_LENGTH:
        raise InvalidToken(f"the token is longer than {_MAXIMUM_LENGTH} characters")
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidToken("the token is malformed")
    try:
        part = json.loads(base64.urlsafe_b64decode(parts[number] + "=" * (-len(parts[number]) % 4)))
    except (ValueError, RecursionError):
        raise InvalidToken("the token is malformed") from None
    if not isinstance(part, dict):
        raise InvalidToken("the token is malformed")
    return part


def _time(claims: Mapping[str, Any], name: str) -> datetime:
    seconds = claims[name]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidToken(f"the token's {name} is no number")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise InvalidToken(f"the token's {name} is out of range") from None


def _reason(error: Exception) -> str:
    if isinstance(error, jwt.InvalidSignatureError):
        return "the token's signature does not match"
    if isinstance(error, jwt.InvalidAudienceError):
        return "the token is meant for another audience"
    if isinstance(error, jwt.InvalidIssuerError):
        return "the token comes from another issuer"
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"the token lacks the claim {error.claim}"
    return "the token is malformed"
