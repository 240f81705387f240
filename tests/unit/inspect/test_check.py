from __future__ import annotations

import re

from freehold import Service, System
from freehold.inspect import RULES, Rule, check
from freehold.inspect.finding import Finding


def test_codes_and_names_are_unique_and_stable_in_form() -> None:
    codes = [rule.code for rule in RULES]

    assert len(set(codes)) == len(codes)
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(re.fullmatch(r"FH\d{3}", code) for code in codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name) and rule.summary.endswith(".") for rule in RULES)


def test_only_the_given_rules_are_applied() -> None:
    broken = System("shop", [Service("a", database="one"), Service("b", database="one")])

    assert [violation.code for violation in check(broken)] == ["FH002"]
    assert check(broken, [rule for rule in RULES if rule.code != "FH002"]) == []


def test_a_rule_is_data_and_violations_come_in_order() -> None:
    def find(survey: object) -> list[Finding]:
        return [Finding("orders", "is late", "Hurry"), Finding("auth", "is late", "Hurry")]

    rule = Rule("FH999", "late", "warning", "Nothing is late.", find)  # type: ignore[arg-type]

    assert [str(found) for found in check(System("shop", []), [rule])] == [
        "FH999 warning: auth is late. Hurry",
        "FH999 warning: orders is late. Hurry",
    ]
