"""The services of a system that run in other processes: their public keys, and the way to ask them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from freehold.buses.ending import end
from freehold.http.caller import HttpCaller, client_of_services
from freehold.identity import JwksKeys, ServiceTokens
from freehold.model.ports import Clock
from freehold.model.system import System

JWKS = "/.well-known/jwks.json"
FETCH_SECONDS, FETCH_PAUSE = 5.0, 1.0


class Neighbours:
    """Those who answer at an address.

    Args:
        system: to which all belong.
        addresses: base URL of each of them.
    """

    def __init__(self, system: System, addresses: Mapping[str, str], clock: Clock) -> None:
        self._system = system
        self.addresses = addresses
        self._client = client_of_services()
        self.keys = {name: self._keys_at(address, clock) for name, address in addresses.items()}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Keep their keys fresh."""
        self._tasks = [asyncio.create_task(keys.keep_fresh(), name=f"keys of {n}") for n, keys in self.keys.items()]

    def caller(self, tokens: ServiceTokens) -> HttpCaller:
        """Carries the queries of the service whose tokens these are."""
        return HttpCaller(self._system, self.addresses, tokens, client=self._client)

    def knows(self, name: str) -> Callable[[], Awaitable[None]]:
        """A readiness check: whether tokens that this neighbour signed can be verified."""

        async def check() -> None:
            if not self.keys[name].known:
                await self.keys[name].refresh()

        return check

    async def close(self) -> None:
        """Stop fetching, and close the connections."""
        await end(*self._tasks)
        await self._client.aclose()

    def _keys_at(self, address: str, clock: Clock) -> JwksKeys:
        async def fetch() -> Mapping[str, Any]:
            answer = await self._client.get(address.rstrip("/") + JWKS, timeout=FETCH_SECONDS)
            answer.raise_for_status()
            document: Mapping[str, Any] = answer.json()
            return document

        return JwksKeys(fetch, minimum_interval=FETCH_PAUSE, clock=clock)
