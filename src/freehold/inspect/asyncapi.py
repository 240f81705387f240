"""AsyncAPI 3: topics, who sends and who receives what on them, and what it looks like on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from freehold.inspect.catalogue import SCHEMAS, Catalogue, Entry, Part, catalogue
from freehold.model.envelope import CONTENT_TYPE, EXTENSIONS
from freehold.model.system import System

VERSION = "3.0.0"
_ENVELOPE = "CloudEvent"
_MESSAGES = "#/components/messages/"
_KAFKA = "0.5.0"


def asyncapi(system: System, known: Catalogue | None = None) -> dict[str, Any]:
    """The system's AsyncAPI document: a channel for each topic, a message for each event and command, and for each
    service the operations `send` and `receive` on every topic that it uses.

    Args:
        system: the declarations.
        known: its catalogue, where that is there already.
    """
    known = known or catalogue(system)
    topics: dict[str, list[Entry]] = {}
    for entry in known.entries.values():
        topics.setdefault(entry.spec.topic, []).append(entry)
    return {
        "asyncapi": VERSION,
        "info": {"title": system.title or system.name, "version": system.version},
        "defaultContentType": CONTENT_TYPE,
        "channels": {topic: _channel(topic, topics[topic]) for topic in sorted(topics)},
        "operations": dict(_operations(system, {topic: topics[topic] for topic in sorted(topics)})),
        "components": {
            "messages": {entry.spec.name: _message(entry) for entry in known.entries.values()},
            "schemas": {_ENVELOPE: _envelope(), **known.schemas},
        },
    }


def _channel(topic: str, entries: list[Entry]) -> dict[str, Any]:
    return {
        "address": topic,
        "messages": {entry.spec.name: {"$ref": f"{_MESSAGES}{entry.spec.name}"} for entry in entries},
    }


def _operations(system: System, topics: dict[str, list[Entry]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for service in system.services:
        for topic, entries in topics.items():
            for action in ("send", "receive"):
                mine = [entry for entry in entries if _has_part(service.name, _parts(entry, action))]
                if mine:
                    yield f"{service.name}.{action}.{topic}", _operation(service.name, action, topic, mine)


def _parts(entry: Entry, action: str) -> list[Part]:
    return entry.senders if action == "send" else entry.takers


def _has_part(service: str, parts: list[Part]) -> bool:
    return any(part.service == service for part in parts)


def _operation(service: str, action: str, topic: str, entries: list[Entry]) -> dict[str, Any]:
    channel = f"#/channels/{topic}"
    made: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": channel},
        "tags": [{"name": service}],
        "messages": [{"$ref": f"{channel}/messages/{entry.spec.name}"} for entry in entries],
    }
    if action == "receive":
        group = {"type": "string", "enum": [service]}
        made["bindings"] = {"kafka": {"groupId": group, "bindingVersion": _KAFKA}}
    return made


def _message(entry: Entry) -> dict[str, Any]:
    spec = entry.spec
    made: dict[str, Any] = {
        "name": spec.name,
        "title": entry.schema,
        "contentType": CONTENT_TYPE,
        "headers": {"type": "object", "properties": {"content-type": {"type": "string", "const": CONTENT_TYPE}}},
        "payload": {
            "allOf": [
                {"$ref": f"{SCHEMAS}{_ENVELOPE}"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": spec.name},
                        "dataversion": {"const": str(spec.version)},
                        "data": {"$ref": f"{SCHEMAS}{entry.schema}"},
                    },
                    "required": ["data"],
                },
            ]
        },
        "correlationId": {"location": "$message.payload#/correlationid"},
        "tags": [{"name": entry.kind}],
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"the value of {spec.key}"},
                "bindingVersion": _KAFKA,
            }
        },
    }
    if entry.about:
        made["description"] = entry.about
    if entry.example is not None:
        made["examples"] = [{"name": spec.name, "payload": example_on_the_wire(entry)}]
    return made


def example_on_the_wire(entry: Entry) -> dict[str, Any]:
    """The example of a message in its envelope."""
    data = entry.example or {}
    return {
        "specversion": "1.0",
        "id": "0195500a-0000-7000-8000-000000000000",
        "source": entry.senders[0].service if entry.senders else "unknown",
        "type": entry.spec.name,
        "time": "2026-03-01T09:30:00+00:00",
        "datacontenttype": "application/json",
        "dataversion": str(entry.spec.version),
        "partitionkey": str(data.get(entry.spec.key, "")),
        "data": data,
    }


def _envelope() -> dict[str, Any]:
    texts = ("source", "type", "dataversion", "partitionkey", *EXTENSIONS)
    return {
        "title": _ENVELOPE,
        "description": "CloudEvents 1.0, structured JSON. Messages of one `partitionkey` keep their order in a topic.",
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "format": "uuid"},
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"const": "application/json"},
            **{name: {"type": "string"} for name in texts},
        },
        "required": ["specversion", "id", "source", "type", "time", "dataversion", "partitionkey"],
    }
