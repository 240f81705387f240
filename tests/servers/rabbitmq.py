"""RabbitMQ: found where it is installed, otherwise Debian's package."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.private import PrivateServer, free_port, install

LARGEST_MESSAGE = 4_000_000


class RabbitMQ(PrivateServer):
    """A private broker with its own node name, cookie, port mapper and configuration: it meets no other."""

    name = "RabbitMQ"
    runs_as = ("rabbitmq", "nobody")

    def __init__(self) -> None:
        super().__init__()
        self._home = _home()
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
        return [self._home / "bin" / "rabbitmq-server"]

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
        return f"RabbitMQ {next((self._home / 'lib').glob('rabbitmq_server-*')).name.partition('-')[2]}"

    def close(self) -> None:
        super().close()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()

    def _start(self) -> None:
        if self._mapper is None:  # in the foreground: the one that the broker would start outlives it
            self._mapper = self.spawn(_epmd())
        super()._start()


def _home() -> Path:
    if not (found := _installed()):
        install("rabbitmq-server")
        found = _installed()
    if not found:
        raise RuntimeError(
            "The tests need a RabbitMQ broker and none is installed. Install Debian's rabbitmq-server, or set "
            "FREEHOLD_TEST_RABBITMQ to the amqp:// URL of a broker whose user may declare exchanges and queues."
        )
    return found


def _installed() -> Path | None:
    folder = Path("/usr/lib/rabbitmq")
    return folder if (folder / "bin" / "rabbitmq-server").exists() and shutil.which("erl") else None


def _epmd() -> str:
    return shutil.which("epmd") or str(next(Path("/usr/lib/erlang").glob("erts-*/bin/epmd")))
