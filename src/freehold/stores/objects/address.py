"""From an address to a store of objects."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from freehold.model.errors import ConfigurationError
from freehold.model.ports import Clock
from freehold.stores.objects.bucket import BucketObjects
from freehold.stores.objects.folder import LARGEST_UPLOAD, FolderObjects
from freehold.stores.objects.store import Objects

_OPTIONS = {"file": ("largest_upload",), "s3": ("endpoint", "region")}
SCHEMES = tuple(f"{scheme}://" for scheme in _OPTIONS)


def open_objects(url: str, *, public: str = "http://127.0.0.1:8080", clock: Clock | None = None) -> Objects:
    """The store for `file:///folder` or `s3://bucket/prefix?endpoint=…&region=…`; nothing is opened yet.

    Args:
        url: where it is. A folder takes `?largest_upload=`: bytes that its presigned URLs take.
        public: base URL of the gateway, which answers a folder's presigned URLs.
        clock: tells when those have expired.

    Raises:
        ConfigurationError: an address that cannot be used; never with what stands before an @.
    """
    address = urlsplit(url)
    if address.scheme not in _OPTIONS:
        raise ConfigurationError(
            "objects", "the address begins with no scheme known here", f"Use {' or '.join(SCHEMES)}"
        )
    if "@" in address.netloc:
        raise ConfigurationError(
            "objects", "the address holds credentials", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
        )
    options = dict(parse_qsl(address.query, keep_blank_values=True))
    known = _OPTIONS[address.scheme]
    if unknown := sorted(options.keys() - set(known)):
        raise ConfigurationError(
            "objects", f"the address has the option {unknown[0]}, which there is not", f"There are: {', '.join(known)}"
        )
    if address.scheme == "s3":
        if not address.netloc:
            raise ConfigurationError("objects", "the address names no bucket", "Write it like s3://bucket/prefix")
        endpoint = options.get("endpoint", "")
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise ConfigurationError("objects", f"endpoint={endpoint!r} is no URL", "Begin it with http:// or https://")
        return BucketObjects(address.netloc, unquote(address.path).strip("/"), **options)
    if address.netloc or not address.path.startswith("/"):
        raise ConfigurationError("objects", "the address names no folder", "Write it like file:///srv/shop/objects")
    largest = options.get("largest_upload", str(LARGEST_UPLOAD))
    if not largest.isdecimal():
        raise ConfigurationError("objects", f"largest_upload={largest!r} is no number of bytes", "Write a whole one")
    return FolderObjects(Path(unquote(address.path)), public=public, largest_upload=int(largest), clock=clock)
