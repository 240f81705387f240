"""What a rule is and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from freehold.inspect.source import Place

Looked = TypeVar("Looked")
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule is broken.

    Args:
        where: the declaration, like `orders.orders.user_id`.
        message: what is wrong with it; with `where` before it a sentence.
        remedy: what to do.
        place: where it is written, as far as that can be told.
    """

    where: str
    message: str
    remedy: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Rule(Generic[Looked]):
    """One thing that must hold in every system.

    Args:
        code: for ever the same, like `FH001`; a code is never used again for something else.
        name: lower-case words with hyphens, for people.
        severity: errors fail the check, warnings do not.
        summary: what must hold.
        find: looks through what is known of a system for places where it does not.
    """

    code: str
    name: str
    severity: Severity
    summary: str
    find: Callable[[Looked], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Violation:
    """A finding with the rule it breaks; `file` is relative to the working directory where it lies below it."""

    code: str
    severity: Severity
    where: str
    message: str
    remedy: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file else ""
        return f"{place}{self.code} {self.severity}: {self.where} {self.message}. {self.remedy}"


def violations(rules: Iterable[Rule[Looked]], looked: Looked) -> list[Violation]:
    """Everything that breaks one of the rules, by code and then by declaration."""
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
        for finding in rule.find(looked)
    ]
    return sorted(found, key=lambda violation: (violation.code, violation.where, violation.message))
