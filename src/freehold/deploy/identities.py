"""Who signs and who believes whom: keys of the service that issues access tokens, and of every service's own tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.identity import KeyRing, ServiceTokens, ServiceTokenVerifier, TokenIssuer, TokenVerifier
from freehold.model.errors import ConfigurationError
from freehold.model.ports import Clock
from freehold.model.system import System


@dataclass(frozen=True)
class Identities:
    """The keys of a system whose services share a process and a data folder.

    Args:
        users: the ring that access tokens are signed with; None without an auth service.
        services: each service's own ring.
    """

    system: System
    clock: Clock
    users: KeyRing | None
    services: Mapping[str, KeyRing]

    @classmethod
    def open(cls, system: System, folder: Path, clock: Clock) -> Identities:
        """Read the keys in the folder, made on the first start."""
        keys = folder / "keys"
        users = KeyRing.open(keys / "users.pem", clock=clock) if system.auth else None
        services = {s.name: KeyRing.open(keys / f"{s.name}.pem", clock=clock) for s in system.services}
        return cls(system, clock, users, services)

    def verifier(self) -> TokenVerifier | None:
        """Checks access tokens."""
        if self.users is None:
            return None
        return TokenVerifier(self.users, issuer=self.system.name, audience=self.system.name, clock=self.clock)

    def queue_passes(self) -> TokenVerifier:
        """Checks the passes that the gateway asks for in queue mode. Raises ConfigurationError without a queue."""
        queue = self.system.gateway.queue
        if queue is None:
            raise ConfigurationError(
                "queue_mode", f"{self.system.name} has no queue", "Declare Gateway(queue=QueuePass(…)), or turn it off"
            )
        return TokenVerifier(self._ring(queue.issuer), issuer=queue.issuer, audience=queue.purpose, clock=self.clock)

    def service_verifier(self, service: str) -> ServiceTokenVerifier:
        """Checks the tokens that other services send to this one."""
        return ServiceTokenVerifier(service, self.services.get, clock=self.clock)

    def given(self, service: str) -> dict[type[Any], Any]:
        """What the service gets by type: every service its own tokens and keys; the auth service the issuer, and as its
        keys those that access tokens are signed with.
        """
        things: dict[type[Any], Any] = {
            ServiceTokens: ServiceTokens(service, self.services[service], clock=self.clock),
            KeyRing: self._ring(service),
        }
        if self.users is not None and service == self.system.auth:
            things[TokenIssuer] = TokenIssuer(
                self.users, issuer=self.system.name, audience=self.system.name, clock=self.clock
            )
        verifier = self.verifier()
        if verifier is not None:
            things[TokenVerifier] = verifier
        return things

    def _ring(self, service: str) -> KeyRing:
        """What the service signs its own tokens for others with."""
        return self.users if self.users is not None and service == self.system.auth else self.services[service]
