"""The architecture linter: every rule over a whole system."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from freehold.inspect.baseline import Baseline
from freehold.inspect.finding import Rule, Violation, violations
from freehold.inspect.rules import RULES
from freehold.inspect.settings import CheckSettings
from freehold.inspect.survey import Survey
from freehold.model.system import System


def check(system: System, rules: Iterable[Rule[Survey]] = RULES, *, folder: Path | None = None) -> list[Violation]:
    """Everything that breaks one of the rules, by code and then by declaration; empty when all is well.

    Reads declarations, source files, the system's events.lock and the freehold.toml of `folder` (the working directory
    when None); connects to nothing. What `[check]` says there is for `verify`.
    """
    return violations(rules, Survey(system, folder))


def verify(system: System, *, folder: Path | None = None) -> list[Violation]:
    """What `freehold check` reports: everything that breaks a rule, as `[check]` of freehold.toml judges it.

        def test_the_architecture() -> None:
            assert verify(system) == []

    What the baseline accepts is left out; an entry of it that is no longer found is a violation of its own (FH110).

    Args:
        system: what is looked at.
        folder: where freehold.toml is; the working directory when None.

    Raises:
        ConfigurationError: `[check]` names what there is not, or a baseline that cannot be read.
    """
    settings = CheckSettings.read(folder)
    found = settings.judged(check(system, folder=folder))
    if not settings.baseline:
        return found
    baseline = Baseline.read((folder or Path.cwd()) / settings.baseline, system.name)
    return baseline.compared(found, settings.applied(RULES))
