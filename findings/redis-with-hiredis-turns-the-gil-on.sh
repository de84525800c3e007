#!/usr/bin/env bash
# redis 8.1.0 on a free-threaded CPython: that hiredis is installed, and nothing else, turns the GIL of the whole process on.
#
# redis-py is Python code and runs without the GIL. It imports hiredis where that can be imported, to parse faster. hiredis
# 3.5.0 has a wheel made for this very build (cp314t), whose module does not declare that it needs no GIL; CPython then turns the
# GIL on when `import redis` runs. So a wheel "for free-threaded Python" is no sign, and the cause is a package that the
# application does not name: pip install redis[hiredis] in one requirements file is enough.
#
# Seen with CPython 3.14.7t:  redis alone: GIL off    redis beside hiredis (cp314-cp314t): GIL on
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

python=$(cpython 3.14t)
install_into alone "$python" redis==8.1.0
install_into beside "$python" redis==8.1.0 hiredis==3.5.0
ask='import sys, redis; print("GIL", "on" if sys._is_gil_enabled() else "off")'
alone=$(alone/bin/python -W ignore -c "$ask")
beside=$(beside/bin/python -W ignore -c "$ask")
tag=$(beside/bin/python -c 'from importlib.metadata import distribution; print(distribution("hiredis").read_text("WHEEL"))' |
    sed -n 's/^Tag: \(cp314-cp314t\)-.*/\1/p' | head -n 1)
echo "redis alone: $alone    redis beside hiredis ($tag): $beside"
[ "$alone, $tag, $beside" = "GIL off, cp314-cp314t, GIL on" ]
