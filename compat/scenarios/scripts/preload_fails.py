"""Cannot be imported when the process starts, nor later."""

raise RuntimeError("preload_fails.py failed, as it was told to")
