"""Logs: the library logs by the standard library; the command shows it as one line for each record.

What a record is about (request, service, event) is bound once, with `about`, and every record within carries it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TextIO

from freehold.observe.redaction import Redacting

_NOTHING: Final[Mapping[str, Any]] = {}
_bound: ContextVar[Mapping[str, Any]] = ContextVar("freehold_log_context", default=_NOTHING)


@contextmanager
def about(**values: Any) -> Iterator[None]:
    """Every record within the block, and within tasks begun there, says so: `about(service=…, event_id=…)`."""
    token = _bound.set({**_bound.get(), **values})
    try:
        yield
    finally:
        _bound.reset(token)


def bound() -> Mapping[str, Any]:
    """What records are about, here."""
    return _bound.get()


class Binding(logging.Filter):
    """A filter that puts what is bound onto each record, for people who configure logging themselves."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in _bound.get().items():
            if name not in record.__dict__:
                record.__dict__[name] = value
        return True


CHATTY = ("httpx", "httpcore", "uvicorn.error")
"""Loggers of libraries that tell of each request, or say again what the command says."""


def configure_logging(*, json: bool | None = None, level: int | str = "INFO", stream: TextIO | None = None) -> None:
    """Show all records on standard error, one JSON object a line or coloured text, with secrets taken out.

    Args:
        json: None chooses text for a terminal and JSON for everything else.
        level: records below it are dropped.
        stream: where to write instead.
    """
    import structlog

    stream = stream or sys.stderr
    as_json = not stream.isatty() if json is None else json
    renderer: Any = (
        structlog.processors.JSONRenderer(default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(Binding())
    handler.addFilter(Redacting())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _message_first, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _message_first(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """In the order in which people read a line."""
    first = ("timestamp", "level", "event", "service", "logger")
    return {name: event[name] for name in first if name in event} | dict(event)
