"""A script without the callable that is asked for."""
