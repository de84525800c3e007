#!/usr/bin/env bash
# CPython 3.14.7 without the GIL: threads that share one iterator of a list do a part of the jobs twice.
#
# `for job in jobs` in several threads, with one `jobs = iter(...)` between them, is a work queue in one line, and exact for as long as there
# is a GIL. Without one the iterator of a list gives the same element to two threads, without an error. That of a range does so much more
# seldom (in one run of several), so that a test with range() proves nothing of the list that stands there in production. That of a dict may
# end with "dictionary keys changed during iteration", though nothing has changed the dict. Those of a deque, itertools.islice() and
# enumerate() gave each of 100000 elements once. A `queue.SimpleQueue`, or `list.pop()`, hands each job out once.
#
# Seen, most jobs handed out of 100000 in a round (four threads, two CPUs):  3.14: list 100000    3.14t: list 159942, range 100000, dict 100000
# and on busier days:  3.14t: list 113896, range 106483, dict 100000    3.14t: list 144886, range 100000, dict: RuntimeError
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

cat >jobs.py <<'PY'
import sys
import threading

NUMBER, ROUNDS = 100_000, 30
errors = set()


def handed_out(jobs):
    """Jobs that four threads got of one iterator, until there are none left."""
    begin, counts = threading.Barrier(4), []

    def work():
        count = 0
        begin.wait()
        try:
            for _ in jobs:
                count += 1
                if count == 5 * NUMBER:
                    break
        except RuntimeError as error:
            errors.add(str(error))
        counts.append(count)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


kinds = {"list": list(range(NUMBER)), "range": range(NUMBER), "dict": dict.fromkeys(range(NUMBER))}
most = dict.fromkeys(kinds, 0)
for _ in range(ROUNDS):
    # Two threads must be at it in the same moment, which a busy machine does not always grant.
    most = {name: max(most[name], handed_out(iter(kind))) for name, kind in kinds.items()}
    if most["list"] > NUMBER:
        break
print(sys.version.split()[0] + sys.abiflags, most, *errors)
exact = set(most.values()) == {NUMBER} and not errors
sys.exit(most["list"] <= NUMBER if "t" in sys.abiflags else not exact)
PY
for name in 3.14 3.14t; do
    "$(cpython "$name")" jobs.py
done
