"""Queue mode: while it is on, what everybody wants at once is open only to those whose turn it is."""

from __future__ import annotations

from collections.abc import Mapping

from freehold.http.matching import below
from freehold.identity import InvalidToken, KeysUnavailable, TokenVerifier, UnknownKey
from freehold.model.problem import Problem
from freehold.model.system import QueuePass


class QueueMode:
    """Which requests need a pass, and whether one that is shown is good.

    Args:
        declared: what the system's gateway says.
        passes: verifies tokens of its issuer for its purpose, with the issuer's public keys.
    """

    def __init__(self, declared: QueuePass, passes: TokenVerifier) -> None:
        self._declared = declared
        self._header = declared.header.lower().encode("ascii")
        self._passes = passes

    def guards(self, method: str, path: str) -> bool:
        """Whether this request needs a pass; `path` is without the gateway's prefix."""
        return method in self._declared.methods and any(below(path, prefix) for prefix in self._declared.paths)

    async def accepts(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a pass is shown that the issuer signed for this purpose and whose time is not over."""
        given = headers.get(self._header)
        if given is None:
            return False
        token = given.decode("latin-1")
        try:
            claims = self._passes.verify_claims(token)
        except UnknownKey:
            claims = await self._with_new_keys(token)
        except InvalidToken:
            return False
        return claims.get("purpose") == self._declared.purpose

    async def _with_new_keys(self, token: str) -> Mapping[str, object]:
        """A key made since the last look, or a forgery."""
        try:
            await self._passes.refresh()
            return self._passes.verify_claims(token)
        except InvalidToken:
            return {}
        except KeysUnavailable:
            raise Problem(
                503, "SERVICE_UNAVAILABLE", "Queue passes cannot be verified now", headers={"Retry-After": "1"}
            ) from None
