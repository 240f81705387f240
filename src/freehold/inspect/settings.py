"""`[check]` of freehold.toml: which rules apply, how severely, and what is meant to be as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from freehold.deploy.config import FILE, read_document
from freehold.inspect.baseline import BASELINE_RULES
from freehold.inspect.finding import Rule, Violation
from freehold.inspect.isolation import ISOLATION_RULES
from freehold.inspect.rules import RULES
from freehold.model.errors import ConfigurationError

AnyRule = TypeVar("AnyRule", bound=Rule[Any])
ALL_RULES: tuple[Rule[Any], ...] = (*RULES, *ISOLATION_RULES, *BASELINE_RULES)
"""Every rule that `freehold check` can report."""


class RuleSetting(BaseModel):
    """What is said to one rule.

    Args:
        severity: another than the rule's own; `off`: the rule does not apply.
        allow: findings that are meant to be so, each by its `where`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    severity: Literal["off", "warning", "error"] | None = None
    allow: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _a_word_is_the_severity(cls, given: Any) -> Any:
        return {"severity": given} if isinstance(given, str) else given


class CheckSettings(BaseModel):
    """What a project says to its check.

    Args:
        baseline: the file of accepted findings, from where freehold.toml is; empty: there is none.
        pages: base address under which the rules' pages are published, for SARIF; empty: those that are installed.
        rules: by code.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    baseline: str = ""
    pages: str = Field(default="", pattern="^(https?://.+)?$")
    rules: dict[str, RuleSetting] = Field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path | None = None) -> Self:
        """What freehold.toml in the folder, or in the working directory, says.

        Raises:
            ConfigurationError: a code, key or value that there is not.
        """
        given = read_document((folder or Path.cwd()) / FILE).get("check", {})
        try:
            settings = cls.model_validate(given)
        except ValidationError as error:
            raise _explained(error) from None
        codes = [rule.code for rule in ALL_RULES]
        if unknown := sorted(settings.rules.keys() - set(codes)):
            raise ConfigurationError(
                f"check.rules.{unknown[0]}", "is no rule", f"There are: {', '.join(sorted(codes))}"
            )
        return settings

    def applied(self, rules: Iterable[AnyRule]) -> list[AnyRule]:
        """Those of the rules that are not off."""
        return [rule for rule in rules if self._of(rule.code).severity != "off"]

    def judged(self, found: Sequence[Violation]) -> list[Violation]:
        """The violations that count here, each as severe as is said."""
        return [
            replace(each, severity=severity)
            for each in found
            if (severity := self._of(each.code).severity or each.severity) != "off"
            and each.where not in self._of(each.code).allow
        ]

    def _of(self, code: str) -> RuleSetting:
        return self.rules.get(code, RuleSetting())


def _explained(error: ValidationError) -> ConfigurationError:
    first = error.errors(include_url=False)[0]
    path = ".".join(["check", *map(str, first["loc"])])
    if first["type"] == "extra_forbidden":
        known = RuleSetting if first["loc"][0] == "rules" else CheckSettings
        return ConfigurationError(path, "is no setting", f"There are: {', '.join(known.model_fields)}")
    return ConfigurationError(
        path, first["msg"], f"Correct it in {FILE}: a rule is 'off', 'warning', 'error' or a table"
    )
