"""A baseline: the findings that a system in transition is known to have. It may only shrink."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from freehold.inspect.finding import Finding, Rule, Violation, violations
from freehold.model.errors import ConfigurationError


class Accepted(BaseModel):
    """A finding by what stays the same when lines move."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str
    where: str
    message: str

    @classmethod
    def of(cls, violation: Violation) -> Self:
        """The violation without its place."""
        return cls(code=violation.code, where=violation.where, message=violation.message)


class _File(RootModel[dict[str, list[Accepted]]]):
    """A baseline file: the accepted findings of each system."""


class _Compared(NamedTuple):
    """What is known of a baseline once the system was checked."""

    name: str
    gone: Sequence[Accepted]


class Baseline:
    """One system's part of a baseline file.

    Args:
        path: the file.
        system: whose part.
        accepted: the findings, each as often as it is accepted.
    """

    def __init__(self, path: Path, system: str, accepted: Iterable[Accepted]) -> None:
        self.path = path
        self._system = system
        self._accepted = Counter(accepted)

    @classmethod
    def read(cls, path: Path, system: str) -> Self:
        """What the file accepts of the system.

        Raises:
            ConfigurationError: it is not there, says nothing of this system, or cannot be read.
        """
        parts = _parts(path)
        if system not in parts:
            what = f"says nothing of {system}" if path.exists() else "is not there"
            raise ConfigurationError(f"baseline {path}", what, "Make it once with --create-baseline")
        return cls(path, system, parts[system])

    @classmethod
    def create(cls, path: Path, system: str, found: Iterable[Violation]) -> Self:
        """Accept everything that is found now, and write that.

        Raises:
            ConfigurationError: there is a baseline of this system already; it may only shrink.
        """
        if system in _parts(path):
            raise ConfigurationError(
                f"baseline {path}", f"has {system} already, and may only shrink", "Shrink it with --update-baseline"
            )
        made = cls(path, system, map(Accepted.of, found))
        made._write()
        return made

    def compared(self, found: Sequence[Violation], rules: Iterable[Rule[Any]]) -> list[Violation]:
        """What is found and not accepted, and a violation for each accepted finding that is gone.

        Args:
            found: what the check found.
            rules: those that were applied; what is accepted of others is not missed.
        """
        rest = self._accepted.copy()
        new: list[Violation] = []
        for violation in found:
            if rest[Accepted.of(violation)] > 0:
                rest[Accepted.of(violation)] -= 1
            else:
                new.append(violation)
        return [*new, *violations(BASELINE_RULES, _Compared(self.path.name, self._gone(rest, rules)))]

    def shrink(self, found: Iterable[Violation], rules: Iterable[Rule[Any]]) -> int:
        """Strike what is gone, and write the file where that is anything; how many entries went. Nothing is added."""
        gone = self._gone(self._accepted - Counter(map(Accepted.of, found)), rules)
        self._accepted -= Counter(gone)
        if gone:
            self._write()
        return len(gone)

    @staticmethod
    def _gone(rest: Counter[Accepted], rules: Iterable[Rule[Any]]) -> list[Accepted]:
        applied = {rule.code for rule in rules}
        return [accepted for accepted in rest.elements() if accepted.code in applied]

    def _write(self) -> None:
        entries = sorted(self._accepted.elements(), key=lambda each: (each.code, each.where, each.message))
        parts = {**_parts(self.path), self._system: entries}
        plain = {name: [each.model_dump() for each in accepted] for name, accepted in sorted(parts.items())}
        self.path.write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _parts(path: Path) -> dict[str, list[Accepted]]:
    if not path.exists():
        return {}
    try:
        return _File.model_validate_json(path.read_text(encoding="utf-8")).root
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigurationError(
            f"baseline {path}", f"cannot be read: {place}: {first['msg']}", "Restore it from version control"
        ) from None


def baseline_entry_gone(compared: _Compared) -> Iterator[Finding]:
    for accepted in compared.gone:
        yield Finding(
            f"{compared.name}: {accepted.code} {accepted.where}",
            "is accepted and no longer found",
            "Strike it with --update-baseline: a baseline may only shrink",
        )


BASELINE_RULES: tuple[Rule[_Compared], ...] = (
    Rule(
        "FH110",
        "baseline-entry-gone",
        "error",
        "A baseline accepts only what is still found.",
        baseline_entry_gone,
    ),
)
