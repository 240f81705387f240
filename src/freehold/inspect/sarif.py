"""Findings as SARIF 2.1.0, which code scanning and editors read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from freehold.inspect.finding import Rule, Violation
from freehold.inspect.pages import address, page

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(found: Sequence[Violation], rules: Iterable[Rule[Any]], *, otherwise: str, pages: str = "") -> dict[str, Any]:
    """One run as a SARIF log.

    Args:
        found: what is reported.
        rules: those that were applied.
        otherwise: the file that a finding is shown in whose own place is not known.
        pages: base address under which the rules' pages are published; empty: those that are installed.
    """
    ordered = sorted(rules, key=lambda rule: rule.code)
    codes = [rule.code for rule in ordered]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "freehold",
                        "semanticVersion": metadata.version("freehold"),
                        "rules": [_rule(rule, pages) for rule in ordered],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(violation, codes.index(violation.code), otherwise) for violation in found],
            }
        ],
    }


def _rule(rule: Rule[Any], pages: str) -> dict[str, Any]:
    text = page(rule.code)
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.summary},
        "defaultConfiguration": {"level": rule.severity},
        "help": {"text": text, "markdown": text},
        "helpUri": address(rule.code, pages),
    }


def _result(violation: Violation, index: int, otherwise: str) -> dict[str, Any]:
    stable = f"{violation.code}\n{violation.where}\n{violation.message}"
    return {
        "ruleId": violation.code,
        "ruleIndex": index,
        "level": violation.severity,
        "message": {"text": f"{violation.where} {violation.message}. {violation.remedy}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(violation.file or otherwise)},
                    "region": {"startLine": violation.line or 1},
                },
                "logicalLocations": [{"fullyQualifiedName": violation.where}],
            }
        ],
        "partialFingerprints": {"freehold/v1": hashlib.sha256(stable.encode()).hexdigest()},
    }


def _uri(file: str) -> str:
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
