"""Feature flags: behaviour that is switched at run time, for everybody, for some users, or for a share of them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any, Self

from freehold.model.errors import ConfigurationError, DeclarationError
from freehold.model.messages import NAME

_PERCENT = re.compile(r"(\d{1,3})%")


@dataclass(frozen=True, slots=True)
class Flag:
    """A feature flag of a service; off until somebody sets it.

    Args:
        name: lower-case words and dots, unique in its service, e.g. `pet.species_ref.read`.
        text: what is so while it is on, in a sentence.
    """

    name: str
    text: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise DeclarationError(
                f"flag {self.name!r}", "its name is not lower-case words with dots", "Call it like 'orders.new_prices'"
            )


@dataclass(frozen=True, slots=True)
class Rollout:
    """For whom a flag is on.

    Args:
        percent: of all users, 0 to 100; at 100 also where there is no user.
        users: ids of users for whom it is on besides.
    """

    percent: int = 0
    users: frozenset[str] = frozenset()

    def includes(self, flag: str, user_id: Any) -> bool:
        """Whether the flag is on for the user; None for nobody.

        A user's place in the percentage follows from flag and user alone: every process comes to the same answer, a
        larger share contains the smaller one, and another flag is on for others.
        """
        if self.percent >= 100:
            return True
        if user_id is None:
            return False
        return str(user_id) in self.users or _place(flag, user_id) < self.percent

    def after(self, setting: str) -> Self:
        """What `on`, `off`, `25%` or `user:ID` makes of it; `off` is so for named users, too.

        Raises ConfigurationError for anything else.
        """
        if setting == "on":
            return replace(self, percent=100)
        if setting == "off":
            return replace(self, percent=0, users=frozenset())
        if setting.startswith("user:") and len(setting) > len("user:"):
            return replace(self, users=self.users | {setting.removeprefix("user:")})
        found = _PERCENT.fullmatch(setting)
        if found is None or int(found[1]) > 100:
            raise ConfigurationError(
                f"flag setting {setting!r}", "is none that is known", "Give on, off, a whole percentage, or user:ID"
            )
        return replace(self, percent=int(found[1]))

    def __str__(self) -> str:
        share = {0: "off", 100: "on"}.get(self.percent, f"{self.percent}%")
        return " ".join([share, *(f"user:{user}" for user in sorted(self.users))])


def _place(flag: str, user_id: Any) -> int:
    """0 to 99."""
    digest = hashlib.sha256(f"{flag}:{user_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * 100 >> 64
