"""A plan as a file for Docker Compose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from freehold.operate.plan import DATA, OBJECTS, PORT, Part, Plan, refer, secrets_in
from freehold.operate.servers import Container
from freehold.operate.text import to_yaml

LIFE = {"interval": "10s", "timeout": "5s", "retries": 12, "start_period": "60s", "start_interval": "1s"}
READY = (
    "import sys, urllib.request as r; "
    f"sys.exit(r.urlopen('http://127.0.0.1:{PORT}/health/ready', timeout=4).status != 200)"
)


def compose(plan: Plan, *, image: str, port: int) -> str:
    """The text of compose.yaml.

    Each database has a network of its own on which there is nobody else but its service; so have the broker and the
    stores with their users. Passwords are read from the environment or from a file `.env`, and none is written down.

    Args:
        plan: the containers.
        image: what the services run, built from the Dockerfile beside the file when it is missing.
        port: of the host, where the gateway answers.
    """
    return to_yaml(_heading(plan), [document(plan, image=image, port=port)])


def document(plan: Plan, *, image: str, port: int) -> dict[str, Any]:
    """What the file holds."""
    made = {server.name: _server(server) for server in plan.servers}
    made |= {part.name: _part(part, plan, image) for part in plan.parts}
    made[plan.parts[-1].name]["ports"] = [f"{port}:{PORT}"]
    volumes = [*(server.name for server in plan.servers), *(f"{part.name}-data" for part in plan.parts)]
    if any(part.files for part in plan.parts):
        volumes.append("objects-data")
    networks = {"services": {}, **{server.name: {"internal": True} for server in plan.servers}}
    return {"name": plan.name, "services": made, "networks": networks, "volumes": {name: {} for name in volumes}}


def _heading(plan: Plan) -> list[str]:
    secrets = plan.secrets()
    lines = ["Made by `freehold export compose`. Put the secrets into .env once:"]
    return [
        *lines,
        "",
        f"  for name in {' '.join(secrets)}; do",
        '    echo "$name=$(openssl rand -hex 24)"',
        "  done > .env",
        "",
        "  docker compose up --build --wait",
    ]


def _server(server: Container) -> dict[str, Any]:
    made: dict[str, Any] = {
        "image": server.image,
        "environment": _environment(server.environment),
        "volumes": [f"{server.name}:{server.data}"],
        "networks": [server.name],
        "healthcheck": {"test": ["CMD", *server.alive], **LIFE},
        "restart": "unless-stopped",
    }
    if server.command:
        made |= _command(server.command)
    return made


def _command(command: Sequence[str]) -> dict[str, Any]:
    escaped = [argument.replace("$", "$$") for argument in command]
    if command[0] == "sh":
        return {"entrypoint": escaped[:2], "command": escaped[2:]}
    return {"command": escaped}


def _part(part: Part, plan: Plan, image: str) -> dict[str, Any]:
    waits: dict[str, Any] = {name: {"condition": "service_healthy"} for name in part.uses}
    if part is plan.parts[-1]:
        waits |= {other.name: {"condition": "service_started"} for other in plan.parts[:-1]}
    environment: dict[str, str | None] = dict(_environment(part.environment))
    environment |= dict.fromkeys(part.optional)  # passed on where somebody sets them
    made: dict[str, Any] = {
        "image": image,
        "build": ".",
        "command": ["freehold", *part.command],
        "environment": environment,
        "volumes": [f"{part.name}-data:{DATA}", *([f"objects-data:{OBJECTS}"] if part.files else [])],
        "networks": ["services", *part.uses],
        "healthcheck": {"test": ["CMD", "python", "-c", READY], **LIFE},
        "stop_grace_period": "40s",
        "restart": "unless-stopped",
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - of the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }
    if waits:
        made["depends_on"] = waits
    return made


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: refer(value, "${{{0}:?is missing: see the head of this file}}") if secrets_in({name: value}) else value
        for name, value in environment.items()
    }
