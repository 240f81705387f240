"""The deployments that come with the repository."""

from __future__ import annotations

from pathlib import Path

from freehold.deploy.config import read
from systems.booking_rush.system import system

ROOT = Path(__file__).parents[3]


def test_those_with_a_process_for_each_service_have_a_broker_and_databases_of_their_own() -> None:
    for name, scheme in (("kafka", "kafka"), ("rabbitmq", "amqp")):
        deployment = read(system, name, folder=ROOT, environment={})
        assert deployment.layout == "databases"
        assert deployment.bus.startswith(f"{scheme}://localhost:")
        assert "@" not in deployment.bus.removeprefix(f"{scheme}://"), "secrets come from the environment"
    assert deployment.service("ticket").database.startswith("mysql://")


def test_without_a_name_it_runs_embedded() -> None:
    deployment = read(system, folder=ROOT, environment={})
    assert (deployment.layout, deployment.bus) == ("embedded", "local://")
