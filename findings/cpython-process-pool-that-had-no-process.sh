#!/usr/bin/env bash
# CPython 3.14.7: ProcessPoolExecutor in an isolated interpreter says that a process "was terminated abruptly", and never started one.
#
# Its calls go through a multiprocessing.Queue whose feeder is a daemon thread, which an interpreter with its own GIL may not have. The
# RuntimeError of that thread is caught where the pool looks after its processes, which then declares them dead. multiprocessing.Process
# itself works there (by spawn), and so does a pool in the main interpreter. The message sends people to look for a crash or for
# want of memory.
#
# Seen:  main: 1    isolated: BrokenProcessPool: A process in the process pool was terminated abruptly ...    Process by spawn: exit code 0
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

cat >task.py <<'PY'
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool


def pool():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        return executor.submit(abs, -1).result(60)


def isolated():
    try:
        seen = pool()
    except BrokenProcessPool as error:
        seen = f"BrokenProcessPool: {error}"
    process = multiprocessing.get_context("spawn").Process(target=print, args=("a process runs",))
    process.start()
    process.join()
    print("isolated:", seen, "   Process by spawn: exit code", process.exitcode)
    assert "terminated abruptly" in str(seen) and process.exitcode == 0, seen


if __name__ == "__main__":
    import _interpreters

    print(sys.version)
    seen = pool()
    print("main:", seen)
    assert seen == 1
    interpreter = _interpreters.create("isolated")
    error = _interpreters.exec(interpreter, "import sys; sys.path.insert(0, ''); import task; task.isolated()")
    _interpreters.destroy(interpreter)
    if error:
        sys.exit(error.formatted)
PY
"$(cpython 3.14)" task.py
