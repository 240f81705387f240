"""Service tokens: how one service proves to another who is calling, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import jwt

from freehold.identity.key_ring import KeyRing
from freehold.identity.keys import KeySource
from freehold.identity.lru import LruCache
from freehold.identity.subjects import claims_of, user_of
from freehold.identity.verification import (
    SERVICE,
    CachedVerifier,
    InvalidToken,
    Verified,
    check_token,
    unverified_issuer,
)
from freehold.model.access import User
from freehold.model.ports import Clock, SystemClock


class ServiceCall(NamedTuple):
    """Who calls, and on whose behalf."""

    service: str
    user: User | None


@dataclass(frozen=True, slots=True)
class _Issued:
    user: User | None
    token: str
    kid: str
    reuse_until: datetime


class ServiceTokens:
    """Issues the tokens that a service shows to others, signed with its own key.

    A token is used again for the same target and user during the first half of its life, which spares both sides the
    signature.

    Args:
        service: the calling service's name; the tokens' `iss`.
        ttl: seconds that a token lives.
        cache_size: how many tokens are kept for reuse.
    """

    def __init__(
        self, service: str, ring: KeyRing, *, ttl: int = 60, clock: Clock | None = None, cache_size: int = 10_000
    ) -> None:
        self._service = service
        self._ring = ring
        self._ttl = ttl
        self._clock = clock or SystemClock()
        self._issued: LruCache[tuple[str, int], _Issued] = LruCache(cache_size)

    def issue(self, audience: str, user: User | None = None) -> str:
        """A token for the service `audience`, carrying the user that the call is made for, if any."""
        now = self._clock.now()
        # By identity, because equal users may carry different claims. An entry keeps its user alive, so that no other
        # object gets that id while the entry is there.
        known = self._issued.get((audience, id(user)))
        if known is None or now >= known.reuse_until or known.kid != self._ring.active.kid:
            known = self._sign(audience, user, now)
            self._issued.put((audience, id(user)), known)
        return known.token

    def _sign(self, audience: str, user: User | None, now: datetime) -> _Issued:
        issued_at = int(now.timestamp())
        claims: dict[str, Any] = {} if user is None else claims_of(user)
        claims |= {"iss": self._service, "aud": audience, "iat": issued_at, "exp": issued_at + self._ttl}
        key = self._ring.active
        headers = {"kid": key.kid, "typ": SERVICE}
        token = jwt.encode(claims, key.private, algorithm=key.algorithm, headers=headers)
        return _Issued(user, token, key.kid, now + timedelta(seconds=self._ttl / 2))


class ServiceTokenVerifier(CachedVerifier[ServiceCall]):
    """Verifies the tokens that other services show to the service `audience`.

    Args:
        keys_of: the key source of a service, or None for a service that is unknown or may not call.
        leeway: seconds that a token is honoured beyond its time, for clocks that differ.
        cache_size: how many verified tokens are remembered.
    """

    def __init__(
        self,
        audience: str,
        keys_of: Callable[[str], KeySource | None],
        *,
        clock: Clock | None = None,
        leeway: float = 0.0,
        cache_size: int = 10_000,
    ) -> None:
        super().__init__(clock, leeway, cache_size)
        self._audience = audience
        self._keys_of = keys_of

    def _check(self, token: str) -> Verified[ServiceCall]:
        service = unverified_issuer(token)
        keys = self._keys_of(service)
        if keys is None:
            raise InvalidToken("the token comes from an unknown service")
        verified = check_token(
            token,
            keys,
            issuer=service,
            audience=self._audience,
            kind=SERVICE,
            require=(),
            now=self._now(),
            leeway=self._leeway,
        )
        user = user_of(verified.value) if "sub" in verified.value else None
        return Verified(ServiceCall(service, user), verified.expires_at, verified.key, keys)
