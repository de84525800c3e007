"""Imported when the process starts."""

import os
import sys

sys.preloaded = os.getpid()
print("preload.py was imported", flush=True)
