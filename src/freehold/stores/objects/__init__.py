"""Objects: files by key, in a folder of this machine or in an S3 bucket."""

from freehold.stores.objects.address import SCHEMES, open_objects
from freehold.stores.objects.store import Download, ObjectInfo, Objects

__all__ = ["SCHEMES", "Download", "ObjectInfo", "Objects", "open_objects"]
