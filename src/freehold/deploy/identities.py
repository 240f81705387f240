"""Who signs and who believes whom: a ring of keys for every service, of which others see the public halves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.identity import KeyRing, KeySource, ServiceTokens, ServiceTokenVerifier, TokenIssuer, TokenVerifier
from freehold.model.errors import ConfigurationError
from freehold.model.ports import Clock
from freehold.model.system import System


@dataclass(frozen=True)
class Identities:
    """The keys of a system as one process has them: whole rings of its own services, public keys of the others.

    The auth service signs access tokens with its ring, too.

    Args:
        own: the rings of the services that run here.
        others: where the public keys of the rest are found.
    """

    system: System
    clock: Clock
    own: Mapping[str, KeyRing]
    others: Mapping[str, KeySource]

    @classmethod
    def open(
        cls,
        system: System,
        folder: Path,
        clock: Clock,
        *,
        here: Collection[str] | None = None,
        others: Mapping[str, KeySource] | None = None,
    ) -> Identities:
        """Read the keys in the folder, made on the first start, of the services `here` (all of them when None)."""
        names = [service.name for service in system.services if here is None or service.name in here]
        files = {name: "users" if name == system.auth else name for name in names}
        own = {name: KeyRing.open(folder / "keys" / f"{file}.pem", clock=clock) for name, file in files.items()}
        return cls(system, clock, own, others or {})

    def verifier(self) -> TokenVerifier | None:
        """Checks access tokens."""
        keys = self._keys_of(self.system.auth) if self.system.auth else None
        if keys is None:
            return None
        return TokenVerifier(keys, issuer=self.system.name, audience=self.system.name, clock=self.clock)

    def queue_passes(self) -> TokenVerifier:
        """Checks the passes that the gateway asks for in queue mode. Raises ConfigurationError without a queue."""
        queue = self.system.gateway.queue
        keys = self._keys_of(queue.issuer) if queue is not None else None
        if queue is None or keys is None:
            raise ConfigurationError(
                "queue_mode", f"{self.system.name} has no queue", "Declare Gateway(queue=QueuePass(…)), or turn it off"
            )
        return TokenVerifier(keys, issuer=queue.issuer, audience=queue.purpose, clock=self.clock)

    def service_verifier(self, service: str) -> ServiceTokenVerifier:
        """Checks the tokens that other services send to this one."""
        return ServiceTokenVerifier(service, self._keys_of, clock=self.clock)

    def tokens(self, service: str) -> ServiceTokens:
        """Issues the tokens that a service shows to others."""
        return ServiceTokens(service, self.own[service], clock=self.clock)

    def given(self, service: str) -> dict[type[Any], Any]:
        """What the service gets by type: its own tokens and keys; the auth service the issuer of access tokens."""
        things: dict[type[Any], Any] = {ServiceTokens: self.tokens(service), KeyRing: self.own[service]}
        if service == self.system.auth:
            things[TokenIssuer] = TokenIssuer(
                self.own[service],
                issuer=self.system.name,
                audience=self.system.name,
                ttl=self.system.access_token_seconds,
                clock=self.clock,
            )
        verifier = self.verifier()
        if verifier is not None:
            things[TokenVerifier] = verifier
        return things

    def _keys_of(self, service: str) -> KeySource | None:
        return self.own.get(service) or self.others.get(service)
