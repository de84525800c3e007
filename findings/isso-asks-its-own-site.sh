#!/usr/bin/env bash
# isso 0.14.0: importing its application (isso.run) asks the commented web site for `/`, and waits five seconds for each name of it.
#
# The comments often live on the site's own host and server. A server that has its port open while the application is imported,
# as all do that hand a socket over or start several processes, takes that connection and cannot answer it before the import is over: so
# each start of each process takes five seconds per name, and then the log says that the site cannot be reached. Without anybody on the port
# the same import takes no time. Behind an import timeout shorter than the names times five seconds the application never starts.
#
# Seen with CPython 3.11.7:  nobody listens 1.2 s    listens and does not answer yet: one name 6.6 s, two names 11.3 s
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install isso==0.14.0 setuptools==80.9.0
cat >start.py <<'PY'
import sys
import time

# What isso imports takes its time, too.
import isso.config
import isso.wsgi

begun = time.monotonic()
from isso.run import application

assert callable(application)
print(time.monotonic() - begun)
PY
venv/bin/python - <<'PY'
import os
import socket
import subprocess
import sys

taken = socket.create_server(("127.0.0.1", 0), backlog=5)
other = socket.create_server(("127.0.0.1", 0), backlog=5)
ports = [one.getsockname()[1] for one in (taken, other)]


def start(*ports):
    hosts = "".join(f"\n    http://127.0.0.1:{port}/" for port in ports)
    with open("isso.cfg", "w") as file:
        file.write(f"[general]\ndbpath = comments.db\nhost ={hosts}\n")
    done = subprocess.run(
        [sys.executable, "start.py"], env=os.environ | {"ISSO_SETTINGS": "isso.cfg"}, capture_output=True, text=True, check=True
    )
    return float(done.stdout), "unable to connect to your website" in done.stderr


one, two = start(ports[0]), start(*ports)
taken.close()
nobody = start(ports[0])
for name, (seconds, told) in (("nobody listens", nobody), ("one name", one), ("two names", two)):
    print(f"{name}: {seconds:.1f} s, unable to connect: {told}")
assert nobody[1] and one[1] and two[1]
# What the machine does beside this is in all three.
assert one[0] > max(5, nobody[0] + 3) and two[0] > max(10, nobody[0] + 7)
PY
