"""`freehold export …`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.systems import DeployName, SystemName, find_system

if TYPE_CHECKING:
    from freehold.operate.plan import Plan

app = typer.Typer(no_args_is_help=True, help="Write files that run a system in containers.", rich_markup_mode=None)

Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="The file to write.", show_default="standard output")
]
Image = Annotated[str, typer.Option("--image", help="What the services run.", show_default="SYSTEM:latest")]
External = Annotated[
    bool, typer.Option("--external", help="Databases, broker and stores are elsewhere: their addresses are secrets.")
]


@app.command()
def compose(
    system: SystemName,
    *,
    deploy: DeployName = "",
    image: Image = "",
    port: Annotated[int, typer.Option(help="Of the host, where the gateway answers.")] = 8080,
    external: External = False,
    output: Output = None,
) -> None:
    """Write a file for Docker Compose.

    It has a database for each service, the broker, the stores that the deployment names, the services and the gateway.

    \b
    Example:
      freehold export dockerfile booking_rush --output Dockerfile
      freehold export compose booking_rush --output compose.yaml
    """
    from freehold.operate.compose import compose as render

    plan = _plan(system, deploy, external)
    _write(render(plan, image=image or f"{plan.name}:latest", port=port), output)


@app.command()
def kubernetes(
    system: SystemName,
    *,
    deploy: DeployName = "",
    image: Image = "",
    external: External = False,
    output: Output = None,
) -> None:
    """Write manifests for Kubernetes.

    \b
    Example:
      freehold export kubernetes booking_rush --deploy prod --image registry.example/booking:7 | kubectl apply -f -
    """
    from freehold.operate.kubernetes import kubernetes as render

    plan = _plan(system, deploy, external)
    _write(render(plan, image=image or f"{plan.name}:latest"), output)


@app.command()
def dockerfile(system: SystemName, deploy: DeployName = "", output: Output = None) -> None:
    """Write a Dockerfile for the image that all parts of a system run.

    With --output, what must not get into the image is written beside it, as FILE.dockerignore.

    \b
    Example:
      freehold export dockerfile booking_rush --output Dockerfile
    """
    from importlib import metadata

    from freehold.operate.dockerfile import IGNORED
    from freehold.operate.dockerfile import dockerfile as render

    _write(render(_plan(system, deploy, external=False), version=metadata.version("freehold")), output)
    if output is not None:
        _write(IGNORED, output.with_name(f"{output.name}.dockerignore"))


def _plan(name: str, deploy: str, external: bool) -> Plan:
    from freehold.deploy.config import read
    from freehold.operate.plan import plan

    system = find_system(name)
    return plan(system, read(system, deploy), named=name, deploy=deploy, external=external)


def _write(text: str, output: Path | None) -> None:
    from freehold.model.errors import ConfigurationError

    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise ConfigurationError("--output", f"{output} cannot be written ({error.strerror})", "Name another") from None
