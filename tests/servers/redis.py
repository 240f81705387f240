"""Redis: found where it is installed, otherwise from an image or Debian's package."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from tests.servers.certificates import certificates
from tests.servers.private import PrivateServer, free_port

MISSING = (
    "The tests need a Redis server and none is installed. Install Debian's redis-server, or set FREEHOLD_TEST_REDIS to the "
    "redis:// URL of one, for those tests that stop none."
)


class Redis(PrivateServer):
    """A private server with a password that keeps nothing on disk: what is killed has lost everything."""

    name = "Redis"
    runs_as = ("redis", "nobody")

    def __init__(self) -> None:
        super().__init__()
        self._program = self.obtain(
            partial(shutil.which, "redis-server"), "redis-server", of="redis:8", there="redis-server", missing=MISSING
        )
        self._password = secrets.token_urlsafe(16)
        key, certificate, authority = certificates("127.0.0.1")
        self._key, self._certificate = self.write("key.pem", key), self.write("certificate.pem", certificate)
        self.authority = self.write("authority.pem", authority)
        self.tls_port = free_port()
        self.launch()
        self.tls_url = f"rediss://:{self._password}@127.0.0.1:{self.tls_port}/0"
        self.url = f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str | Path]:
        settings = (
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\n"
            f'dir {self.folder}\nsave ""\nappendonly no\n'
            f"tls-port {self.tls_port}\ntls-auth-clients no\ntls-ca-cert-file {self.authority}\n"
            f"tls-key-file {self._key}\ntls-cert-file {self._certificate}\n"
        )
        return [self._program, self.write("redis.conf", settings)]

    def is_up(self) -> bool:
        with suppress(OSError):
            return self.say("PING") == "+PONG"
        return False

    def say(self, *words: str) -> str:
        """Send a command, and return the first line of its answer."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection,
            connection.makefile() as lines,
        ):
            connection.sendall(f"AUTH {self._password}\r\n{' '.join(words)}\r\n".encode())
            lines.readline()
            return lines.readline().strip()

    def flush(self) -> None:
        """Lose everything, scripts too."""
        assert self.say("FLUSHALL") == "+OK"
        assert self.say("SCRIPT", "FLUSH") == "+OK"

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers nothing meanwhile."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)

    def version(self) -> str:
        told = self.run(self._program, "--version")
        return f"Redis {told.partition('v=')[2].partition(' ')[0]}"
