#!/usr/bin/env bash
# protobuf 7.36.2 on a free-threaded CPython: the same pip command, no message, and Python code in place of the C library.
#
# The makers publish C wheels for builds with a GIL only, and one wheel of Python code that fits every CPython. So pip on
# CPython 3.14t finds a wheel, installs the same version without a word, and each message is read and written by Python code.
# Nothing refuses and the GIL stays off: a test of "does it import without the GIL" is passed, and a service whose gain was
# to be in threads spends a hundred times as long on its messages. `api_implementation.Type()` is the only place that says so.
#
# Seen:  3.14 upb, 1.0 x    3.14t python, 158 x, GIL off
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

cat >try.py <<'PY'
import sys
import time

from google.protobuf import struct_pb2
from google.protobuf.internal import api_implementation

message = struct_pb2.Struct()
message.update({str(number): number for number in range(100)})
times = []
for _ in range(5):
    begun = time.perf_counter()
    struct_pb2.Struct.FromString(message.SerializeToString())
    times.append(time.perf_counter() - begun)
print(api_implementation.Type(), min(times), "on" if getattr(sys, "_is_gil_enabled", lambda: True)() else "off")
PY
for name in 3.14 3.14t; do
    install_into "venv-$name" "$(cpython $name)" protobuf==7.36.2
    "venv-$name/bin/python" try.py >"said-$name"
done
read -r ordinary first gil <said-3.14
[ "$ordinary $gil" = "upb on" ]
read -r other second gil <said-3.14t
[ "$other $gil" = "python off" ]
factor=$(python3 -c "print(round($second / $first))")
echo "3.14 $ordinary, 1.0 x    3.14t $other, $factor x, GIL $gil"
# Twenty is far below what is seen on any machine, and far above what a build of CPython makes of the same code.
[ "$factor" -gt 20 ]
