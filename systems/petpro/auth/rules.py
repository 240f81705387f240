"""What auth insists on: addresses, passwords and codes, how often somebody may try, and what each role may do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

# --- addresses, names, passwords --------------------------------------------------------------------------------------

_EMAIL = re.compile(r"[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+")
_PHONE = re.compile(r"\+?[0-9][0-9 ().-]{3,18}")


def normal_email(given: str) -> str:
    """Trimmed and lower-cased."""
    email = given.strip().lower()
    if len(email) > 100 or not _EMAIL.fullmatch(email):
        raise PydanticCustomError("email", "is not an e-mail address of at most 100 characters")
    return email


def normal_phone(given: str) -> str:
    """Trimmed."""
    phone = given.strip()
    if not _PHONE.fullmatch(phone):
        raise PydanticCustomError("phone", "is not a phone number of 4 to 20 digits, with spaces and ().- between them")
    return phone


def strong_password(given: str) -> str:
    """8 to 100 characters with a lower and an upper case letter and a digit."""
    kinds = (str.islower, str.isupper, str.isdigit)
    if not 8 <= len(given) <= 100 or not all(any(kind(c) for c in given) for kind in kinds):
        raise PydanticCustomError(
            "password", "needs 8 to 100 characters, with a lower and an upper case letter and a digit"
        )
    return given


Email = Annotated[str, AfterValidator(normal_email)]
Phone = Annotated[str, AfterValidator(normal_phone)]
NewPassword = Annotated[str, AfterValidator(strong_password)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
FullName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=101)]
Search = Annotated[str, Field(min_length=1, max_length=100)]


def split_name(full_name: str) -> tuple[str, str]:
    """First and last name, where only both together were given."""
    first, _, last = full_name.partition(" ")
    return first[:50], f"{first[50:]} {last}".strip()


# --- how often --------------------------------------------------------------------------------------------------------

MAX_ATTEMPTS = 3
"""Guesses that a one-time code allows; a constraint of the table says so too."""
MAX_LOGINS = 5
LOCKED_OUT = timedelta(minutes=15)
MAX_SENDS = 3
SENDS_WITHIN = timedelta(hours=1)


def subject_hash(kind: str, address: str) -> str:
    """Under what tries with an address are counted: it tells nobody which address."""
    return hashlib.sha256(f"{kind}:{address}".encode("utf-8", "surrogatepass")).hexdigest()


def locked_until(failures: Sequence[datetime], now: datetime) -> datetime | None:
    """When the next login may be tried after these wrong ones, oldest first; None: now."""
    last = failures[-MAX_LOGINS:]
    if len(last) < MAX_LOGINS or last[-1] - last[0] >= LOCKED_OUT:
        return None
    until = last[-1] + LOCKED_OUT
    return until if now < until else None


def next_send(sends: Sequence[datetime], now: datetime, cooldown: timedelta) -> datetime | None:
    """When the next code may be sent after these, oldest first; None: now."""
    waits = [sends[-1] + cooldown] if sends else []
    if len(sends) >= MAX_SENDS:
        waits.append(sends[-MAX_SENDS] + SENDS_WITHIN)
    until = max(waits, default=now)
    return until if now < until else None


# --- roles and what they may do ---------------------------------------------------------------------------------------


def _names(actions: str, things: str) -> tuple[str, ...]:
    return tuple(f"{action}_{things}" for action in actions.split())


PETS = _names("view create update delete", "pets")
APPOINTMENTS = _names("view create update cancel", "appointments")
PRODUCTS = _names("view create update delete", "products")
ORDERS = _names("view create update process cancel", "orders")
REVIEWS = _names("view create update delete moderate", "reviews")
PERMISSIONS = (
    *_names("view create update delete", "users"),
    "manage_roles",
    *PETS,
    "manage_pet_health",
    *_names("view create update delete", "clinics"),
    "manage_services",
    "manage_staff",
    *APPOINTMENTS,
    *PRODUCTS,
    "manage_inventory",
    *ORDERS,
    *REVIEWS,
    *_names("view process refund", "payments"),
    "view_analytics",
    "export_reports",
)
ROLES: dict[str, tuple[str, ...]] = {
    "admin": PERMISSIONS,
    "system": (),
    "vendor": (
        *_names("view create update", "clinics"),
        "manage_services",
        "manage_staff",
        *_names("view update cancel", "appointments"),
        *PRODUCTS,
        "manage_inventory",
        *_names("view update process", "orders"),
        "view_reviews",
    ),
    "staff": (
        "view_pets",
        "manage_pet_health",
        "view_clinics",
        *_names("view update", "appointments"),
        "view_products",
        "manage_inventory",
    ),
    "customer": (
        *PETS,
        "view_clinics",
        *APPOINTMENTS,
        "view_products",
        *(name for name in ORDERS if name != "process_orders"),
        *(name for name in REVIEWS if name != "moderate_reviews"),
    ),
}
"""The roles that are always there, the weightiest first."""
DESCRIPTIONS = {
    "admin": "Runs the platform",
    "system": "The platform itself",
    "vendor": "Owns clinics, a shop, or both",
    "staff": "Works at a clinic or in a warehouse",
    "customer": "Owns pets",
}


def main_role(roles: Iterable[str]) -> str | None:
    """The weightiest of them; roles that somebody made come after those that are always there."""
    weights = list(ROLES)
    return min(roles, key=lambda name: (weights.index(name) if name in weights else len(weights), name), default=None)


# --- channels ---------------------------------------------------------------------------------------------------------

CHANNELS = ("email", "push", "sms")


def channels_of(preferences: Mapping[str, object]) -> list[str]:
    """The channels that a user has switched on."""
    return [channel for channel in CHANNELS if preferences.get(channel)]
