"""`[check]` of freehold.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold import ConfigurationError, Service, System
from freehold.inspect import RULES, CheckSettings, check
from freehold.testing import verify

SHARED = System("shop", [Service("a", database="one"), Service("b", database="one")])


def configured(folder: Path, text: str) -> CheckSettings:
    (folder / "freehold.toml").write_text(text)
    return CheckSettings.read(folder)


def test_without_a_file_every_rule_applies(tmp_path: Path) -> None:
    settings = CheckSettings.read(tmp_path)

    assert settings.applied(RULES) == list(RULES)
    assert [found.code for found in settings.judged(check(SHARED, folder=tmp_path))] == ["FH002"]


def test_a_rule_is_switched_off(tmp_path: Path) -> None:
    settings = configured(tmp_path, '[check.rules]\nFH002 = "off"\n')

    assert [rule.code for rule in RULES if rule not in settings.applied(RULES)] == ["FH002"]
    assert verify(SHARED, folder=tmp_path) == []


def test_a_rule_is_made_a_warning(tmp_path: Path) -> None:
    configured(tmp_path, '[check.rules]\nFH002 = "warning"\n')

    assert [(found.code, found.severity) for found in verify(SHARED, folder=tmp_path)] == [("FH002", "warning")]


def test_a_finding_is_meant_and_others_are_not(tmp_path: Path) -> None:
    three = System("shop", [*SHARED.services, Service("c", database="one")])
    configured(tmp_path, '[check.rules]\nFH002 = { allow = ["service b"], severity = "warning" }\n')

    assert [(found.where, found.severity) for found in verify(three, folder=tmp_path)] == [("service c", "warning")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[check.rules]\nFH999 = "off"\n', "check.rules.FH999: is no rule. There are: FH001"),
        ('[check.rules]\nFH002 = "never"\n', "check.rules.FH002.severity: Input should be 'off', 'warning' or 'error'"),
        (
            '[check.rules]\nFH002 = { allowed = ["a"] }\n',
            "check.rules.FH002.allowed: is no setting. There are: severity",
        ),
        ("[check.rules]\nFH002 = 1\n", "check.rules.FH002: "),
        ('[check]\nbaselines = "a"\n', "check.baselines: is no setting. There are: baseline, pages, rules"),
        ('[check]\npages = "docs"\n', "check.pages: String should match pattern"),
        ('[checks]\nbaseline = "a"\n', "freehold.toml: checks: is no section. There are: systems, deploy.NAME, check"),
    ],
)
def test_what_there_is_not_is_an_error_that_names_it(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        configured(tmp_path, text)
    assert str(error.value).startswith(told)
