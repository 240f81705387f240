"""Where things live: reads freehold.toml, builds databases, buses and processes."""
