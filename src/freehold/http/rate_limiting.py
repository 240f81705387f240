"""Who may ask how often: by the client's address, or by the user where a rule says so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.types import Scope

from freehold.http.matching import below
from freehold.identity import InvalidToken, KeysUnavailable, TokenVerifier
from freehold.model.access import User
from freehold.model.problem import Problem
from freehold.model.system import RateLimit
from freehold.stores.rate_limits import RateLimits, Verdict

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class _Bucket:
    name: str
    per_second: float
    burst: int


class RateLimiter:
    """Takes a token for each request, and says on every answer how many are left.

    Args:
        rules: the most precise one that fits a request decides.
        code: of the 429 problem.
        limits: where the token buckets are.
        verifier: verifies access tokens; None counts everybody by address.
    """

    def __init__(
        self, rules: Sequence[RateLimit], code: str, limits: RateLimits, verifier: TokenVerifier | None
    ) -> None:
        self._rules = sorted(rules, key=_precision, reverse=True)
        self._code = code
        self._limits = limits
        self._verifier = verifier

    async def take(self, scope: Scope, headers: Mapping[bytes, bytes], path: str, add: Headers) -> None:
        """Let one request through; `path` is without the gateway's prefix.

        What the answer is to say of it goes onto `add`. Raises the 429 problem.
        """
        fitting = (each for each in enumerate(self._rules) if _fits(each[1], scope["method"], path))
        at, rule = next(fitting, (0, None))
        if rule is None:
            return
        user = await self._speaker(headers) if rule.users else None
        bucket = _of_user(at, rule, user) if user is not None else _of_address(at, rule, scope)
        verdict = await self._limits.take(bucket.name, bucket.per_second, bucket.burst)
        add += _told(bucket, verdict)
        if not verdict.allowed:
            wait = str(max(1, math.ceil(verdict.retry_after)))
            raise Problem(429, self._code, "Slow down and try again", headers={"Retry-After": wait})

    async def _speaker(self, headers: Mapping[bytes, bytes]) -> User | None:
        """Whom a valid access token speaks for. The service refuses a bad one; here it is one of its address."""
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if self._verifier is None or scheme.lower() != "bearer":
            return None
        try:
            return await self._verifier.verify_with_refresh(token)
        except (InvalidToken, KeysUnavailable):
            return None


def _of_user(at: int, rule: RateLimit, user: User) -> _Bucket:
    a_minute = max((rule.users[role] for role in ("*", *user.roles) if role in rule.users), default=rule.burst)
    return _Bucket(f"{at}:user:{user.id}", a_minute / 60, a_minute)


def _of_address(at: int, rule: RateLimit, scope: Scope) -> _Bucket:
    client = scope["client"][0] if scope.get("client") else "unknown"
    return _Bucket(f"{at}:{client}", rule.per_second, rule.burst)


def _precision(rule: RateLimit) -> tuple[int, bool]:
    return len(rule.path) + len(rule.suffix), bool(rule.methods)


def _fits(rule: RateLimit, method: str, path: str) -> bool:
    return (not rule.methods or method in rule.methods) and below(path, rule.path) and path.endswith(rule.suffix)


def _told(bucket: _Bucket, verdict: Verdict) -> Headers:
    return [
        (b"x-ratelimit-limit", str(bucket.burst).encode()),
        (b"x-ratelimit-remaining", str(verdict.remaining).encode()),
        (b"x-ratelimit-reset", str(math.ceil(verdict.full_after)).encode()),
    ]
