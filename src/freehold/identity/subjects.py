"""A user as the claims of a token, and back."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from freehold.identity.verification import InvalidToken
from freehold.model.access import User

REGISTERED = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})
"""Claims that say something about the token itself (RFC 7519, 4.1)."""

_USER = frozenset({"email", "roles", "permissions", "tenant_id"})


def claims_of(user: User, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """The claims that say who the user is: id, e-mail, roles, permissions, tenant, then their own claims and `extra`.

    Raises:
        ValueError: `extra` names a claim that the user or the token already defines, or the id is a text that would be
            read back as a number or a UUID.
    """
    extra = extra or {}
    if taken := sorted(extra.keys() & (REGISTERED | _USER)):
        raise ValueError(f"the claims {', '.join(taken)} come from the user and the issuer; give yours another name")
    claims = {name: value for name, value in user.claims.items() if name not in REGISTERED | _USER}
    claims["sub"] = _subject_of(user.id)
    if user.email is not None:
        claims["email"] = user.email
    if user.roles:
        claims["roles"] = sorted(user.roles)
    if user.permissions:
        claims["permissions"] = sorted(user.permissions)
    if user.tenant_id is not None:
        claims["tenant_id"] = str(user.tenant_id)
    return claims | extra


def user_of(claims: Mapping[str, Any]) -> User:
    """The user that verified claims describe; `user.claims` holds all of them, read-only.

    Raises:
        InvalidToken: a claim has the wrong type.
    """
    email = claims.get("email")
    if email is not None and not isinstance(email, str):
        raise InvalidToken("the token's email is no text")
    subject: Any = _read_subject(claims["sub"])
    return User(
        id=subject,
        email=email,
        roles=_names(claims, "roles"),
        permissions=_names(claims, "permissions"),
        tenant_id=_tenant(claims),
        claims=MappingProxyType(dict(claims)),
    )


def _subject_of(user_id: object) -> str:
    subject = str(user_id)
    if _read_subject(subject) != user_id:
        raise ValueError(
            "a text user id must look neither like a number nor like a UUID, or a token would change its type"
        )
    return subject


def _read_subject(subject: str) -> UUID | int | str:
    """JSON Web Tokens carry every id as text; only the form in which `str` writes a UUID or a number is read as one."""
    if len(subject) == 36:
        try:
            if str(found := UUID(subject)) == subject:
                return found
        except ValueError:
            return subject
    if len(subject) <= 20 and subject.isascii() and subject.isdigit() and str(int(subject)) == subject:
        return int(subject)
    return subject


def _names(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    names = claims.get(name, ())
    if not isinstance(names, list | tuple) or not all(isinstance(each, str) for each in names):
        raise InvalidToken(f"the token's {name} are no list of texts")
    return frozenset(names)


def _tenant(claims: Mapping[str, Any]) -> UUID | None:
    tenant = claims.get("tenant_id")
    if tenant is None:
        return None
    try:
        return UUID(tenant)
    except (ValueError, TypeError, AttributeError):
        raise InvalidToken("the token's tenant_id is no UUID") from None
