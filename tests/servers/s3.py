"""S3: versitygw, a server with its files on the disk, from its Go module."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from tests.servers.go import go_program
from tests.servers.private import PrivateServer

VERSION = "v1.8.0"
INSTEAD = (
    "Or set FREEHOLD_TEST_S3 to a bucket that may be written (s3://bucket?endpoint=…&region=…), with its credentials in "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
)


class S3(PrivateServer):
    """A private server with one bucket, `BUCKET`. Its credentials are put into this process's environment."""

    name = "versitygw"
    BUCKET, REGION = "objects", "eu-north-1"
    CREDENTIALS = {"AWS_ACCESS_KEY_ID": "freehold-tests", "AWS_SECRET_ACCESS_KEY": "a/secret+of the tests"}

    def __init__(self) -> None:
        super().__init__()
        self._program = go_program("versitygw", "github.com/versity/versitygw/cmd/versitygw", VERSION, instead=INSTEAD)
        (self.folder / "files" / self.BUCKET).mkdir(parents=True)
        (self.folder / "metadata").mkdir()
        self.launch()
        os.environ.update(self.CREDENTIALS)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"s3://{self.BUCKET}?endpoint={self.endpoint}&region={self.REGION}"

    def command(self) -> Sequence[str | Path]:
        # Temporary folders may be on a file system without extended attributes: hence the sidecar.
        return [
            self._program, "--port", f"127.0.0.1:{self.port}", "--region", self.REGION, "--quiet",
            "posix", "--sidecar", self.folder / "metadata", self.folder / "files",
        ]  # fmt: skip

    def environment(self) -> Mapping[str, str]:
        return {
            "ROOT_ACCESS_KEY": self.CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "ROOT_SECRET_KEY": self.CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        }

    def is_up(self) -> bool:
        if not super().is_up():
            return False
        try:
            return httpx.get(self.endpoint, timeout=2, trust_env=False).status_code == 403  # nobody's request
        except httpx.HTTPError:
            return False

    def version(self) -> str:
        return f"versitygw {VERSION} ({self._program})"
