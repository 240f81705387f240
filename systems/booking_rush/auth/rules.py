"""What auth insists on: e-mail addresses, passwords, slugs, and who may administer whom."""

from __future__ import annotations

import re
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from freehold import Problem, User, not_found
from systems.booking_rush.auth.contract import Role

_EMAIL = re.compile(r"[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+")
_SLUG = re.compile(r"[a-z0-9-]{2,100}")
ADMINS: tuple[Role, ...] = ("admin", "super_admin")


def normal_email(given: str) -> str:
    """Trimmed and lower-cased. Raises INVALID_EMAIL."""
    email = given.strip().lower()
    if len(email) > 255 or not _EMAIL.fullmatch(email):
        raise PydanticCustomError("INVALID_EMAIL", "is not an e-mail address")
    return email


def strong_password(given: str) -> str:
    """8 to 72 characters with upper, lower, digit and symbol. Raises WEAK_PASSWORD."""
    kinds = (str.isupper, str.islower, str.isdigit, lambda c: not c.isalnum() and not c.isspace())
    if not 8 <= len(given) <= 72 or not all(any(kind(c) for c in given) for kind in kinds):
        raise PydanticCustomError(
            "WEAK_PASSWORD", "needs 8 to 72 characters, with an upper and a lower case letter, a digit and a symbol"
        )
    return given


def valid_slug(given: str) -> str:
    """2 to 100 of `a-z`, `0-9` and `-`. Raises INVALID_SLUG."""
    if not _SLUG.fullmatch(given):
        raise PydanticCustomError("INVALID_SLUG", "has 2 to 100 characters out of a-z, 0-9 and '-'")
    return given


Email = Annotated[str, AfterValidator(normal_email)]
NewPassword = Annotated[str, AfterValidator(strong_password)]
PersonName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=100)]
Phone = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20)]
Slug = Annotated[str, AfterValidator(valid_slug)]
Search = Annotated[str, Field(max_length=100)]


def released_email(email: str, user_id: UUID) -> str:
    """What a deleted user's address becomes: unique, and free for whoever registers with it next."""
    return f"deleted:{user_id}:{email}"[:255]


def require_tenant(caller: User, tenant_id: UUID) -> None:
    """An admin acts within the own tenant, a super_admin in any; others' tenants do not exist for an admin."""
    if not caller.has_role("super_admin") and caller.tenant_id != tenant_id:
        raise not_found("The tenant")


def require_may_grant(caller: User, role: Role) -> None:
    """Only a super_admin makes admins."""
    if role in ADMINS and not caller.has_role("super_admin"):
        raise Problem(403, "FORBIDDEN", f"Only a super_admin may grant the role {role}")


def require_may_manage(caller: User, role: Role) -> None:
    """Nobody below a super_admin changes one."""
    if role == "super_admin" and not caller.has_role("super_admin"):
        raise Problem(403, "FORBIDDEN", "Only a super_admin may change a super_admin")
