"""The servers that a system's containers speak to: image, settings, where the data is, and a sign of life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

KAFKA_PORT, CONTROLLER_PORT = 9092, 9093
BUCKETS = "/data"


@dataclass(frozen=True, slots=True)
class Container:
    """A server.

    Args:
        name: what it is called, and reached at.
        image: with its version.
        port: where it answers.
        address: for a deployment, with `${NAME}` for its password.
        environment: likewise.
        data: the folder that outlives the container.
        user: the number of the user that the image runs as.
        alive: a command that ends with 0 when it answers; a text is for a shell.
        command: instead of the image's own.
        extra: of `freehold`, that its users need.
    """

    name: str
    image: str
    port: int
    address: str
    environment: Mapping[str, str]
    data: str
    user: int
    alive: Sequence[str]
    command: Sequence[str] = field(default=())
    extra: str = ""


def postgres(name: str, user: str, database: str) -> Container:
    """PostgreSQL for one service."""
    secret = password(f"{user}_db")
    return Container(
        name,
        "postgres:17",
        5432,
        f"postgresql://{user}:{secret}@{name}:5432/{database}",
        {
            "POSTGRES_USER": user,
            "POSTGRES_PASSWORD": secret,
            "POSTGRES_DB": database,
            "PGDATA": "/var/lib/postgresql/data/pgdata",  # a fresh volume may hold a lost+found
        },
        "/var/lib/postgresql/data",
        999,
        ["pg_isready", "--quiet", "--host", "127.0.0.1", "--username", user, "--dbname", database],
    )


def mariadb(name: str, user: str, database: str) -> Container:
    """MariaDB for one service; nobody knows its root's password."""
    secret = password(f"{user}_db")
    return Container(
        name,
        "mariadb:11.4",
        3306,
        f"mysql://{user}:{secret}@{name}:3306/{database}",
        {
            "MARIADB_USER": user,
            "MARIADB_PASSWORD": secret,
            "MARIADB_DATABASE": database,
            "MARIADB_RANDOM_ROOT_PASSWORD": "1",
            "MARIADB_AUTO_UPGRADE": "1",
        },
        "/var/lib/mysql",
        999,
        ["healthcheck.sh", "--connect", "--innodb_initialized"],
        ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin"],
        extra="mysql",
    )


def kafka() -> Container:
    """One Kafka node, which is its own controller."""
    name = "kafka"
    settings = {
        "NODE_ID": "1",
        "PROCESS_ROLES": "broker,controller",
        "CONTROLLER_QUORUM_VOTERS": f"1@localhost:{CONTROLLER_PORT}",
        "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "LISTENERS": f"PLAINTEXT://:{KAFKA_PORT},CONTROLLER://localhost:{CONTROLLER_PORT}",
        "ADVERTISED_LISTENERS": f"PLAINTEXT://{name}:{KAFKA_PORT}",
        "LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "AUTO_CREATE_TOPICS_ENABLE": "false",
        "OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
        "SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
        "GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "LOG_DIRS": "/var/lib/kafka/data/log",
    }
    return Container(
        name,
        "apache/kafka:4.3.0",
        KAFKA_PORT,
        f"kafka://{name}:{KAFKA_PORT}",
        {f"KAFKA_{setting}": value for setting, value in settings.items()},
        "/var/lib/kafka/data",
        1000,
        ["/opt/kafka/bin/kafka-broker-api-versions.sh", "--bootstrap-server", f"localhost:{KAFKA_PORT}"],
        extra="kafka",
    )


def rabbitmq() -> Container:
    """One RabbitMQ node."""
    name, secret = "rabbitmq", password("rabbitmq")
    return Container(
        name,
        "rabbitmq:4.1-management",
        5672,
        f"amqp://freehold:{secret}@{name}:5672",
        {
            "RABBITMQ_DEFAULT_USER": "freehold",
            "RABBITMQ_DEFAULT_PASS": secret,
            "RABBITMQ_NODENAME": "rabbit@localhost",  # its data is filed under this name
        },
        "/var/lib/rabbitmq",
        999,
        ["rabbitmq-diagnostics", "-q", "check_port_connectivity"],
        extra="rabbitmq",
    )


def redis() -> Container:
    """One Redis, which writes down what it is told every second."""
    name, secret = "redis", password("redis")
    return Container(
        name,
        "redis:7.4",
        6379,
        f"redis://:{secret}@{name}:6379/0",
        {"REDIS_PASSWORD": secret, "REDISCLI_AUTH": secret},
        "/data",
        999,
        ["redis-cli", "ping"],
        ["sh", "-c", 'printf "requirepass %s\\nappendonly yes\\n" "$REDIS_PASSWORD" | exec redis-server -'],
        extra="redis",
    )


def versitygw(bucket: str) -> Container:
    """An S3 server with one bucket."""
    name = "objects"
    return Container(
        name,
        "versity/versitygw:v1.8.0",
        7070,
        f"http://{name}:7070",
        {"ROOT_ACCESS_KEY": "${OBJECTS_ACCESS_KEY}", "ROOT_SECRET_KEY": "${OBJECTS_SECRET_KEY}"},
        BUCKETS,
        10001,
        ["nc", "-z", "127.0.0.1", "7070"],
        [
            "sh", "-c",
            f"mkdir -p {BUCKETS}/files/{bucket} {BUCKETS}/metadata && "
            f"exec versitygw posix --sidecar {BUCKETS}/metadata {BUCKETS}/files",
        ],
        extra="objects",
    )  # fmt: skip


def password(of: str) -> str:
    """The reference to a password; its value must need no escape in a URL."""
    return f"${{{of.upper()}_PASSWORD}}"
