"""From an address to a bus."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from freehold.model.errors import ConfigurationError
from freehold.model.ports import Bus
from freehold.model.topology import Topology

_BUSES = {
    "local": ("freehold.buses.local", "LocalBus", ""),
    "amqp": ("freehold.buses.rabbitmq", "RabbitBus", "rabbitmq"),
    "amqps": ("freehold.buses.rabbitmq", "RabbitBus", "rabbitmq"),
    "kafka": ("freehold.buses.kafka", "KafkaBus", "kafka"),
}
SCHEMES = tuple(f"{scheme}://" for scheme in _BUSES)


def open_bus(url: str, topology: Topology, **options: Any) -> Bus:
    """The bus for `local://`, `amqp://user:password@host:port/vhost` or `kafka://host:port`; nothing is connected yet.

    Args:
        url: where it is; `amqps://` speaks TLS.
        topology: the system whose events it carries.
        options: those of `RabbitBus` and `KafkaBus`.

    Raises:
        ConfigurationError: an unknown scheme, or a client that is not installed; never with the password.
    """
    scheme = url.partition("://")[0]
    if scheme not in _BUSES:
        raise ConfigurationError("bus", "the address begins with no scheme known here", f"Use {' or '.join(SCHEMES)}")
    module, name, extra = _BUSES[scheme]
    try:
        bus = getattr(import_module(module), name)
    except ImportError as error:
        raise ConfigurationError(
            "bus", f"the client for {scheme}:// is missing ({error.name})", f"pip install 'freehold[{extra}]'"
        ) from error
    return cast("Bus", bus(url, topology, **options) if extra else bus())
