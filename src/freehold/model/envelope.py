"""An event on its way: what the outbox keeps, the bus carries and a consumer gets. CloudEvents 1.0 on the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

CONTENT_TYPE = "application/cloudevents+json"
EXTENSIONS = ("correlationid", "causationid", "tenantid", "traceparent", "undoes")


@dataclass(frozen=True, slots=True)
class Envelope:
    """One published event with everything that travels beside its data.

    `payload` is the event's JSON text, untouched from the publisher's outbox to the consumer's handler. `headers` are
    the CloudEvents extensions. `seq` orders the rows of one outbox and means nothing elsewhere.
    """

    event_id: UUID
    type: str
    version: int
    source: str
    topic: str
    key: str
    time: datetime
    payload: str
    headers: Mapping[str, str] = field(default_factory=dict)
    seq: int = 0

    def to_wire(self) -> bytes:
        """Structured CloudEvents JSON."""
        attributes: dict[str, Any] = {
            "specversion": "1.0",
            "id": str(self.event_id),
            "source": self.source,
            "type": self.type,
            "time": self.time.isoformat(),
            "datacontenttype": "application/json",
            "dataversion": str(self.version),
            "partitionkey": self.key,
            **self.headers,
        }
        return f'{json.dumps(attributes)[:-1]}, "data": {self.payload}}}'.encode()

    @classmethod
    def from_wire(cls, body: bytes, topic: str) -> Envelope:
        """Read what `to_wire` wrote. Raises ValueError on anything that is not such a document."""
        try:
            document = json.loads(body)
            known = ("id", "source", "type", "time", "partitionkey", "data")
            event_id, source, kind, moment, key, data = (document[name] for name in known)
            headers = {name: document[name] for name in EXTENSIONS if name in document}
            time = datetime.fromisoformat(moment)
            if not all(isinstance(text, str) for text in (source, kind, key, *headers.values())):
                raise ValueError("source, type, partitionkey and the extensions are texts")
            if time.tzinfo is None:
                raise ValueError(f"time {moment!r} has no offset")
            return cls(
                event_id=UUID(event_id),
                type=kind,
                version=int(document.get("dataversion", 1)),
                source=source,
                topic=topic,
                key=key,
                time=time,
                payload=json.dumps(data),
                headers=headers,
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"not a CloudEvents document with the members Freehold writes: {error!r}") from error
