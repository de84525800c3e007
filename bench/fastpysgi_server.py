"""Serves an application's file with FastPySGI: fastpysgi_server.py SCRIPT PORT PROCESSES"""

from __future__ import annotations

import importlib.util
import sys

import fastpysgi

script, port, processes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
spec = importlib.util.spec_from_file_location("application", script)
assert spec is not None and spec.loader is not None
module = importlib.util.module_from_spec(spec)
# Flask finds its templates through the module that is registered under its name.
sys.modules["application"] = module
spec.loader.exec_module(module)
more = {"workers": processes} if processes > 1 else {}
fastpysgi.run(module.application, host="127.0.0.1", port=port, loglevel=0, **more)
