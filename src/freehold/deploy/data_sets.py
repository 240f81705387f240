"""Loads a system's demo and load data into its databases."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from freehold.deploy.process import Process
from freehold.model.errors import ConfigurationError

Progress = Callable[[str, int, int], None]
"""Called with what is being loaded, how many rows are in, and how many there will be."""


async def load(process: Process, which: str, progress: Progress) -> None:
    """Load one of the system's data sets. Loading it again changes nothing.

    Args:
        process: a running system; what the rows cause is delivered before this returns.
        which: `demo` or `load`, or another set that the system has.
        progress: told how far it is.

    Raises:
        ConfigurationError: the system has no data sets, or not this one.
    """
    system = process.system
    if not system.data_sets:
        raise ConfigurationError(
            f"system {system.name}",
            "has no data sets",
            "Write a loader and name it in System(data_sets='module:function')",
        )
    module, _, function = system.data_sets.partition(":")
    loader = getattr(import_module(module), function)
    works = {name: unit.host.work() for name, unit in process.units.items()}
    await loader(works, which, progress)
    for unit in process.units.values():
        await unit.host.outbox.until_drained()
