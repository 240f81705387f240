"""The public keys of another service, fetched from its JWK Set and kept for when it is down."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from freehold.identity.keys import KeysUnavailable, VerificationKey
from freehold.model.ports import Clock, SystemClock

_log = logging.getLogger(__name__)


class JwksKeys:
    """A key source that asks `fetch` for a JWK Set document.

    A failed or empty answer never removes a key: tokens signed with known keys verify while the other side is down. A
    key that a good answer no longer lists is forgotten.

    Args:
        fetch: returns the document; whatever it raises counts as a failure.
        refresh_interval: seconds between two fetches of `keep_fresh`; how long a withdrawn key may still be trusted.
        minimum_interval: seconds; `refresh` asks no more often, however many unknown keys are presented.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Mapping[str, Any]]],
        *,
        refresh_interval: float = 300.0,
        minimum_interval: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self._fetch = fetch
        self._interval = refresh_interval
        self._minimum = timedelta(seconds=minimum_interval)
        self._clock = clock or SystemClock()
        self._keys: dict[str, VerificationKey] = {}
        self._asked_at: datetime | None = None
        self._failed = False
        self._lock = asyncio.Lock()

    @property
    def known(self) -> bool:
        """Whether there are any keys yet."""
        return bool(self._keys)

    def find(self, kid: str) -> VerificationKey | None:
        return self._keys.get(kid)

    async def refresh(self) -> None:
        """Fetch the keys, unless that was tried less than `minimum_interval` ago; concurrent calls share one fetch.

        Raises:
            KeysUnavailable: this fetch, or the last one when it is too early for another, failed.
        """
        async with self._lock:
            now = self._clock.now()
            if self._asked_at is None or now - self._asked_at >= self._minimum:
                self._asked_at = now
                await self._load()
        if self._failed:
            raise KeysUnavailable("the verification keys cannot be fetched")

    async def keep_fresh(self) -> None:
        """Refresh every `refresh_interval` seconds (with jitter) until cancelled. Failures are logged, not raised."""
        while True:
            try:
                await self.refresh()
            except KeysUnavailable:
                pause = min(self._interval, self._minimum.total_seconds())
            else:
                pause = self._interval
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))

    async def _load(self) -> None:
        failed_before, self._failed = self._failed, True
        try:
            keys = _read(await self._fetch())
        except Exception as error:
            if not failed_before:
                _log.warning("verification keys not refreshed: %s", error)
            return
        # A key that is still listed stays the same object, by which verifiers recognise that cached tokens hold.
        known = self._keys
        self._keys = {key.kid: known[key.kid] if known.get(key.kid) == key else key for key in keys}
        self._failed = False


def _read(document: Mapping[str, Any]) -> list[VerificationKey]:
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        raise ValueError("the answer is no JWK Set")
    found = [VerificationKey.from_jwk(entry) for entry in entries if isinstance(entry, Mapping)]
    keys = [key for key in found if key is not None]
    if not keys:
        raise ValueError("the JWK Set holds no usable key")
    return keys
