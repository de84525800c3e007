#!/usr/bin/env bash
# CPython 3.11.7: a log line before it makes a child of multiprocessing that has done its work end with exit code 1.
#
# Servers that are not written in Python (mod_wsgi, and other servers in C and Rust) call applications on threads of their own. The
# first thing that asks for the current thread, such as any record of `logging`, gives such a thread an entry in threading's table.
# A child that is forked there takes that entry for its main thread, and the end of threading asserts that a main thread has a lock,
# which this one has not. The child leaves with 1 without a word: ProcessPoolExecutor with "fork" or a check of Process.exitcode
# takes good work for a failure. Without the log line the exit code is 0. CPython 3.14 ends both with 0.
#
# Seen:  3.11.7: without a log line 0, after one 1    3.14.7: 0, 0
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

cat >fork.py <<'PY'
import _thread, logging, multiprocessing, sys, threading

logging.basicConfig(stream=sys.stdout, format="%(message)s")
done = threading.Event()
code = None


def work():
    print("worked", flush=True)


def on_a_thread_of_somebody_else():
    global code
    if sys.argv[1] == "log":
        logging.warning("a line of the log")
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
    code = child.exitcode
    done.set()


_thread.start_new_thread(on_a_thread_of_somebody_else, ())
done.wait()
print("exit code", code)
PY
for python in "$(cpython 3.11)" "$(cpython 3.14)"; do
    "$python" -VV
    for what in quiet log; do
        "$python" -W ignore fork.py $what | tee said
        grep -qx worked said
        tail -n 1 said >>codes
    done
done
diff codes - <<'END'
exit code 0
exit code 1
exit code 0
exit code 0
END
