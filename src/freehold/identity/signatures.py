"""Webhook signatures: HMAC-SHA256 over the raw body, with the time of sending or without."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import timedelta

from freehold.model.errors import ConfigurationError
from freehold.model.ports import Clock, SystemClock


class InvalidSignature(Exception):
    """The request was not signed with the shared secret, or too long ago. The text never says what was expected."""


class TimedSignature:
    """Signatures `t=<unix time>,v1=<hex>` over `<unix time>.<body>`, as Stripe sends them: an old request is refused.

    Args:
        secret: shared with the sender.
        tolerance: seconds that the time may differ from ours, either way.

    Raises:
        ConfigurationError: the secret is empty.
    """

    def __init__(self, secret: str, *, tolerance: float = 300.0, clock: Clock | None = None) -> None:
        self._secret = _secret(secret)
        self._tolerance = tolerance
        self._clock = clock or SystemClock()

    def sign(self, body: bytes) -> str:
        """The header for a body sent now."""
        sent_at = int(self._clock.now().timestamp())
        return f"t={sent_at},v1={self._digest(str(sent_at), body)}"

    def verify(self, header: str | None, body: bytes) -> None:
        """Accept a request whose header carries a signature of exactly this body; several `v1` may be given.

        Raises:
            InvalidSignature: missing, malformed, too old, from the future, or not of this body.
        """
        sent_at, signatures = _parts(header)
        expected = self._digest(sent_at, body)
        if not any(_equal(given, expected) for given in signatures):
            raise InvalidSignature("the signature does not match the body")
        # Only now: of a request that nobody signed, the time says nothing.
        if abs(self._clock.now().timestamp() - int(sent_at)) > self._tolerance:
            raise InvalidSignature(f"the signature is more than {timedelta(seconds=self._tolerance)} away from now")

    def _digest(self, sent_at: str, body: bytes) -> str:
        return hmac.digest(self._secret, sent_at.encode() + b"." + body, "sha256").hex()


class BodySignature:
    """Signatures that are the hexadecimal HMAC-SHA256 of the body alone: a repeat is the receiver's to notice.

    Args:
        secret: shared with the sender.

    Raises:
        ConfigurationError: the secret is empty.
    """

    def __init__(self, secret: str) -> None:
        self._secret = _secret(secret)

    def sign(self, body: bytes) -> str:
        """The header for a body."""
        return hmac.digest(self._secret, body, "sha256").hex()

    def verify(self, header: str | None, body: bytes) -> None:
        """Accept a request whose header is the signature of exactly this body.

        Raises:
            InvalidSignature: missing, or not of this body.
        """
        if not header:
            raise InvalidSignature("the signature is missing")
        if not _equal(header.strip().lower(), self.sign(body)):
            raise InvalidSignature("the signature does not match the body")


def _parts(header: str | None) -> tuple[str, Sequence[str]]:
    if not header:
        raise InvalidSignature("the signature is missing")
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1"]
    if len(times) != 1 or not signatures:
        raise InvalidSignature("the signature is not of the form t=<unix time>,v1=<hex>")
    if not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12):
        raise InvalidSignature("the signature's time is not in whole seconds")
    return times[0], signatures


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _secret(secret: str) -> bytes:
    if not secret:
        raise ConfigurationError("signature secret", "is empty, so that anybody could sign", "Set the shared secret")
    return secret.encode()
