"""The architecture linter: every rule over a whole system."""

from __future__ import annotations

from collections.abc import Iterable

from freehold.inspect.finding import Rule, Violation, violations
from freehold.inspect.rules import RULES
from freehold.inspect.survey import Survey
from freehold.model.system import System


def check(system: System, rules: Iterable[Rule[Survey]] = RULES) -> list[Violation]:
    """Everything that breaks one of the rules, by code and then by declaration; empty when all is well.

    Reads declarations, source files and the system's events.lock; connects to nothing.
    """
    return violations(rules, Survey(system))
