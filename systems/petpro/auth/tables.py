"""What auth owns: identities, profiles, roles and permissions, one-time codes, refresh tokens, user notifications."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from freehold import Portable, RefreshState, soft_ref, uuid7
from systems.petpro.auth.contract import CodeKind, DeliveryMethod
from systems.petpro.auth.rules import MAX_ATTEMPTS, main_role


class Base(Portable, DeclarativeBase):
    """The tables of auth."""


class Account(Base):
    """A user. The row is never deleted; one who is gone is inactive."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("email = lower(email)", "email"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    email: Mapped[str] = mapped_column(String(255), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)

    profile: Mapped[Profile] = relationship(lazy="selectin")
    grants: Mapped[list[UserRole]] = relationship(lazy="selectin", cascade="all, delete-orphan")

    @property
    def roles(self) -> list[str]:
        """Names of the roles, sorted."""
        return sorted(grant.role.name for grant in self.grants)

    @property
    def role(self) -> str | None:
        """The main role."""
        return main_role(self.roles)

    @property
    def permissions(self) -> list[str]:
        """Names of what any of the roles permits, sorted."""
        return sorted({name for grant in self.grants for name in grant.role.permissions})

    def touch(self, now: datetime) -> None:
        """Something changed that others keep a copy of."""
        self.version += 1
        self.updated_at = now


class Profile(Base):
    """What a user tells of themselves."""

    __tablename__ = "user_profiles"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    full_name: Mapped[str] = mapped_column(String(255))
    first_name: Mapped[str] = mapped_column(String(50))  # the full name alone does not say where it ends
    phone_number: Mapped[str | None] = mapped_column(String(20), index=True)
    address: Mapped[str | None] = mapped_column(Text)
    notification_prefs: Mapped[dict[str, Any]] = mapped_column(
        default=lambda: {"email": True, "push": True, "sms": False}
    )
    profile_picture: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def last_name(self) -> str:
        """What follows the first name."""
        return self.full_name.removeprefix(self.first_name).strip()

    def rename(self, first_name: str, last_name: str) -> None:
        """Take another name."""
        self.first_name = first_name
        self.full_name = f"{first_name} {last_name}".strip()


class Role(Base):
    """What a user is: a set of permissions under a name."""

    __tablename__ = "roles"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    description: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    grants: Mapped[list[RolePermission]] = relationship(lazy="selectin", cascade="all, delete-orphan")

    @property
    def permissions(self) -> list[str]:
        """Names of what it permits, sorted."""
        return sorted(grant.permission.name for grant in self.grants)


class Permission(Base):
    """Something that a role may allow."""

    __tablename__ = "permissions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    description: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime]


class UserRole(Base):
    """A role that a user has."""

    __tablename__ = "user_roles"
    __table_args__ = (UniqueConstraint("user_id", "role_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    role_id: Mapped[UUID] = mapped_column(ForeignKey("roles.id", ondelete="RESTRICT"), index=True)
    created_at: Mapped[datetime]

    role: Mapped[Role] = relationship(lazy="joined", innerjoin=True)


class RolePermission(Base):
    """A permission that a role gives."""

    __tablename__ = "role_permissions"
    __table_args__ = (UniqueConstraint("role_id", "permission_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    role_id: Mapped[UUID] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"))
    permission_id: Mapped[UUID] = mapped_column(ForeignKey("permissions.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]

    permission: Mapped[Permission] = relationship(lazy="joined", innerjoin=True)


class OneTimeCode(Base):
    """A code of six digits that was sent to somebody, as its hash; once verified, what it entitles to."""

    __tablename__ = "otp_tokens"
    __table_args__ = (
        Index("ix_otp_tokens_user_id_type_created_at", "user_id", "type", "created_at"),
        Index(
            "ix_otp_tokens_expires_at_live",
            "expires_at",
            postgresql_where=text("is_used = false"),
            sqlite_where=text("is_used = false"),
        ),
        CheckConstraint("attempts >= 0 AND attempts <= 3", "attempts"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[str] = mapped_column(String(255))
    type: Mapped[CodeKind]
    expires_at: Mapped[datetime]
    is_used: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    delivery_method: Mapped[DeliveryMethod] = mapped_column(default="email")
    reset_token_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    """Of the token that a verified `password_reset` code was exchanged for; it is good until `expires_at`, once."""

    @property
    def tries_left(self) -> int:
        """How many guesses remain."""
        return 0 if self.is_used else MAX_ATTEMPTS - self.attempts


class Session(Base):
    """One refresh token, as its hash. All that one login led to are a family; a replaced one stays as a trap."""

    __tablename__ = "refresh_tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    family_id: Mapped[UUID] = mapped_column(index=True)
    token_hash: Mapped[str] = mapped_column(String(255), unique=True)
    device_info: Mapped[str | None] = mapped_column(String(255))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    replaced_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    @property
    def state(self) -> RefreshState:
        """What decides about its token."""
        return RefreshState(expires_at=self.expires_at, replaced=self.replaced_at is not None)


class Throttle(Base):
    """What was tried lately with one address: wrong logins, or codes sent to it. Kept without naming it."""

    __tablename__ = "throttles"

    subject_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    tries: Mapped[list[Any]] = mapped_column(default=list)
    updated_at: Mapped[datetime] = mapped_column(index=True)

    @property
    def times(self) -> list[datetime]:
        """When, oldest first."""
        return [datetime.fromisoformat(each) for each in self.tries]

    def note(self, now: datetime, *, keep: int) -> None:
        """One more try; of the earlier ones only the newest are remembered."""
        self.tries = [*self.tries, now.isoformat()][-keep:]
        self.updated_at = now


class Notification(Base):
    """Something that a user was told, and through which channels."""

    __tablename__ = "user_notifications"
    __table_args__ = (
        UniqueConstraint("source_event_id", "user_id"),
        Index("ix_user_notifications_user_id_created_at", "user_id", "created_at"),
        Index(
            "ix_user_notifications_user_id_live",
            "user_id",
            postgresql_where=text("is_read = false"),
            sqlite_where=text("is_read = false"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    source_event_id: Mapped[UUID]
    booking_id: Mapped[UUID | None] = soft_ref("booking.bookings.id")
    type: Mapped[str] = mapped_column(String(50))
    title: Mapped[str] = mapped_column(String(255))
    content: Mapped[str] = mapped_column(Text)
    channels: Mapped[list[Any]] = mapped_column(default=list)
    is_read: Mapped[bool] = mapped_column(default=False)
    read_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
