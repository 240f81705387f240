"""A lean HTTP client that makes load from a process of its own: for the demo, and for measuring."""

from freehold.deploy.load.client import Report, Visitor
from freehold.deploy.load.process import drive, follow
from freehold.deploy.load.requests import request

__all__ = ["Report", "Visitor", "drive", "follow", "request"]
