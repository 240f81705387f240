"""Who signs and who believes whom: keys of the service that issues access tokens, and of every service's own tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freehold.identity import KeyRing, ServiceTokens, ServiceTokenVerifier, TokenIssuer, TokenVerifier
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

    def service_verifier(self, service: str) -> ServiceTokenVerifier:
        """Checks the tokens that other services send to this one."""
        return ServiceTokenVerifier(service, self.services.get, clock=self.clock)

    def given(self, service: str) -> dict[type[Any], Any]:
        """What the service gets by type: every service its own tokens, the auth service the issuer too."""
        things: dict[type[Any], Any] = {ServiceTokens: ServiceTokens(service, self.services[service], clock=self.clock)}
        if self.users is not None and service == self.system.auth:
            things[KeyRing] = self.users
            things[TokenIssuer] = TokenIssuer(
                self.users, issuer=self.system.name, audience=self.system.name, clock=self.clock
            )
        verifier = self.verifier()
        if verifier is not None:
            things[TokenVerifier] = verifier
        return things
