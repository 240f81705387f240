from __future__ import annotations

import signal
import sys
from contextlib import suppress

from tests import servers
from tests.servers import times

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
url = KINDS[sys.argv[1]]()
print(*times.lines(), sep="\n", file=sys.stderr)
print(url, flush=True)
with suppress(KeyboardInterrupt):
    signal.pause()
