from __future__ import annotations

import signal
import sys
from contextlib import suppress

from tests import servers

KINDS = {
    "postgres": servers.postgres_admin_url,
    "mariadb": servers.mariadb_admin_url,
    "rabbitmq": servers.rabbitmq_url,
    "kafka": servers.kafka_url,
    "redis": servers.redis_url,
    "s3": servers.s3_url,
}

if len(sys.argv) != 2 or sys.argv[1] not in KINDS:
    sys.exit(f"usage: python -m tests.servers {'|'.join(KINDS)}")
print(KINDS[sys.argv[1]](), flush=True)
with suppress(KeyboardInterrupt):
    signal.pause()
