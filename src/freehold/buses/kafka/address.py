"""From a `kafka://` URL to a client's settings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from freehold.model.errors import ConfigurationError

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_WRITE = "Write kafka://host:port,host:port/prefix, or with user:password@ and ?tls=true&mechanism=SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the brokers are and how to speak to them.

    Args:
        servers: `host:port`, separated by commas.
        prefix: of every topic and group, with a dot at its end; empty for none.
        settings: the client's; they may hold a password and are not shown.
    """

    servers: str
    prefix: str
    settings: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return f"kafka://{self.servers}/{self.prefix[:-1]}"

    @classmethod
    def read(cls, url: str) -> Address:
        """Take a URL apart. Raises ConfigurationError, which never shows the password."""
        parts = urlsplit(url)
        credentials, _, servers = parts.netloc.rpartition("@")
        prefix = parts.path.strip("/")
        if parts.scheme != "kafka" or not servers or parts.fragment:
            raise ConfigurationError("bus", "the address is no kafka:// URL with a host", _WRITE)
        if prefix and not re.fullmatch(r"[A-Za-z0-9._-]+", prefix):
            raise ConfigurationError("bus", f"{prefix!r} cannot begin the names of topics", "Use letters and digits")
        servers = ",".join(_with_port(server) for server in servers.split(","))
        options = _options(parts.query)
        return cls(
            servers, f"{prefix}." if prefix else "", {"bootstrap.servers": servers, **_security(credentials, options)}
        )


def _with_port(server: str) -> str:
    host, colon, port = server.rpartition(":")
    if not colon or server.endswith("]"):
        return f"{server}:9092"
    if not host or not port.isdigit():
        raise ConfigurationError("bus", f"{server!r} is no host:port", _WRITE)
    return server


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(options.keys() - {"tls", "ca", "mechanism"}):
        raise ConfigurationError("bus", f"kafka:// does not know {', '.join(unknown)}", "Use tls, ca and mechanism")
    if options.get("tls", "true") not in {"true", "false"}:
        raise ConfigurationError("bus", "tls is neither true nor false", "Write tls=true")
    if options.get("mechanism", "PLAIN") not in MECHANISMS:
        raise ConfigurationError("bus", "the mechanism is unknown", f"Use one of {', '.join(MECHANISMS)}")
    return options


def _security(credentials: str, options: dict[str, str]) -> dict[str, Any]:
    tls = options.get("tls") == "true"
    settings: dict[str, Any] = {"ssl.ca.location": options["ca"]} if "ca" in options else {}
    if credentials:
        user, _, password = credentials.partition(":")
        settings["sasl.mechanism"] = options.get("mechanism", "PLAIN")
        settings["sasl.username"], settings["sasl.password"] = unquote(user), unquote(password)
    protocol = ("SASL_" if credentials else "") + ("SSL" if tls else "PLAINTEXT")
    return settings if protocol == "PLAINTEXT" else {**settings, "security.protocol": protocol}
