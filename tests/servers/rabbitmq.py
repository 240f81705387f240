"""RabbitMQ: found where it is installed, otherwise from an image or Debian's package."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.private import PrivateServer, free_port

LARGEST_MESSAGE = 4_000_000
MISSING = (
    "The tests need a RabbitMQ broker and none is installed. Install Debian's rabbitmq-server, or set "
    "FREEHOLD_TEST_RABBITMQ to the amqp:// URL of a broker whose user may declare exchanges and queues."
)


class RabbitMQ(PrivateServer):
    """A private broker with its own node name, cookie, port mapper and configuration: it meets no other."""

    name = "RabbitMQ"
    runs_as = ("rabbitmq", "nobody")

    def __init__(self) -> None:
        super().__init__()
        self._broker, self._epmd = self.obtain(
            _installed, "rabbitmq-server", of="rabbitmq:4", there=("rabbitmq-server", "epmd"), missing=MISSING
        )
        self._password = secrets.token_urlsafe(16)
        self._node = f"freehold-{os.getpid()}-{self.port}@localhost"
        self._mapper_port, self._distribution_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None
        self.write("environment", "")
        self.write("plugins", "[].\n")
        self.write(".erlang.cookie", secrets.token_hex(20)).chmod(0o400)
        self.launch()
        self.url = f"amqp://freehold:{self._password}@127.0.0.1:{self.port}/"

    def command(self) -> Sequence[str | Path]:
        self.write(
            "rabbitmq.conf",
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"default_user = freehold\ndefault_pass = {self._password}\n"
            f"max_message_size = {LARGEST_MESSAGE}\n"
            "log.console.level = info\nlog.file = false\n"
            "raft.wal_max_size_bytes = 64000000\ndisk_free_limit.absolute = 50MB\n",
        )
        return [self._broker]

    def environment(self) -> Mapping[str, str]:
        return {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "environment"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_LOGS": "-",
            "RUNNING_UNDER_SYSTEMD": "true",  # its script becomes the broker then, rather than the broker's parent
        }

    def version(self) -> str:
        told = re.search(r"RabbitMQ ([0-9.]+)", (self.folder / "log").read_text(errors="replace"))
        return f"RabbitMQ {told[1] if told else '?'}"

    def close(self) -> None:
        super().close()
        if self._mapper is not None:
            if self.image is not None:
                self.image.send("epmd", signal.SIGKILL)
            self._mapper.kill()
            self._mapper.wait()

    def _start(self) -> None:
        if self._mapper is None:  # in the foreground: the one that the broker would start outlives it
            self._mapper = self.spawn(self._epmd, role="epmd")
        super()._start()


def _installed() -> tuple[str, str] | None:
    """The broker, and Erlang's port mapper."""
    broker = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    if not broker.exists() or shutil.which("erl") is None:
        return None
    return str(broker), shutil.which("epmd") or str(next(Path("/usr/lib/erlang").glob("erts-*/bin/epmd")))
