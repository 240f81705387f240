"""Secrets in freehold.toml and in the code."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, Field, SecretStr

from freehold import Service, System
from freehold.inspect import Violation, check


class PaymentSettings(BaseModel):
    api_key: SecretStr = SecretStr("")
    webhook_secret: SecretStr = Field(default_factory=lambda: SecretStr("fresh"))
    password: str = ""
    required: SecretStr
    token_minutes: str = "5"
    address: str = "https://payments.example.org"


class CarelessSettings(BaseModel):
    password: str = "hunter2"
    database: str = "postgresql://orders:hunter2@db/orders"
    hidden: SecretStr = SecretStr("hunter2")


def found(folder: Path, toml: str = "", settings: type[BaseModel] = PaymentSettings) -> list[Violation]:
    (folder / "freehold.toml").write_text(toml)
    return check(System("shop", [Service("payments", settings=[settings])]), folder=folder)


@pytest.mark.parametrize(
    "line",
    [
        'database = "postgresql://orders:hunter2@db/orders"',
        'settings = { api_key = "hunter2" }',
        'settings.stripe.secret = "hunter2"',
    ],
)
def test_a_secret_in_the_file_is_found_and_not_repeated(tmp_path: Path, line: str) -> None:
    [violation] = found(tmp_path, f"# prod\n[deploy.prod.services.payments]\nworkers = 2\n{line}\n")

    assert (violation.code, violation.line) == ("FH100", 4)
    assert violation.where.startswith("freehold.toml: deploy.prod.services.payments.")
    assert "FREEHOLD_SERVICES__PAYMENTS__" in violation.remedy
    assert "hunter2" not in str(violation)


def test_what_is_no_secret_may_stand_in_the_file(tmp_path: Path) -> None:
    lines = ('bus = "amqp://broker:5672/"', 'store = "redis://cache/0"', 'topics = { tokens = "8" }')
    plain = 'settings = { token_minutes = "5", api_key = "" }'
    assert found(tmp_path, "\n".join(["[deploy.prod]", *lines, "[deploy.prod.services.payments]", plain])) == []


def test_a_secret_in_the_code_is_found_and_not_repeated(tmp_path: Path) -> None:
    violations = found(tmp_path, settings=CarelessSettings)

    assert [(each.code, each.where.rpartition(".")[2]) for each in violations] == [
        ("FH101", "database"),
        ("FH101", "hidden"),
        ("FH101", "password"),
    ]
    assert all(each.file and each.line for each in violations)
    assert "hunter2" not in "".join(map(str, violations))
