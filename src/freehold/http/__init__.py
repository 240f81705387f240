"""HTTP: services' apps, typed calls over the wire, and the gateway."""
