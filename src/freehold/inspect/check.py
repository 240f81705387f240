"""The architecture linter: every rule over a whole system."""

from __future__ import annotations

from collections.abc import Iterable

from freehold.inspect.finding import Rule, Violation
from freehold.inspect.rules import RULES
from freehold.inspect.survey import Survey
from freehold.model.system import System


def check(system: System, rules: Iterable[Rule] = RULES) -> list[Violation]:
    """Everything that breaks one of the rules, by code and then by declaration; empty when all is well.

    Reads declarations and source files; connects to nothing.
    """
    survey = Survey(system)
    found = [
        Violation(
            code=rule.code,
            severity=rule.severity,
            where=finding.where,
            message=finding.message,
            remedy=finding.remedy,
            file=finding.place.file if finding.place else None,
            line=finding.place.line if finding.place else None,
        )
        for rule in rules
        for finding in rule.find(survey)
    ]
    return sorted(found, key=lambda violation: (violation.code, violation.where, violation.message))
