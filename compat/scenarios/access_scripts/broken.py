"""Cannot be compiled."""

def allow_access(:
