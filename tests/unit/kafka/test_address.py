"""A bus's URL becomes a client's settings, and no error or log shows its password."""

from __future__ import annotations

import pytest

from freehold.buses.kafka.address import Address
from freehold.model.errors import ConfigurationError


def test_brokers_and_prefix() -> None:
    address = Address.read("kafka://one,two:9093/staging")
    assert address.settings == {"bootstrap.servers": "one:9092,two:9093"}
    assert address.prefix == "staging."
    assert Address.read("kafka://one:9092").prefix == ""


def test_a_user_and_tls() -> None:
    address = Address.read("kafka://shop:p%40ss%2Fword@one:9092?tls=true&mechanism=SCRAM-SHA-512&ca=/etc/ca.pem")
    assert address.settings == {
        "bootstrap.servers": "one:9092",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "shop",
        "sasl.password": "p@ss/word",
        "ssl.ca.location": "/etc/ca.pem",
    }
    assert "word" not in f"{address} {address!r}"


@pytest.mark.parametrize(
    "url",
    [
        "kafka://",
        "kafka:///shop",
        "amqp://host",
        "kafka://shop:secret@host:port",
        "kafka://shop:secret@host/a/b",
        "kafka://shop:secret@host?tls=yes",
        "kafka://shop:secret@host?mechanism=GSSAPI",
        "kafka://shop:secret@host?password=secret",
        "kafka://shop:secret@:9092",
        "kafka://shop:secret@host#secret",
    ],
)
def test_what_is_wrong_is_said_without_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Address.read(url)
    assert "bus: " in str(error.value)
    assert "secret" not in str(error.value)
