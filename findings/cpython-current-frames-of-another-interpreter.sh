#!/usr/bin/env bash
# CPython 3.14.7: sys._current_frames() in a sub-interpreter gives the frame of the main interpreter for the thread that asks.
#
# It has one frame for each thread, by the thread's number, and walks all interpreters of the process. A thread that the main interpreter
# lends to a sub-interpreter has a thread state in both, and the one that is met last stays: that of the main interpreter, in which the
# thread waits. So the thread that asks does not find its own frame, but an object of another interpreter; a thread of the main
# interpreter that has nothing to do with the caller is there, too.
#
# Seen:  in a sub-interpreter: own frame: ask, found: lend, the same: False, threads: 2    its own `threading` knows: 1
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

"$(cpython 3.14)" - <<'PY'
import _interpreters
import sys
import threading

print(sys.version)
ASK = """
import sys
import threading


def ask():
    frames = sys._current_frames()
    found = frames[threading.get_ident()]
    own = sys._getframe()
    told = (own.f_code.co_name, found.f_code.co_name, found is own, len(frames), len(threading.enumerate()))
    print("in a sub-interpreter: own frame: %s, found: %s, the same: %s, threads: %d    its own `threading` knows: %d" % told)
    assert told == ("ask", "lend", False, 2, 1), told


ask()
"""


def lend():
    interpreter = _interpreters.create("legacy")
    error = _interpreters.exec(interpreter, ASK)
    _interpreters.destroy(interpreter)
    if error:
        sys.exit(error.formatted)


end = threading.Event()
thread = threading.Thread(target=end.wait)
thread.start()
try:
    lend()
finally:
    end.set()
    thread.join()
PY
