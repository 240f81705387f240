"""Configuration: secrets come from the environment, never from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretBytes, SecretStr

from freehold.deploy.config import FILE, PREFIX, SEPARATOR, read_document
from freehold.inspect.finding import Finding, Rule
from freehold.inspect.source import Place, place
from freehold.inspect.survey import Survey
from freehold.observe.redaction import redact_value


def secret_in_file(survey: Survey) -> Iterator[Finding]:
    file = survey.folder / FILE
    for name, deployment in read_document(file).get("deploy", {}).items():
        for path, value in _texts(deployment):
            if redact_value(path[-1], value) != value:
                yield Finding(
                    f"{FILE}: deploy.{'.'.join([name, *path])}",
                    "holds a secret, which everybody has who has the file",
                    f"Give it by the variable {PREFIX}{SEPARATOR.join(path).upper()}, and change the secret",
                    _line_of(file, path[-1], value),
                )


def secret_in_code(survey: Survey) -> Iterator[Finding]:
    for service in survey.services:
        for model in service.settings:
            for name, field in model.model_fields.items():
                default = field.default
                if isinstance(default, SecretStr | SecretBytes):
                    known = bool(default.get_secret_value())
                else:
                    known = isinstance(default, str) and default != "" and redact_value(name, default) != default
                if known:
                    yield Finding(
                        f"{service.name}: {model.__name__}.{name}",
                        "is a secret with a default, which everybody knows who has the code",
                        "Leave it without a default, or make a fresh one by default_factory",
                        survey.source.of_attribute(model, name),
                    )


def _texts(table: dict[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _texts(value, *path, key)
        elif isinstance(value, str) and value:
            yield (*path, key), value


def _line_of(file: Path, key: str, value: str) -> Place | None:
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
    return next((place(file, number) for number, line in lines if key in line and value in line), None)


RULES = (
    Rule("FH100", "secret-in-file", "error", "freehold.toml holds no secret.", secret_in_file),
    Rule("FH101", "secret-in-code", "error", "A setting that is a secret has no default in the code.", secret_in_code),
)
