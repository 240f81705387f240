"""What clients send to auth, and what it answers."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, AliasChoices, Field, StringConstraints, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from systems.petpro.auth.contract import CodeKind, DeliveryMethod
from systems.petpro.auth.rules import (
    Email,
    FullName,
    Name,
    NewPassword,
    Phone,
    Search,
    normal_email,
    normal_phone,
    split_name,
)
from systems.petpro.auth.tables import Account, Role
from systems.petpro.bodies import Body, PageOf

# --- requests ---------------------------------------------------------------------------------------------------------

Token = Annotated[str, Field(min_length=1, max_length=500)]


def _same(given: str | None, others: ValidationInfo) -> str | None:
    password = others.data.get("password", others.data.get("new_password"))
    if None not in (given, password) and given != password:
        raise PydanticCustomError("confirmation", "differs from the password")
    return given


def _reachable(given: str, others: ValidationInfo) -> str:
    method = others.data.get("delivery_method", "push")
    by_mail = method == "email" or (method == "push" and "@" in given)
    return (normal_email if by_mail else normal_phone)(given)


Confirmation = Annotated[str | None, AfterValidator(_same)]


class Registration(Body):
    first_name: Name | None = None
    last_name: Name | None = None
    full_name: FullName | None = None
    email: Email
    password: NewPassword
    confirm_password: Confirmation = None
    role: Literal["customer", "vendor"] = "customer"
    phone_number: Phone | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.full_name is None and (self.first_name is None or self.last_name is None):
            raise PydanticCustomError("name", "needs firstName and lastName, or fullName")
        return self

    @property
    def names(self) -> tuple[str, str]:
        """First and last name."""
        if self.first_name is not None and self.last_name is not None:
            return self.first_name, self.last_name
        return split_name(self.full_name or "")


class Credentials(Body):
    email: Annotated[str, Field(max_length=500)]
    password: Annotated[str, Field(max_length=500)]


class TokenBody(Body):
    refresh_token: Token


class Leaving(Body):
    refresh_token: Token | None = None


class Preferences(Body):
    """Channels that are switched on or off; those not named stay."""

    email: bool | None = None
    push: bool | None = None
    sms: bool | None = None


class NameChanges(Body):
    first_name: Name | None = None
    last_name: Name | None = None
    phone_number: Phone | None = None


class ProfileChanges(NameChanges):
    address: Annotated[str, Field(max_length=2000)] | dict[str, Any] | None = None
    notification_prefs: Preferences | None = None
    profile_picture: Annotated[str, Field(max_length=500)] | None = None


class UserChanges(NameChanges):
    email: Email | None = None


class StatusChange(Body):
    is_active: bool
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)] = "not stated"


class CodeWanted(Body):
    type: CodeKind
    delivery_method: DeliveryMethod
    delivery_target: Annotated[str, Field(max_length=255), AfterValidator(_reachable)]


class CodeGiven(Body):
    otp_id: UUID
    otp_code: Annotated[str, Field(pattern="^[0-9]{6}$")]


class ResetWanted(Body):
    email: Email


class PasswordReset(Body):
    token: Annotated[Token, Field(validation_alias=AliasChoices("token", "resetToken", "reset_token"))]
    new_password: NewPassword
    confirm_password: Confirmation = None


class NewRole(Body):
    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern="^[a-z][a-z_]*$")
    ]
    description: Annotated[str, Field(max_length=255)] | None = None
    permissions: Annotated[list[str], Field(max_length=200)] = []


class RolePermissions(Body):
    permissions: Annotated[list[str], Field(max_length=200)]


class RoleGiven(Body):
    role: Annotated[str, Field(max_length=50)]


class UserList(PageOf):
    role: Annotated[str, Field(max_length=50)] | None = None


class UserSearch(PageOf):
    q: Search


class NotificationList(PageOf):
    unread: bool = False


# --- answers ----------------------------------------------------------------------------------------------------------


class SignedIn(Body):
    """Whom a pair of tokens speaks for."""

    id: UUID
    email: str
    first_name: str
    last_name: str
    role: str | None

    @classmethod
    def of(cls, account: Account) -> SignedIn:
        return cls(
            id=account.id,
            email=account.email,
            first_name=account.profile.first_name,
            last_name=account.profile.last_name,
            role=account.role,
        )


class Authenticated(Body):
    """A pair of tokens; `expiresIn` seconds is what the access token lives."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - the scheme that RFC 6750 calls so
    user: SignedIn


class UserOut(Body):
    """A user, to themselves and to admins."""

    id: UUID
    email: str
    first_name: str
    last_name: str
    full_name: str
    phone_number: str | None
    role: str | None
    roles: list[str]
    is_active: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None

    @classmethod
    def of(cls, account: Account) -> UserOut:
        return cls(**_described(account), **_columns(account, "created_at", "updated_at", "last_login_at"))


class ProfileOut(Body):
    """A user, to themselves."""

    id: UUID
    email: str
    first_name: str
    last_name: str
    full_name: str
    phone_number: str | None
    address: str | dict[str, Any] | None
    notification_prefs: dict[str, Any]
    profile_picture: str | None
    role: str | None
    roles: list[str]
    permissions: list[str]
    is_active: bool

    @classmethod
    def of(cls, account: Account) -> ProfileOut:
        return cls(
            **_described(account),
            **_columns(account.profile, "notification_prefs", "profile_picture"),
            address=_address(account.profile.address),
            permissions=account.permissions,
        )


def _described(account: Account) -> dict[str, Any]:
    names = _columns(account.profile, "first_name", "last_name", "full_name", "phone_number")
    return names | _columns(account, "id", "email", "role", "roles", "is_active")


def _columns(row: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _address(kept: str | None) -> str | dict[str, Any] | None:
    """As it was given: an object is kept as its JSON."""
    if kept is None or not kept.startswith("{"):
        return kept
    try:
        given: dict[str, Any] = json.loads(kept)
    except ValueError:
        return kept
    return given


class CodeSent(Body):
    otp_id: UUID
    expires_at: datetime


class CodeVerified(Body):
    success: bool = True
    type: CodeKind
    reset_token: str | None = None


class Done(Body):
    message: str


class PermissionOut(Body):
    id: UUID
    name: str
    description: str | None


class RoleOut(Body):
    """A role with the names of what it permits."""

    id: UUID
    name: str
    description: str | None
    permissions: list[str]


class RolesOfUser(Body):
    user_id: UUID
    role: str | None
    roles: list[RoleOut]

    @classmethod
    def of(cls, account: Account) -> RolesOfUser:
        held: list[Role] = sorted((grant.role for grant in account.grants), key=lambda role: role.name)
        return cls(user_id=account.id, role=account.role, roles=[RoleOut.model_validate(role) for role in held])


class NotificationOut(Body):
    id: UUID
    booking_id: UUID | None
    type: str
    title: str
    content: str
    channels: list[str]
    is_read: bool
    read_at: datetime | None
    created_at: datetime
