"""A callable that is none."""

application = 3
