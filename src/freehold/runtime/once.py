"""A request that is to have its effects once: its key, what it was answered, and why the key may be refused."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from pydantic_core import from_json, to_json

from freehold.model.problem import Problem

MAX_KEY = 200
TRY_AGAIN = (408, 425, 429)

Identity = tuple[str, str]


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What makes two requests the same: the SHA-256 of method, path and body, in hexadecimal."""
    return hashlib.sha256(b"%b %b\n%b" % (method.upper().encode(), path.encode(), body)).hexdigest()


@dataclass(slots=True)
class Once:
    """The idempotency key that a request came with.

    Args:
        scope: whose key it is: the user's id, or the calling service's name. Keys of different scopes never meet.
        key: what the client chose, 1 to 200 characters; anything else raises Problem 400.
        fingerprint: of the request; see `fingerprint`.
        status: of a coalesced call's success. Other requests say it with their answer.

    `replayed` is True once it was found that the answer is that of an earlier request.
    """

    scope: str
    key: str
    fingerprint: str
    status: int = 200
    replayed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.key) <= MAX_KEY or not self.key.isprintable():
            raise Problem(400, "INVALID_IDEMPOTENCY_KEY", f"Idempotency-Key: give 1 to {MAX_KEY} printable characters")

    @property
    def identity(self) -> Identity:
        """What the record is found by."""
        return self.scope, self.key

    def step(self, name: str) -> Once:
        """The key of one step of a request that is answered in several transactions; no client can send it."""
        return Once(f"{self.scope}#{name}", self.key, self.fingerprint)


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer as it goes out: status and body, UTF-8 text."""

    status: int
    body: bytes

    @classmethod
    def of(cls, problem: Problem) -> Stored:
        """The answer that a Problem makes."""
        return cls(problem.status, to_json(problem.document()))

    def problem(self) -> Problem:
        """The Problem that the answer was made of."""
        return Problem.from_document(self.status, from_json(self.body))

    @property
    def final(self) -> bool:
        """Whether a repeated request gets this answer: not when trying again is what it asks for."""
        return self.status < 500 and self.status not in TRY_AGAIN


class KeyRefused(Problem):
    """The key cannot be used now: it belongs to another request, or its first one still runs. It is never stored."""

    @classmethod
    def reused(cls) -> KeyRefused:
        """The key came with another request before."""
        return cls(422, "IDEMPOTENCY_KEY_REUSED", "this Idempotency-Key came with another request before")

    @classmethod
    def in_progress(cls) -> KeyRefused:
        """The first request still runs."""
        return cls(409, "REQUEST_IN_PROGRESS", "the first request with this Idempotency-Key still runs")
