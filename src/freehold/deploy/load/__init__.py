"""A lean HTTP client that makes load from a process of its own: for the demo, and for measuring."""

from freehold.deploy.load.client import Report, Visitor
from freehold.deploy.load.process import drive
from freehold.deploy.load.requests import request

__all__ = ["Report", "Visitor", "drive", "request"]
