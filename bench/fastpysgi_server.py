"""Serves an application's file with FastPySGI: fastpysgi_server.py SCRIPT PORT PROCESSES"""

from __future__ import annotations

import sys

import fastpysgi
from application_file import load

script, port, processes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
application = load(script)
more = {"workers": processes} if processes > 1 else {}
fastpysgi.run(application, host="127.0.0.1", port=port, loglevel=0, **more)
