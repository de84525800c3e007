#!/usr/bin/env bash
# CPython 3.14.7 and 3.15.0rc2 without the GIL, and 3.12.1: a name that setattr() has been given once stays in memory for ever.
#
# `setattr(g, f"user_{id}", user)` is a cache for the length of a request: the object dies with the request, and its attributes with it.
# setattr() interns the name, though, and these builds make each interned string immortal. So a name made of an id, a header or a field
# of a form costs 100 bytes until the process ends, once for each value that ever came. gc finds nothing, and tracemalloc's list
# of objects that somebody still holds does not explain it. With the GIL, 3.11, 3.13, 3.14 and 3.15 free it at once. A dict's keys, and
# `self.__dict__.update(...)`, are not interned in any of them.
#
# Seen, bytes kept of each of 200000 names:  3.14t: 99    3.15t: 99    3.12.1: 84    3.11.2, 3.13.0, 3.14, 3.15: 0    3.14t, dict: 0
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

cat >names.py <<'PY'
import gc
import resource
import sys

NUMBER = 200_000


class Request:
    pass


def by_setattr(name):
    setattr(Request(), name, 1)


def by_dict(name):
    Request().__dict__[name] = 1


def kept(put, prefix):
    """Bytes that the process has more for each name."""
    for number in range(NUMBER // 2):
        put(f"before_{prefix}_{number}")
    gc.collect()
    before = resident()
    for number in range(NUMBER):
        put(f"user_{prefix}_{number}")
    gc.collect()
    return (resident() - before) // NUMBER


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


told = {"dict": kept(by_dict, "dict"), "setattr": kept(by_setattr, "setattr")}
print(sys.version.split()[0] + sys.abiflags, told)
sys.exit(told["dict"] > 20 or (told["setattr"] > 50) != ("t" in sys.abiflags))
PY
for name in 3.14 3.14t 3.15; do
    "$(cpython "$name")" names.py
done
