"""Access tokens: the auth service issues them, every service verifies them without a call."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import jwt

from freehold.identity.key_ring import KeyRing
from freehold.identity.keys import KeySource
from freehold.identity.subjects import REGISTERED, claims_of, user_of
from freehold.identity.verification import ACCESS, PLAIN, CachedVerifier, TokenExpired, Verified, check_token
from freehold.model.access import User
from freehold.model.ports import Clock, SystemClock


class TokenIssuer:
    """Signs tokens with the ring's active key.

    Args:
        issuer: who vouches for the tokens; their `iss`.
        audience: whom they are meant for; their `aud`. Give tokens of another purpose another audience.
        ttl: seconds that a token lives.
    """

    def __init__(
        self, ring: KeyRing, *, issuer: str, audience: str, ttl: int = 900, clock: Clock | None = None
    ) -> None:
        self._ring = ring
        self._issuer = issuer
        self._audience = audience
        self.ttl = ttl
        self._clock = clock or SystemClock()

    def issue(self, user: User, **claims: Any) -> str:
        """An access token for the user, with an own `jti` by which it can be revoked.

        Args:
            claims: further claims; the user's own ones travel along as well.

        Raises:
            ValueError: a claim that the user or the issuer already defines.
        """
        return self._sign(claims_of(user, claims), self.ttl, ACCESS)

    def issue_claims(self, claims: Mapping[str, Any], ttl: int | None = None) -> str:
        """A token for any other purpose (a queue pass, a signed link), which no verifier takes for an access token.

        Args:
            claims: what it says; `sub` and `jti` may be among them.
            ttl: seconds; the issuer's own when None.

        Raises:
            ValueError: `claims` holds `iss`, `aud`, `exp`, `iat` or `nbf`.
        """
        if taken := sorted(claims.keys() & (REGISTERED - {"sub", "jti"})):
            raise ValueError(f"the claims {', '.join(taken)} are set by the issuer; leave them out")
        return self._sign(claims, self.ttl if ttl is None else ttl, PLAIN)

    def _sign(self, claims: Mapping[str, Any], ttl: int, kind: str) -> str:
        issued_at = int(self._clock.now().timestamp())
        about_token = {
            "iss": self._issuer,
            "aud": self._audience,
            "iat": issued_at,
            "exp": issued_at + ttl,
            "jti": secrets.token_urlsafe(12),
        }
        key = self._ring.active
        headers = {"kid": key.kid, "typ": kind}
        return jwt.encode(about_token | dict(claims), key.private, algorithm=key.algorithm, headers=headers)


class TokenVerifier(CachedVerifier[User]):
    """Verifies access tokens of one issuer for one audience.

    Args:
        keys: a `KeyRing` of the same process, or `JwksKeys`.
        leeway: seconds that a token is honoured beyond its time, for clocks that differ.
        cache_size: how many verified tokens are remembered.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        audience: str,
        clock: Clock | None = None,
        leeway: float = 0.0,
        cache_size: int = 10_000,
    ) -> None:
        super().__init__(clock, leeway, cache_size)
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    def verify_claims(self, token: str) -> Mapping[str, Any]:
        """What a token made by `issue_claims` says. Not remembered: such tokens are shown once.

        Raises:
            TokenExpired, UnknownKey, InvalidToken: as `verify`.
        """
        verified = self._checked(token, PLAIN, ())
        if self._now() >= verified.expires_at:
            raise TokenExpired("the token has expired")
        return verified.value

    async def refresh(self) -> None:
        """Look for new keys, after `UnknownKey`.

        Raises:
            KeysUnavailable: they cannot be had now.
        """
        await self._keys.refresh()

    def _check(self, token: str) -> Verified[User]:
        verified = self._checked(token, ACCESS, ("sub",))
        return Verified(user_of(verified.value), verified.expires_at, verified.key, verified.keys)

    def _checked(self, token: str, kind: str, require: tuple[str, ...]) -> Verified[Mapping[str, Any]]:
        return check_token(
            token,
            self._keys,
            issuer=self._issuer,
            audience=self._audience,
            kind=kind,
            require=require,
            now=self._now(),
            leeway=self._leeway,
        )
