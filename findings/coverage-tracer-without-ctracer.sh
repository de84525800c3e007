#!/usr/bin/env bash
# coverage 7.17.5 on CPython 3.14.7: only the first interpreter of a process that imports `coverage.tracer` gets a CTracer.
#
# In every later one, the main interpreter too, the import succeeds and the module is empty. coverage takes the import for
# the proof: `Coverage.sys_info()` says "CTracer: available from ...", and the fallback to Python's tracer, which is there for a
# missing C part, does not set in. With COVERAGE_CORE=ctrace `start()` then ends with an AttributeError. The default of 3.14
# (sysmon) needs no C part, so that a suite passes until somebody chooses the other core.
#
# Seen:  first: CTracer    second: no CTracer, available, AttributeError    main: no CTracer
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.14)" coverage==7.17.5
COVERAGE_CORE=ctrace venv/bin/python - <<'PY'
import _interpreters
import sys

print(sys.version)
LOOK = """
import coverage
import coverage.tracer

has = hasattr(coverage.tracer, "CTracer")
cover = coverage.Coverage(data_file=None)
says = dict(cover.sys_info())["CTracer"].split()[0]
try:
    cover.start()
    cover.stop()
    started = "started"
except AttributeError as error:
    started = str(error)
seen = has, says, started
print(*seen, flush=True)
"""
EMPTY = (False, "available", "module 'coverage.tracer' has no attribute 'CTracer'")
for expected in ((True, "available", "started"), EMPTY, EMPTY):
    # "legacy" shares the GIL, as every sub-interpreter did before 3.12; the module refuses one with its own.
    interpreter = _interpreters.create("legacy")
    error = _interpreters.exec(interpreter, LOOK + f"assert seen == {expected!r}, seen")
    _interpreters.destroy(interpreter)
    if error:
        sys.exit(error.formatted)
import coverage.tracer

print("main", hasattr(coverage.tracer, "CTracer"))
assert not hasattr(coverage.tracer, "CTracer")
PY
