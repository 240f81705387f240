"""Who is calling, and whether they may."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from freehold.identity import InvalidToken, ServiceCall, ServiceTokenVerifier, TokenExpired, TokenVerifier
from freehold.model.access import Access, User
from freehold.model.problem import Problem, not_found
from freehold.model.system import System
from freehold.observe import tracing
from freehold.runtime.context import Context
from freehold.runtime.transaction import Tx

SERVICE_TOKEN = "X-Service-Token"  # noqa: S105 - the name of a header
TENANT = "X-Tenant-ID"
TIMEOUT = "X-Timeout-Ms"
NO_TENANT = UUID(int=0)
"""The tenant of a user who has none: no row is theirs."""

Headers = Mapping[bytes, bytes]
_BEARER = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may pass: its context, and who sent it, as the owner of its idempotency keys."""

    context: Context
    sender: str


class Doorkeeper:
    """Reads the tokens of a request and decides whether it may pass a route's access rule; denies by default.

    Args:
        system: says whose rows are scoped to a tenant.
        users: verifies access tokens; None where no route needs a user.
        services: verifies the tokens of other services; None refuses every internal route.
    """

    def __init__(self, system: System, users: TokenVerifier | None, services: ServiceTokenVerifier | None) -> None:
        self._system = system
        self._users = users
        self._services = services

    async def admit(
        self, access: Access | None, headers: Headers, params: Mapping[str, str], request_id: str, client: str | None
    ) -> Admitted:
        """The context that the request runs in. Raises the 401 or 403 problem.

        `owner(column)` is decided later, in the transaction, by `require_owner`.
        """
        if access is None:
            raise forbidden("This route declares no access")
        call = await self._calling_service(headers)
        if access.kind == "internal":
            if call is None:
                raise Problem(401, "MISSING_SERVICE_TOKEN", "Only other services may call this")
            user, tenant = call.user, _tenant_header(headers)
        else:
            # A signed request carries its sender's own Authorization, if any.
            user = call.user if call else None
            user = user if access.kind == "signature" else await self._calling_user(headers) or user
            self._require(access, user, params)
            # What is public is so in every tenant: a token must not show less than no token.
            tenant = None if access.kind == "public" else self._tenant_of(user, headers)
        context = Context(
            user=user,
            request_id=request_id,
            tenant_id=tenant,
            traceparent=tracing.traceparent() or _text(headers, b"traceparent"),
            deadline=_deadline(headers) if call else None,
            ip_address=client,
            user_agent=_text(headers, b"user-agent"),
        )
        if call is not None:
            return Admitted(context, f"service:{call.service}")
        return Admitted(context, f"client:{client}" if user is None else str(user.id))

    async def _calling_user(self, headers: Headers) -> User | None:
        given = headers.get(b"authorization")
        if given is None or self._users is None:
            return None
        scheme, _, token = given.partition(b" ")
        if scheme.lower() != b"bearer" or not token:
            raise _invalid_token("Authorization is not a Bearer token")
        try:
            text = token.decode("ascii")
        except UnicodeDecodeError:
            raise _invalid_token("The token is malformed") from None
        try:
            return await self._users.verify_with_refresh(text)
        except TokenExpired:
            raise Problem(401, "TOKEN_EXPIRED", "The token has expired", headers=_BEARER) from None
        except InvalidToken:
            raise _invalid_token("The token is not valid") from None

    async def _calling_service(self, headers: Headers) -> ServiceCall | None:
        given = headers.get(b"x-service-token")
        if given is None:
            return None
        if self._services is None:
            raise Problem(401, "INVALID_SERVICE_TOKEN", "This service knows no other service")
        try:
            return await self._services.verify_with_refresh(given.decode("latin-1"))
        except InvalidToken:
            raise Problem(401, "INVALID_SERVICE_TOKEN", "The service token is not valid") from None

    def _require(self, access: Access, user: User | None, params: Mapping[str, str]) -> None:
        if access.kind in ("public", "signature"):
            return
        if user is None:
            raise Problem(401, "MISSING_TOKEN", "Send an access token", headers=_BEARER)
        if access.kind == "role" and not user.has_role(*access.names):
            raise forbidden()
        if access.kind == "permission" and not user.may(access.names[0]):
            raise forbidden()
        if access.kind == "owner" and access.column is None and not user.has_role(*access.roles):
            _require_same(user, params[access.param])

    def _tenant_of(self, user: User | None, headers: Headers) -> UUID | None:
        if self._system.tenant_column is None or user is None:
            return None
        if user.has_role(*self._system.tenant_free_roles):
            return _tenant_header(headers)
        return user.tenant_id or NO_TENANT


def needs_row(access: Access) -> bool:
    """Whether the rule is decided by a row, which only a transaction can read."""
    return access.kind == "owner" and access.column is not None


async def require_owner(access: Access, tx: Tx, key: Any) -> None:
    """404 where there is no such row (or it is another tenant's), 403 where it is somebody else's."""
    user, column = tx.user, access.column
    if user is None or column is None:
        raise forbidden()
    if user.has_role(*access.roles):
        return
    row = await tx.get(column.class_, key)
    if row is None:
        raise not_found(column.class_.__name__)
    if getattr(row, column.key) != user.id:
        raise forbidden()


def forbidden(detail: str = "You may not do this") -> Problem:
    """403."""
    return Problem(403, "FORBIDDEN", detail)


def _invalid_token(detail: str) -> Problem:
    return Problem(401, "INVALID_TOKEN", detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def _require_same(user: User, given: str) -> None:
    try:
        same = type(user.id)(given) == user.id
    except ValueError:
        same = False
    if not same:
        raise forbidden()


def _tenant_header(headers: Headers) -> UUID | None:
    given = headers.get(b"x-tenant-id")
    if given is None:
        return None
    try:
        return UUID(given.decode("latin-1"))
    except ValueError:
        raise Problem(400, "BAD_REQUEST", f"{TENANT} is not a UUID") from None


def _deadline(headers: Headers) -> float | None:
    given = headers.get(b"x-timeout-ms")
    if given is None or not given.isdigit():
        return None
    return asyncio.get_running_loop().time() + int(given[:9]) / 1000


def _text(headers: Headers, name: bytes) -> str | None:
    given = headers.get(name)
    return None if given is None else given[:500].decode("latin-1")
