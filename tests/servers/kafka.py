"""Kafka: one node in KRaft mode, from its published jars. Maven fetches them once; Java 17 or newer runs them, or one in an image."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from tests.servers.certificates import certificates
from tests.servers.private import PrivateServer, free_port, install
from tests.servers.times import alone, getting

POM = Path(__file__).with_name("kafka.xml")
DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
OLDEST_JAVA = 17
NO_JAVA = (
    f"The tests need Kafka, which needs Java {OLDEST_JAVA} or newer, and none is installed. Install Debian's "
    "openjdk-17-jre-headless, or set FREEHOLD_TEST_KAFKA to a running broker's URL (kafka://host:port)."
)


class Kafka(PrivateServer):
    """A private broker that is its own controller; topics are made by who uses them, never by a typing error.

    A second listener asks for the password of `USER` and speaks TLS with a certificate of the authority `ca`.
    """

    name = "Kafka"
    USER, PASSWORD = "shop", "se/cret @1"

    def __init__(self) -> None:
        super().__init__()
        self._java = self.obtain(
            _installed_java, "openjdk-17-jre-headless", of="eclipse-temurin:17-jre", there=Path("java"), missing=NO_JAVA
        )
        self._jars = _jars()
        self._controller, self.secure_port = free_port(), free_port()
        self._key, self._certificate, authority = certificates("127.0.0.1")
        self.ca = self.write("ca.pem", authority)
        self.run(
            *self._program("kafka.tools.StorageTool", heap="128m"), "format", "--cluster-id", "ZnJlZWhvbGQtdGVzdHMtMQ",
            "--config", self._properties(),
            "--add-scram", f"SCRAM-SHA-512=[name={self.USER},iterations=4096,password={self.PASSWORD}]",
        )  # fmt: skip
        self.launch()

    @property
    def url(self) -> str:
        return f"kafka://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str | Path]:
        return [*self._program("kafka.Kafka", heap="512m"), self._properties()]

    def folders(self) -> Sequence[Path]:
        return [self.folder, self._jars]

    def is_up(self) -> bool:
        # The port is bound long before requests are answered.
        return super().is_up() and "Kafka Server started" in self.log()

    def _start(self) -> None:
        (self.folder / "log").write_text("")
        super()._start()

    def version(self) -> str:
        return f"Kafka {kafka_version()} ({self._jars})"

    def _program(self, main: str, *, heap: str) -> list[str | Path]:
        options = [
            f"-Xmx{heap}", "-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
        ]  # fmt: skip
        return [self._java, *options, "-cp", f"{self._jars}/*", main]

    def _properties(self) -> Path:
        """The settings of a server that keeps what it acknowledged through a kill, and is quick with a rebalance."""
        open_to_clients = (f"PLAINTEXT://127.0.0.1:{self.port}", f"SASL_SSL://127.0.0.1:{self.secure_port}")
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join([*open_to_clients, f"CONTROLLER://127.0.0.1:{self._controller}"]),
            "advertised.listeners": ",".join(open_to_clients),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "listener.name.sasl_ssl.plain.sasl.jaas.config":
                f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{self.USER}="{self.PASSWORD}";',
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.key": _in_a_line(self._key),
            "ssl.keystore.certificate.chain": _in_a_line(self._certificate),
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "num.network.threads": 2,
            "num.io.threads": 2,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "broker.session.timeout.ms": 3000,  # how long a broker that was killed must wait for itself
            "broker.heartbeat.interval.ms": 500,
            "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
        }  # fmt: skip
        return self.write("server.properties", "".join(f"{name}={value}\n" for name, value in settings.items()))


def _in_a_line(pem: str) -> str:
    return pem.strip().replace("\n", "\\n")


def kafka_version() -> str:
    """The version that the tests pin."""
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    version = ElementTree.parse(POM).findtext("m:properties/m:kafka.version", namespaces=names)
    assert version, f"{POM} names no kafka.version"
    return version


@alone
def _jars() -> Path:
    """The folder of the broker's jars; fetched when it is not there yet, whole or not at all."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "freehold"
    folder = cache / f"kafka-{kafka_version()}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        told = f"Kafka {kafka_version()} by Maven into {folder}"
        with getting("fetched", told), tempfile.TemporaryDirectory(dir=cache) as fetched:
            _fetch(Path(fetched) / "jars")
            (Path(fetched) / "jars").rename(folder)
    return folder


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        install("maven")
        maven = shutil.which("mvn")
    if maven is None:
        raise RuntimeError(
            "The tests need Kafka's jars, which Maven fetches, and there is no mvn. Install Debian's maven, or set "
            "FREEHOLD_TEST_KAFKA to a running broker's URL (kafka://host:port)."
        )
    done = subprocess.run(
        [
            maven, "--batch-mode", "--quiet", "--file", POM, f"{DEPENDENCY_PLUGIN}:copy-dependencies",
            "-DincludeScope=runtime", f"-DoutputDirectory={folder}",
        ],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"Maven could not fetch Kafka {kafka_version()}:\n{done.stdout}{done.stderr}")


def _installed_java() -> Path | None:
    homes = [Path(home) for home in (os.environ.get("JAVA_HOME"),) if home]
    found = [home / "bin" / "java" for home in homes]
    found += [Path(path) for path in (shutil.which("java"),) if path]
    found += sorted(Path("/usr/lib/jvm").glob("*/bin/java"))
    return next((java for java in found if java.exists() and _java_version(java) >= OLDEST_JAVA), None)


def _java_version(java: Path) -> int:
    told = subprocess.run([java, "-version"], check=False, capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', told)
    return int(version[1]) if version else 0
