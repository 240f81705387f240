"""What handlers get by type: settings, the clock, and whatever a service provides for itself."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from freehold.model.errors import ConfigurationError
from freehold.model.service import Service

T = TypeVar("T")


class Provided:
    """The things of one running service, by their type.

    Args:
        service: whose `settings` and `provide` declarations are followed.
        given: instances that are there already (clock, tokens, settings read by deployment, a test's substitutes);
            they win over what the service would make.
    """

    def __init__(self, service: Service, given: Mapping[type[Any], Any]) -> None:
        self._service = service.name
        self._made: dict[type[Any], Any] = dict(given)
        for model in service.settings:
            if model not in self._made:
                self._made[model] = model()
        for kind, factory in service.provided.items():
            if kind not in self._made:
                self._made[kind] = factory(**{name: self.use(wanted) for name, wanted in parameters(factory).items()})

    def use(self, kind: type[T]) -> T:
        """The thing of this type. Raises ConfigurationError when nobody provides it."""
        try:
            return cast(T, self._made[kind])
        except KeyError:
            raise ConfigurationError(
                f"{self._service}: {kind.__name__}",
                "is asked for, but nobody provides it",
                f"Add it to Service(settings=…) or write a function that returns it under @{self._service}.provide",
            ) from None

    def __contains__(self, kind: object) -> bool:
        return kind in self._made

    async def close(self) -> None:
        """Close whatever has an `aclose`, last made first."""
        for thing in reversed(self._made.values()):
            close = getattr(thing, "aclose", None)
            if close is not None:
                await close()


def parameters(function: Any) -> dict[str, Any]:
    """The function's parameters with their annotations, strings resolved."""
    hints = inspect.get_annotations(function, eval_str=True)
    return {name: hints.get(name, Any) for name in inspect.signature(function).parameters}
