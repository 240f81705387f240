"""Secrets of a deployment: from the environment, or made once into the data folder of an embedded run."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from freehold.model.errors import ConfigurationError
from freehold.stores.write_once import write_once

VARIABLE = "FREEHOLD_SECRET"
SHORTEST = 32


def open_secret(data: Path) -> bytes:
    """The deployment's one secret, from which passwords of service roles are derived.

    Raises:
        ConfigurationError: FREEHOLD_SECRET is set, but too short to be one.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        if len(given) < SHORTEST:
            raise ConfigurationError(VARIABLE, f"is shorter than {SHORTEST} characters", "Set a longer random text")
        return given.encode()
    file = data / "secret"
    data.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        write_once(file, secrets.token_urlsafe(48).encode())  # passwords made from half a secret could be guessed
    secret = file.read_bytes()
    if len(secret) < SHORTEST:
        raise ConfigurationError(str(file.name), "in the data folder was cut short", f"Restore it, or set {VARIABLE}")
    return secret


def derive(secret: bytes, purpose: str) -> str:
    """A password for one purpose, the same whenever it is asked for."""
    return hmac.new(secret, purpose.encode(), hashlib.sha256).hexdigest()
