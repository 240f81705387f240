"""Secrets of a deployment: from the environment, or made once into the data folder of an embedded run."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from freehold.model.errors import ConfigurationError

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
    made = secrets.token_urlsafe(48)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_bytes()
    with os.fdopen(descriptor, "w") as opened:
        opened.write(made)
    return made.encode()


def derive(secret: bytes, purpose: str) -> str:
    """A password for one purpose, the same whenever it is asked for."""
    return hmac.new(secret, purpose.encode(), hashlib.sha256).hexdigest()
