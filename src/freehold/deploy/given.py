"""What a deployment gives to its services by type, wherever they run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from freehold.deploy.identities import Identities
from freehold.identity import KeyRing, ServiceTokens, TokenIssuer, TokenVerifier
from freehold.model.ports import Clock, DataFolder
from freehold.model.service import Service
from freehold.stores.cache import Cache
from freehold.stores.counters import Counters
from freehold.stores.line import Line
from freehold.stores.objects import Objects
from freehold.stores.rate_limits import RateLimits
from freehold.stores.store import Store

GIVEN: frozenset[type[Any]] = frozenset(
    (
        Clock, DataFolder, Objects,
        ServiceTokens, KeyRing, TokenIssuer, TokenVerifier,
        Cache, RateLimits, Counters, Line,
    )
)  # fmt: skip
"""What every deployment can give, besides settings."""


def given_to(
    service: str,
    settings: Mapping[type[Any], Any],
    *,
    identities: Identities,
    store: Store,
    objects: Objects,
    folder: Path,
) -> dict[type[Any], Any]:
    """Its settings, tokens and keys, its shelf of the store, the objects, and the folder for files of its own."""
    return {
        **settings,
        **identities.given(service),
        **store.shelf(service).given(),
        DataFolder: DataFolder(folder),
        Objects: objects,
    }


def provided_to(service: Service) -> frozenset[type[Any]]:
    """Every type that its handlers get without reading it from a request: given, set, or provided by itself."""
    return GIVEN.union(service.settings, service.provided)
