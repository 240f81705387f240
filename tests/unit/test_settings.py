"""What a deployment says to a service: the toolkit's own settings."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from freehold import ConfigurationError, Service, System
from freehold.deploy.config import Deployment, read
from freehold.deploy.process import Process
from freehold.deploy.settings import read_settings
from freehold.runtime.idempotency import IdempotencySettings
from freehold.runtime.retention import RetentionSettings
from freehold.runtime.saga_machine import SagaSettings

orders, stock = Service("orders"), Service("stock")
system = System("shop", services=[orders, stock])


def settings_of(service: Service, folder: Path, toml: str = "", **variables: str) -> dict[type[Any], Any]:
    (folder / "freehold.toml").write_text(toml)
    return read_settings(service, read(system, folder=folder, environment=variables))


def test_nothing_said_leaves_what_the_services_code_says(tmp_path: Path) -> None:
    assert settings_of(orders, tmp_path) == {}


def test_a_deployment_says_it_to_all_services_and_to_one(tmp_path: Path) -> None:
    toml = """
    [deploy.default.retention]
    published = "3d"
    step = 50
    [deploy.default.services.orders.retention]
    published = 3600
    [deploy.default.sagas]
    undone_within = "90s"
    first_wait = 2
    """
    retention = RetentionSettings(published=timedelta(days=3), step=50)
    sagas = SagaSettings(undone_within=timedelta(seconds=90), first_wait=2.0)
    assert settings_of(stock, tmp_path, toml) == {RetentionSettings: retention, SagaSettings: sagas}
    its = settings_of(orders, tmp_path, toml)[RetentionSettings]
    assert its == RetentionSettings(published=timedelta(hours=1), step=50)


async def test_a_process_heeds_them(tmp_path: Path) -> None:
    deployment = Deployment.model_validate({"data": tmp_path, "retention": {"published": "3d"}})
    async with Process(system, deployment, timers=False) as process:
        assert process.units["orders"].upkeep.retention.settings.published == timedelta(days=3)


def test_variables_win(tmp_path: Path) -> None:
    toml = '[deploy.default.idempotency]\nresults = "1h"'
    variables = {"FREEHOLD_IDEMPOTENCY__RESULTS": "2h", "FREEHOLD_SERVICES__ORDERS__SAGAS__PARALLEL": "8"}
    found = settings_of(orders, tmp_path, toml, **variables)
    assert found == {
        IdempotencySettings: IdempotencySettings(timedelta(hours=2)),
        SagaSettings: SagaSettings(parallel=8),
    }


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('[deploy.default.retention]\npublished = "soon"', "retention.published: 'soon' is no duration above zero"),
        ('[deploy.default.retention]\npublished = "0s"', "retention.published: '0s' is no duration above zero"),
        ("[deploy.default.retention]\npublished = -1", "retention.published: -1 is no duration above zero"),
        ("[deploy.default.sagas]\ntries = 0", "sagas.tries: 0 is no number above zero"),
        ("[deploy.default.sagas]\nparallel = 1.5", "sagas.parallel: 1.5 is no number above zero. Give a whole one"),
        (
            "[deploy.default.services.orders.sagas]\ntry = 3",
            "services.orders.sagas.try: is no setting. There are: tries",
        ),
        (
            '[deploy.default.retention]\npublished = "40d"',
            "retention.consumed: is 30 days, 0:00:00, shorter than retention.published",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, toml: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_of(orders, tmp_path, toml)
    assert says.partition(":")[0] in str(refused.value)
    assert says.partition(": ")[2] in str(refused.value)


class Part(BaseModel):
    """A setting with parts of its own."""

    size: int


class Parts(BaseModel):
    """Settings that one word cannot say."""

    waits: tuple[float, ...] = ()
    names: list[str] | None = None
    part: Part | None = None
    either: str | list[str] = ""


parted = Service("orders", settings=[Parts])


def said(folder: Path, **variables: str) -> Parts:
    """The settings from a file and variables."""
    toml = '[deploy.default.services.orders.settings]\nnames = ["a"]'
    (folder / "freehold.toml").write_text(toml)
    environment = {f"FREEHOLD_SERVICES__ORDERS__SETTINGS__{name}": value for name, value in variables.items()}
    deployment = read(System("shop", services=[parted]), folder=folder, environment=environment)
    found = read_settings(parted, deployment)[Parts]
    assert isinstance(found, Parts)
    return found


def test_a_variable_says_what_has_parts_as_json(tmp_path: Path) -> None:
    assert said(tmp_path) == Parts(names=["a"])
    found = said(tmp_path, WAITS="[0.5, 2]", NAMES='["b", "c"]', PART='{"size": 3}', EITHER="[as it is")
    assert found == Parts(waits=(0.5, 2.0), names=["b", "c"], part=Part(size=3), either="[as it is")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("1, 2", r"services\.orders\.settings\.waits: is no JSON\. Write it like \[1, 2\]"),
        ('["soon"]', r"services\.orders\.settings\.waits\.0: Input should be a valid number"),
    ],
)
def test_a_variable_that_does_not_say_its_parts_is_named(tmp_path: Path, value: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        said(tmp_path, WAITS=value)
