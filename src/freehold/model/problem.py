"""The error that a request is answered with: RFC 9457 problem details with a stable code."""

from __future__ import annotations

from typing import Any


class Problem(Exception):
    """An answer that says no: raise it from a route, a query or a command.

    Args:
        status: the HTTP status, 400 to 599.
        code: the stable word that a client's program looks at, e.g. `INSUFFICIENT_SEATS`.
        detail: one sentence for people; never a secret, SQL or a stack trace.
        keep: commit what the transaction did so far, for an error whose effects must stay (failed attempts counted, a
            hold expired on the spot). Without it everything rolls back.
        headers: sent along, e.g. `Retry-After`.
        extra: further members of the problem document.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        keep: bool = False,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.keep = keep
        self.headers = headers or {}
        self.extra = extra

    def document(self) -> dict[str, Any]:
        """The body of the answer, `application/problem+json`."""
        body: dict[str, Any] = {"type": "about:blank", "status": self.status, "code": self.code}
        body["title"] = self.code.replace("_", " ").capitalize()
        if self.detail:
            body["detail"] = self.detail
        return body | self.extra

    @classmethod
    def from_document(cls, status: int, document: dict[str, Any]) -> Problem:
        """The problem that another service answered, to be raised here."""
        known = {"type", "status", "code", "title", "detail", "instance"}
        extra = {name: value for name, value in document.items() if name not in known}
        return cls(status, str(document.get("code", "ERROR")), str(document.get("detail", "")), **extra)


def not_found(what: str, code: str = "NOT_FOUND") -> Problem:
    """404 for a row that does not exist or that the caller may not know of."""
    return Problem(404, code, f"{what} was not found")
