#!/usr/bin/env bash
# PYTHON_GIL=0 in an environment: CPython 3.14.7 and 3.15.0rc2 with a GIL do not start at all; 3.11 and 3.14t do.
#
# It is said once for a service of a free-threaded CPython, in its unit or its container. Every program that this service starts inherits it,
# and a command line tool in another Python ends before its first line with "Disabling the GIL is not supported by this build",
# while PYTHON_GIL=1, an unknown variable's value or an older CPython are no difficulty. As the tool has not begun, its own error handling
# reports nothing. `python -I` and `-E` start, as they look at no such variable; `-X gil=0` reaches no child.
#
# Seen:  3.11: started    3.14t: started    3.14: exit status 1    3.15: exit status 1    3.14 with -E: started
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

starts() {
    PYTHON_GIL=0 "$@" -c 'print("started")' 2>reason || echo "exit status $?"
}

# The last one: the child of a service without a GIL.
with=$(cpython 3.14) newest=$(cpython 3.15) without=$(cpython 3.14t) old=$(cpython 3.11)
"$with" -V && "$newest" -V && "$old" -V
seen="3.11: $(starts "$old")    3.14t: $(starts "$without")    3.14: $(starts "$with")    3.15: $(starts "$newest")    3.14 with -E: $(starts "$with" -E)"
echo "$seen"
[ "$seen" = "3.11: started    3.14t: started    3.14: exit status 1    3.15: exit status 1    3.14 with -E: started" ]
starts "$with" >status
grep 'Disabling the GIL is not supported by this build' reason
child=$(PYTHON_GIL=0 "$without" - "$with" <<'PY'
import subprocess
import sys

print(subprocess.run([sys.argv[1], "-c", ""], stderr=subprocess.DEVNULL).returncode)
PY
)
echo "a child that 3.14t starts in 3.14: exit status $child"
[ "$child" = 1 ]
