"""A secret file that several processes may want to make at once."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_once(file: Path, content: bytes) -> None:
    """Make the file, readable by its owner only, unless it is there: all of it or nothing, though the process dies."""
    descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        os.unlink(draft)
