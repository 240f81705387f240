"""Takes secrets out of what is about to be logged. The last line of defence: code must not log them at all."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from typing import Any, Final

HIDDEN: Final = "[redacted]"
_SENSITIVE: Final = (
    r"(?:[\w-]*(?:password|passwd|secret|token|authorization|cookie|(?:api|private)[_-]?key|card[_-]?number|cvc|cvv))"
)
_PATTERNS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"), HIDDEN),  # a JSON Web Token
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), rf"\1:{HIDDEN}@"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), HIDDEN),
    (
        re.compile(
            rf"""(["']?\b{_SENSITIVE}["']?\s*[=:]\s*)("[^"]*"|'[^']*'|(?!\[redacted\])[^\s,;&}})\]]+)""",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)
_SENSITIVE_NAME: Final = re.compile(_SENSITIVE, re.IGNORECASE)
_CARD: Final = re.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])")
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def redact(text: str) -> str:
    """The text without tokens, passwords, private keys and card numbers."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _CARD.sub(_hide_card, text)


def redact_value(name: str, value: Any) -> Any:
    """A value that is logged under a name, with everything in it."""
    if value is not None and _SENSITIVE_NAME.fullmatch(name):
        return HIDDEN
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: redact_value(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value(name, each) for each in value]
    return HIDDEN if isinstance(value, bytes) else value


def _hide_card(match: re.Match[str]) -> str:
    digits = [int(character) for character in match[0] if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return HIDDEN if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 else match[0]  # Luhn's check


class Redacting(logging.Filter):
    """A filter for a handler: redacts the message, the extras and the traceback of every record that passes it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info:
            record.exception = redact(_formatted(record.exc_info))
            record.exc_info = record.exc_text = None
        for name in record.__dict__.keys() - _STANDARD:
            record.__dict__[name] = redact_value(name, record.__dict__[name])
        return True


def _formatted(exc_info: Any) -> str:
    lines: Callable[..., list[str]] = traceback.format_exception
    return "".join(lines(*exc_info)).rstrip()
