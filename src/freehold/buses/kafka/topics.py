"""The topics as the broker has them and as the system declares them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType  # type: ignore[attr-defined]

from freehold.buses.kafka.client import OWN, Errors, describe
from freehold.model.errors import BusUnavailable, ConfigurationError

ANSWER = 4.0
"""Seconds that the broker may take to answer."""
LARGEST = 1_000_000
"""Bytes of a message where the broker does not tell its limit."""


class Topics:
    """Creates what is missing and refuses what differs: another number of partitions sends keys elsewhere.

    Args:
        settings: how to reach the broker.
        partitions: how many each declared topic has.
    """

    def __init__(self, settings: Mapping[str, Any], partitions: Mapping[str, int]) -> None:
        self._settings = settings
        self._partitions = partitions
        self._admin: AdminClient | None = None
        self._errors = Errors("the bus")
        self._declaring = asyncio.Lock()
        self._declared = False
        self._kept: set[str] = set()
        self.limits: dict[str, int] = {}
        """Bytes of a message at most, by topic."""

    async def declare(self) -> None:
        """Make sure, once, that every declared topic is there as declared.

        Raises ConfigurationError when one is there otherwise or may not be created, BusUnavailable when nobody answers.
        """
        if self._declared:
            return
        async with self._declaring:
            if not self._declared:
                await self._ask(self._declare)
                self._declared = True

    def forget(self) -> None:
        """The broker has changed: look again before the next event."""
        self._declared = False

    async def keep(self, topic: str, largest: int) -> None:
        """Make sure that there is a topic of one partition that nobody's clean-up empties."""
        settings = {"retention.ms": "-1", "max.message.bytes": str(largest)}
        if topic not in self._kept:
            await self._ask(lambda: self._create([NewTopic(topic, 1, config=settings)]))
            self._kept.add(topic)

    async def ping(self) -> None:
        """Raise BusUnavailable unless a broker answers."""
        await self._ask(lambda: self._client().list_topics(timeout=ANSWER))

    def close(self) -> None:
        """Disconnect."""
        self._admin = None

    async def _ask(self, question: Any) -> None:
        """Ask the broker in another thread: its answers are waited for."""
        try:
            await asyncio.to_thread(question)
        except KafkaException as error:
            self._client().poll(0)  # it may know why nobody answers
            raise BusUnavailable(self._errors.last or describe(error.args[0])) from None
        self._errors.over()

    def _client(self) -> AdminClient:
        if self._admin is None:
            settings: dict[str, Any] = {**self._settings, **OWN, "error_cb": self._errors}
            self._admin = AdminClient(settings)
        return self._admin

    # --- in that thread -----------------------------------------------------------------------------------------------

    def _declare(self) -> None:
        deadline = time.monotonic() + ANSWER
        missing = self._missing()
        if missing:
            self._create([NewTopic(topic, self._partitions[topic]) for topic in missing])
        while self._missing():  # a broker that was told knows it a moment later
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "created topics do not appear"))
            time.sleep(0.02)
        self.limits = self._read_limits()

    def _missing(self) -> list[str]:
        """Declared topics that are not there. Raises ConfigurationError for one that is there otherwise."""
        there = self._client().list_topics(timeout=ANSWER).topics
        for topic, declared in self._partitions.items():
            found = len(there[topic].partitions) if topic in there else declared
            if found != declared:
                raise ConfigurationError(
                    f"topic {topic}",
                    f"the broker has it with {found} partitions, the system declares {declared}, and the events of a "
                    "key would change their partition and lose their order",
                    f"Declare {found} partitions, or consume it to its end, delete it and let it be created again",
                )
        return [
            topic
            for topic in self._partitions
            if topic not in there or any(each.leader < 0 for each in there[topic].partitions.values())
        ]

    def _create(self, topics: list[NewTopic]) -> None:
        for topic, answer in self._client().create_topics(topics, request_timeout=ANSWER).items():
            try:
                answer.result(ANSWER)
            except TimeoutError:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None
            except KafkaException as error:
                problem = error.args[0]
                if problem.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                    continue  # another process was first
                if problem.code() in _NEVER:
                    raise ConfigurationError(
                        f"topic {topic}",
                        f"it cannot be created ({describe(problem)})",
                        "Allow this user to create topics, or create it with the declared partitions",
                    ) from None
                raise

    def _read_limits(self) -> dict[str, int]:
        resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in self._partitions]
        limits = dict.fromkeys(self._partitions, LARGEST)
        for resource, answer in self._client().describe_configs(resources, request_timeout=ANSWER).items():
            try:
                limits[resource.name] = int(answer.result(ANSWER)["max.message.bytes"].value)
            except TimeoutError:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT)) from None
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    raise
        return limits


_NEVER = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.INVALID_PARTITIONS,
    KafkaError.POLICY_VIOLATION,
}
