"""From an address to an engine."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any, cast

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from freehold.model.errors import ConfigurationError
from freehold.model.ports import Engine

_ENGINES = {
    "sqlite": ("freehold.engines.sqlite", "SqliteEngine"),
    "postgresql": ("freehold.engines.postgres", "PostgresEngine"),
    "postgres": ("freehold.engines.postgres", "PostgresEngine"),
    "mysql": ("freehold.engines.mysql", "MysqlEngine"),
    "mariadb": ("freehold.engines.mysql", "MysqlEngine"),
}
_EXTRAS = {"mysql": "'freehold[mysql]'", "mariadb": "'freehold[mysql]'"}


def open_engine(url: str, **options: Any) -> Engine:
    """The engine for `sqlite:///path`, `postgresql://user:password@host:port/database`, or the same with `mysql://` or
    `mariadb://`; nothing is connected yet.

    `options` are those of `SqliteEngine`, `PostgresEngine` and `MysqlEngine`. Raises ConfigurationError, never with the
    password.
    """
    address = parse_url(url)
    if address.drivername not in _ENGINES:
        raise ConfigurationError(
            "database", f"{address.drivername}:// is unknown", "Use sqlite:///, postgresql:// or mysql://"
        )
    module, name = _ENGINES[address.drivername]
    try:
        engine = getattr(import_module(module), name)
    except ImportError as error:
        raise ConfigurationError(
            "database",
            f"the driver for {address.drivername}:// is missing ({error.name})",
            f"pip install {_EXTRAS.get(address.drivername, error.name)}",
        ) from error
    known = [option for option in inspect.signature(engine).parameters if option != "url"]
    if unknown := sorted(options.keys() - set(known)):
        raise ConfigurationError(
            f"database option {', '.join(unknown)}",
            f"{address.drivername}:// does not know it",
            f"Use {', '.join(known)}",
        )
    return cast("Engine", engine(address, **options))


def parse_url(url: str) -> URL:
    """A database's address, taken apart. Raises ConfigurationError, which never shows the password."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "database",
            "the address cannot be read (it is not shown, as it may hold a password)",
            "Write sqlite:///path or postgresql://user:password@host:port/database (or mysql://), special characters "
            "%-encoded",
        ) from None
