"""Each rule catches the bad system of its page and not the good one; what the page allows is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.inspect import ALL_RULES, ISOLATION_RULES, RULES, CheckSettings, check, page
from tests.docs.rule_pages import RULES as PAGES
from tests.docs.rule_pages import configuration, example

ALSO = {"FH066": {"FH063"}}
"""What else breaks where a rule is broken, and its page says so."""


@pytest.mark.parametrize("code", [rule.code for rule in RULES])
def test_the_bad_example_is_caught_and_the_good_one_is_not(code: str, tmp_path: Path) -> None:
    document = PAGES / f"{code}.md"
    with example(document, "Bad", tmp_path / "bad") as bad:
        assert bad is not None
        found = check(bad, folder=tmp_path / "bad")
    assert {violation.code for violation in found} == {code} | ALSO.get(code, set()), list(map(str, found))
    allowing = CheckSettings.model_validate({"rules": configuration(document)})
    assert {violation.code for violation in allowing.judged(found)} == ALSO.get(code, set())
    with example(document, "Good", tmp_path / "good") as good:
        assert good is not None
        assert check(good, folder=tmp_path / "good") == []


def test_every_rule_has_a_page_and_every_page_a_rule() -> None:
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted(rule.code for rule in ALL_RULES)
    for rule in ALL_RULES:
        text = page(rule.code)
        assert text.startswith(f"# {rule.code} {rule.name}\n\n{rule.severity}. {rule.summary}\n\n## Why\n\n")
        assert list(configuration(PAGES / f"{rule.code}.md")) == [rule.code]


@pytest.mark.parametrize("code", [rule.code for rule in ISOLATION_RULES])
def test_the_pages_of_isolation_have_both_examples(code: str) -> None:
    assert page(code).count("```sql") == 2 or page(code).count("```toml") == 3
