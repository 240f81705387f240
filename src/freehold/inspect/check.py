"""The architecture linter: every rule over a whole system."""

from __future__ import annotations

from collections.abc import Iterable

from freehold.inspect.event_lock import EventLock
from freehold.inspect.finding import Rule, Violation, violations
from freehold.inspect.rules import RULES
from freehold.inspect.survey import Survey
from freehold.model.system import System


def check(system: System, rules: Iterable[Rule[Survey]] = RULES, *, lock: EventLock | None = None) -> list[Violation]:
    """Everything that breaks one of the rules, by code and then by declaration; empty when all is well.

    Reads declarations and source files; connects to nothing. `lock` is what `events.lock` says, where there is one.
    """
    return violations(rules, Survey(system, lock))
