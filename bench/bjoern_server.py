"""Serves an application's file with bjoern: bjoern_server.py SCRIPT PORT PROCESSES"""

from __future__ import annotations

import importlib.util
import os
import sys

import bjoern

script, port, processes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
spec = importlib.util.spec_from_file_location("application", script)
assert spec is not None and spec.loader is not None
module = importlib.util.module_from_spec(spec)
# Flask finds its templates through the module that is registered under its name.
sys.modules["application"] = module
spec.loader.exec_module(module)
for _ in range(processes - 1):
    if os.fork() == 0:
        break
# Each process has a socket of its own, as bjoern's documentation advises for several.
bjoern.run(module.application, "127.0.0.1", port, reuse_port=True)
