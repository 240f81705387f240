"""Real servers for the tests: found where they run, otherwise started from what is installed, and stopped in the end.

`python -m tests.servers postgres` starts one by hand, prints its address and keeps it until Ctrl-C.
"""

from __future__ import annotations

import os

from tests.servers.kafka import Kafka
from tests.servers.mariadb import MariaDB
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import Postgres
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.redis import Redis
from tests.servers.s3 import S3
from tests.servers.times import cache


@cache
def postgres_admin_url() -> str:
    """An administrator's URL: that of FREEHOLD_TEST_POSTGRES, or of a private server that ends with this process."""
    return os.environ.get("FREEHOLD_TEST_POSTGRES") or Postgres().url


@cache
def pgbouncer_address() -> str:
    """host:port of a PgBouncer before that server: FREEHOLD_TEST_PGBOUNCER, or a private one of this process."""
    return os.environ.get("FREEHOLD_TEST_PGBOUNCER") or PgBouncer(postgres_admin_url()).address


@cache
def mariadb_admin_url() -> str:
    """An administrator's URL: that of FREEHOLD_TEST_MARIADB, or of a private server that ends with this process."""
    return os.environ.get("FREEHOLD_TEST_MARIADB") or MariaDB().url


@cache
def rabbitmq() -> RabbitMQ:
    """A private broker that ends with this process: tests may stop and kill it."""
    return RabbitMQ()


@cache
def rabbitmq_url() -> str:
    """A broker's URL: that of FREEHOLD_TEST_RABBITMQ, or of the private one."""
    return os.environ.get("FREEHOLD_TEST_RABBITMQ") or rabbitmq().url


@cache
def kafka() -> Kafka:
    """A private broker that ends with this process: tests may stop and kill it."""
    return Kafka()


@cache
def kafka_url() -> str:
    """A broker's URL: that of FREEHOLD_TEST_KAFKA, or of the private one."""
    return os.environ.get("FREEHOLD_TEST_KAFKA") or kafka().url


@cache
def redis() -> Redis:
    """A private store that ends with this process: tests may stop, kill and flush it."""
    return Redis()


@cache
def redis_url() -> str:
    """A store's URL: that of FREEHOLD_TEST_REDIS, or of the private one."""
    return os.environ.get("FREEHOLD_TEST_REDIS") or redis().url


@cache
def s3() -> S3:
    """A private object server that ends with this process: tests may stop and kill it."""
    return S3()


@cache
def s3_url() -> str:
    """A bucket's URL: that of FREEHOLD_TEST_S3, whose credentials are in the environment, or of the private server."""
    return os.environ.get("FREEHOLD_TEST_S3") or s3().url
