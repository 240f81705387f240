"""Documents as YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from freehold.model.errors import ConfigurationError


def to_yaml(heading: Sequence[str], documents: Sequence[dict[str, Any]]) -> str:
    """The documents, one after the other, below a comment. Raises ConfigurationError when PyYAML is not installed."""
    try:
        import yaml
    except ImportError as error:
        raise ConfigurationError("export", "PyYAML is missing", "pip install 'freehold[export]'") from error

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)  # lists are indented below their key

    comment = "".join(f"# {line}".rstrip() + "\n" for line in heading)
    text: str = yaml.dump_all(documents, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    return f"{comment}{text}" if len(documents) == 1 else f"{comment}---\n{text}"
