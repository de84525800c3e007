#!/usr/bin/env bash
# CPython 3.14.7: a variable set in one sub-interpreter is in its neighbours' child processes, and in every later neighbour.
#
# os.environ is per interpreter: a copy made when the interpreter starts. Setting a key also calls putenv(), which is per process.
# A neighbour that runs already sees no such key, and yet its subprocess.run() passes it on; with env=os.environ it does
# not. An interpreter that starts later copies it: `os.environ.setdefault("DJANGO_SETTINGS_MODULE", ...)`, the line in every
# Django wsgi.py, then keeps the first site's name, and which site is served depends on which one was loaded first.
#
# Seen:  running neighbour: absent, child site_a, child with env=os.environ absent    later neighbour: setdefault keeps site_a
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

unset DJANGO_SETTINGS_MODULE
"$(cpython 3.14)" - <<'PY'
import sys
from concurrent import interpreters

print(sys.version)
LOOK = """
import os, subprocess
def child(**more):
    ran = subprocess.run(["printenv", "DJANGO_SETTINGS_MODULE"], capture_output=True, text=True, **more)
    return ran.stdout.strip() or "absent"
def look():
    return os.environ.get("DJANGO_SETTINGS_MODULE", "absent"), child(), child(env=os.environ)
"""
told = interpreters.create_queue()


def start():
    interpreter = interpreters.create()
    interpreter.prepare_main(told=told)
    interpreter.exec(LOOK)
    return interpreter


first, running = start(), start()
first.exec("os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_a')")
running.exec("told.put(look())")
neighbour = told.get()
later = start()
later.exec("told.put(os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_b'))")
kept = told.get()
print("running neighbour: %s, child %s, child with env=os.environ %s" % neighbour, "   later neighbour: setdefault keeps", kept)
assert neighbour == ("absent", "site_a", "absent")
assert kept == "site_a"
for interpreter in (first, running, later):
    interpreter.close()
PY
