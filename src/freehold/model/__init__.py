"""What users declare, as data, and the ports to the world. No I/O."""
