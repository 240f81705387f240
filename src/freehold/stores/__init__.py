"""Small stores behind ports: rate limits, caches, objects."""
