"""What every client of the broker is given, and how its errors are told."""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import KafkaError

log = logging.getLogger("freehold.buses.kafka")
_CLIENTS = logging.getLogger("freehold.buses.kafka.client")
_CLIENTS.setLevel(logging.CRITICAL + 1)

OWN: dict[str, Any] = {
    "client.id": "freehold",
    "reconnect.backoff.ms": 300,  # half of it lies between two connections, also when a broker shuts the door at once
    "reconnect.backoff.max.ms": 1000,  # a broker that comes back is noticed soon
    "socket.keepalive.enable": True,
    "log_level": 0,  # what is worth knowing arrives as an error too, and once
    "logger": _CLIENTS,
}


class Errors:
    """Tells each kind of trouble with the broker once, until it is over.

    Args:
        who: whose connection it is.
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self._told: set[int] = set()
        self.last = ""
        self.fatal = False
        self.nobody = False
        """No broker can be reached."""

    def __call__(self, error: KafkaError) -> None:
        """The client's `error_cb`."""
        down = error.code() == KafkaError._ALL_BROKERS_DOWN
        self.last = self.last if down and self.last else describe(error)  # which says why
        self.fatal = self.fatal or error.fatal()
        self.nobody = self.nobody or down
        if error.code() not in self._told:
            self._told.add(error.code())
            log.warning("%s: %s", self._who, describe(error))

    def over(self) -> None:
        """The broker answers."""
        self.nobody = False
        if self._told:
            self._told.clear()
            self.last = ""
            log.info("%s: the broker answers again", self._who)


def describe(error: KafkaError) -> str:
    """An error in a line: its name in Kafka and what it says."""
    return f"{error.name()}: {error.str()}"
