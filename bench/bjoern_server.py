"""Serves an application's file with bjoern: bjoern_server.py SCRIPT PORT PROCESSES"""

from __future__ import annotations

import os
import sys

import bjoern
from application_file import load

script, port, processes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
application = load(script)
for _ in range(processes - 1):
    if os.fork() == 0:
        break
# Each process has a socket of its own, as bjoern's documentation advises for several.
bjoern.run(application, "127.0.0.1", port, reuse_port=True)
