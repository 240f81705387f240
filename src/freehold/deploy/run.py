"""`freehold run`: the whole system in this process, until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable

from freehold.deploy.config import Deployment
from freehold.deploy.data_sets import Progress, load
from freehold.deploy.process import Process
from freehold.deploy.server import listen, serve
from freehold.model.system import System


async def run(
    system: System,
    deployment: Deployment,
    *,
    demo: bool,
    progress: Progress,
    on_ready: Callable[[str, Process], None],
) -> None:
    """Serve the system's gateway until SIGINT or SIGTERM, then finish what is at work.

    Args:
        system: what to run.
        deployment: where it lives and where it listens.
        demo: load the demo data first, if the system has any; what is loaded already is left alone.
        progress: told how far the loading is.
        on_ready: called with the base URL once requests are answered.

    Raises:
        ConfigurationError: the port is taken, the data folder is in use, a database cannot be had.
    """
    listening = listen(deployment.host, deployment.port)
    try:
        host, port = listening.getsockname()[:2]
        # Presigned URLs name the port, which may have been 0: any.
        async with Process(system, deployment.model_copy(update={"port": port})) as process:
            if demo and system.data_sets:
                await load(process, "demo", progress)
            address = f"http://{host}:{port}"
            await serve(
                process.app,
                listening,
                on_ready=lambda: on_ready(address, process),
                on_stop=process.draining.begin,
            )
    finally:
        listening.close()
