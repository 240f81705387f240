"""What operators do with a system from outside."""
