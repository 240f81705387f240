"""One stream of what several processes write: coloured by process in a terminal, JSON lines into a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_red", "bright_cyan", "bright_green", "bright_magenta")
LEVELS = {"warning": "yellow", "error": "red", "critical": "bold red"}
_SHOWN_APART = ("timestamp", "level", "event", "service", "logger")


class Stream:
    """Shows the lines of processes by these names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._width = max(map(len, names), default=0)
        kinds = list(dict.fromkeys(name.partition(".")[0] for name in names))
        self._colours = {name: COLOURS[kinds.index(name.partition(".")[0]) % len(COLOURS)] for name in names}
        self._console: Any = None
        if sys.stdout.isatty():
            from rich.console import Console

            self._console = Console(soft_wrap=True, highlight=False)

    def show(self, name: str, line: str) -> None:
        """Show a line that the process wrote, a log record in JSON or plain text."""
        record = _record(line)
        if self._console is None:
            print(json.dumps({"process": name, **(record or {"event": line})}, default=str), flush=True)
            return
        from rich.text import Text

        text = Text()
        text.append(f"{name:{self._width}} │ ", self._colours[name])
        if record is None:
            text.append(line)
        else:
            text.append(str(record.get("timestamp", ""))[11:19] + " ", "dim")
            level = str(record.get("level", ""))
            text.append(str(record.get("event", "")), LEVELS.get(level, ""))
            more = [f"{key}={value}" for key, value in record.items() if key not in _SHOWN_APART]
            text.append("".join(f"  {each}" for each in more), "dim")
        self._console.print(text)


def _record(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        read = json.loads(line)
    except ValueError:
        return None
    return read if isinstance(read, dict) else None
