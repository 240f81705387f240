"""A system's documents as a static site, made from its declarations."""

from freehold.inspect.site.build import build_site, write_site

__all__ = ["build_site", "write_site"]
