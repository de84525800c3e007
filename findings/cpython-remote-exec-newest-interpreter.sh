#!/usr/bin/env bash
# CPython 3.14.7: sys.remote_exec and `pdb -p` do not find the main thread of a process that has made a sub-interpreter.
#
# A script for another process is written into the thread state of the main thread of one interpreter, and CPython takes the first in
# its list of interpreters. New ones are put in front, and a sub-interpreter has no main thread in this sense. So from the first
# `concurrent.interpreters.create()` or InterpreterPoolExecutor on the process refuses, though its main thread and main interpreter are
# what they were; when the sub-interpreter is closed, it takes scripts again.
#
# Seen:  alone: ran    with a sub-interpreter: RuntimeError: Can't find the main thread in the remote process    closed again: ran
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

cat >target.py <<'PY'
import sys
import time
from concurrent import interpreters

kept = []
for line in iter(sys.stdin.readline, ""):
    if line == "create\n":
        kept.append(interpreters.create())
    if line == "close\n":
        kept.pop().close()
    print("done", flush=True)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass
PY
"$(cpython 3.14)" - <<'PY'
import os
import subprocess
import sys
import time

print(sys.version)
target = subprocess.Popen([sys.executable, "target.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
with open("script.py", "w") as file:
    file.write("open('answer', 'w').close()")


def ask(order):
    target.stdin.write(order + "\n")
    target.stdin.flush()
    target.stdout.readline()
    try:
        sys.remote_exec(target.pid, os.path.abspath("script.py"))
    except RuntimeError as error:
        return f"RuntimeError: {error}"
    for _ in range(500):
        if os.path.exists("answer"):
            os.remove("answer")
            return "ran"
        time.sleep(0.02)
    return "never ran"


try:
    seen = [ask(order) for order in ("nothing", "create", "close")]
finally:
    target.kill()
print("alone:", seen[0], "   with a sub-interpreter:", seen[1], "   closed again:", seen[2])
assert seen == ["ran", "RuntimeError: Can't find the main thread in the remote process", "ran"]
PY
