"""From an address to a bus: what is unknown or missing is told, and how to mend it."""

from __future__ import annotations

import sys

import pytest

from freehold.buses.factory import open_bus
from freehold.buses.local import LocalBus
from freehold.model.errors import ConfigurationError
from freehold.model.topology import Topology

NOTHING = Topology("shop", {}, {})


def test_the_local_bus_needs_nothing() -> None:
    assert isinstance(open_bus("local://", NOTHING), LocalBus)


@pytest.mark.parametrize("url", ["", "rabbit://h", "amqp:h", "redis://user:secret@h"])
def test_an_unknown_scheme_is_refused_without_showing_the_address(url: str) -> None:
    with pytest.raises(ConfigurationError, match="Use local:// or amqp:// or") as refused:
        open_bus(url, NOTHING)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("scheme", "client", "extra"),
    [("amqp", "aiormq", "rabbitmq"), ("amqps", "aiormq", "rabbitmq"), ("kafka", "confluent_kafka", "kafka")],
)
def test_a_client_that_is_not_installed_is_told_with_its_extra(
    scheme: str, client: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(f"freehold.buses.{extra}")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, client, None)
    with pytest.raises(ConfigurationError, match=rf"pip install 'freehold\[{extra}\]'"):
        open_bus(f"{scheme}://h", NOTHING)
