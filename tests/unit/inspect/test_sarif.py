"""SARIF 2.1.0, with the properties that code scanning asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from freehold.inspect import ALL_RULES, Violation, page, sarif

FOUND = [
    Violation("FH010", "error", "orders.orders.user_id", "is a foreign key", "Use soft_ref", "shop/my tables.py", 12),
    Violation("FH072", "warning", "orders GET /orders", "answers with a list", "Take Paging"),
    Violation("FH010", "error", "orders.orders.item_id", "is a foreign key", "Use soft_ref", "/elsewhere/tables.py", 3),
]


def run(**options: Any) -> dict[str, Any]:
    log = sarif(FOUND, ALL_RULES, otherwise="shop/system.py", **options)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (only,) = log["runs"]
    assert isinstance(only, dict)
    return only


def test_every_rule_is_told_with_its_page() -> None:
    driver = run()["tool"]["driver"]
    assert driver["name"] == "freehold"
    assert [rule["id"] for rule in driver["rules"]] == sorted(rule.code for rule in ALL_RULES)
    for rule in driver["rules"]:
        assert rule["help"]["markdown"] == rule["help"]["text"] == page(rule["id"])
        assert rule["shortDescription"]["text"]
        assert len(rule["fullDescription"]["text"]) <= 1024
        assert rule["defaultConfiguration"]["level"] in ("error", "warning")
        address = urlsplit(rule["helpUri"])
        assert address.scheme == "file"
        assert Path(unquote(address.path)).read_text() == page(rule["id"])


def test_pages_that_are_published_are_pointed_to() -> None:
    rules = run(pages="https://docs.example.org/rules/")["tool"]["driver"]["rules"]
    assert rules[0]["helpUri"] == "https://docs.example.org/rules/FH001.md"


def test_every_result_has_its_rule_a_message_and_a_place() -> None:
    whole = run()
    rules, results = whole["tool"]["driver"]["rules"], whole["results"]
    assert [rules[result["ruleIndex"]]["id"] for result in results] == [result["ruleId"] for result in results]
    assert [result["level"] for result in results] == ["error", "warning", "error"]
    assert results[0]["message"]["text"] == "orders.orders.user_id is a foreign key. Use soft_ref"
    places = [result["locations"][0]["physicalLocation"] for result in results]
    assert [(place["artifactLocation"]["uri"], place["region"]["startLine"]) for place in places] == [
        ("shop/my%20tables.py", 12),
        ("shop/system.py", 1),
        ("file:///elsewhere/tables.py", 3),
    ]


def test_a_result_is_known_again_when_lines_move() -> None:
    def prints(*found: Violation) -> list[str]:
        results = sarif(found, ALL_RULES, otherwise="a.py")["runs"][0]["results"]
        return [result["partialFingerprints"]["freehold/v1"] for result in results]

    first = FOUND[0]
    moved = Violation(first.code, first.severity, first.where, first.message, first.remedy, first.file, 99)
    assert prints(first) == prints(moved)
    assert len(set(prints(*FOUND))) == len(FOUND)
