"""What a deployment gives to its services by type, wherever they run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from freehold.deploy.identities import Identities
from freehold.model.ports import DataFolder
from freehold.stores.objects import Objects
from freehold.stores.store import Store


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
