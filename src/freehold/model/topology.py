"""What a broker must know of a system before the first event is published: plain data, taken from the declarations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from freehold.model.errors import ConfigurationError
from freehold.model.messages import Message
from freehold.model.saga import is_command
from freehold.model.service import Service
from freehold.model.system import System

PARTITIONS = 8


@dataclass(frozen=True, slots=True)
class Topology:
    """Topics with their partitions, and what each consumer group takes from which of them.

    Args:
        system: the system's name, under which a broker that is shared keeps everything.
        topics: how many partitions each topic has; events of one key are in one partition.
        groups: for each consumer group, which is a service, the topic of every type that it takes.
    """

    system: str
    topics: Mapping[str, int]
    groups: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, system: System, *, partitions: int = PARTITIONS, by_topic: Mapping[str, int] | None = None) -> Self:
        """The topology of a system: every event that is published and every command that can be sent.

        Args:
            system: the declarations.
            partitions: of each topic.
            by_topic: topics with another number.

        Raises:
            ConfigurationError: a number below 1, or a topic that the system does not have.
        """
        groups = {
            service.name: {message.__message__.name: message.__message__.topic for message in service.consumes()}
            for service in system.services
        }
        topics = {message.__message__.topic for service in system.services for message in _spoken(service)}
        topics |= {topic for taken in groups.values() for topic in taken.values()}
        numbers = dict.fromkeys(sorted(topics), partitions) | dict(by_topic or {})
        if unknown := sorted(numbers.keys() - topics):
            raise ConfigurationError(
                "topics", f"names {', '.join(unknown)}, which {system.name} does not have",
                f"Its topics: {', '.join(sorted(topics)) or 'none'}",
            )  # fmt: skip
        if wrong := sorted(topic for topic, number in numbers.items() if number < 1):
            raise ConfigurationError(
                f"topics.{wrong[0]}", f"would have {numbers[wrong[0]]} partitions", "A topic needs 1 at least"
            )
        return cls(system.name, numbers, {group: taken for group, taken in groups.items() if taken})

    def takers(self, event_type: str) -> list[str]:
        """The groups that take events of this type."""
        return [group for group, taken in self.groups.items() if event_type in taken]

    def width(self, group: str) -> int:
        """The most partitions that a topic of the group has."""
        return max(self.topics[topic] for topic in self.groups[group].values())


def _spoken(service: Service) -> Iterator[type[Message]]:
    """What a service publishes, and the commands that its sagas send."""
    yield from service.publishes
    for saga in service.sagas:
        for version in (saga, *saga.former):
            for step in version.steps:
                yield from (action for action in (step.do, step.undo) if is_command(action))
