#!/usr/bin/env bash
# jsonschema 4.26.0, rpds-py 2026.9.1: works in the first sub-interpreter of a process, and is a TypeError of `abc` in the second.
#
# rpds-py keeps Python classes (`collections.abc.Mapping`) in static memory of its compiled module, filled by the interpreter that imports it
# first. The second interpreter registers its types with the first one's classes, whose C part is another module instance's:
# "_abc_impl is set to a wrong type". Neither the message nor the traceback names rpds-py, interpreters, or jsonschema's own code. The
# order of the first two requests decides which of two applications works.
#
# Seen:  first: ok    second: TypeError: _abc_impl is set to a wrong type
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.14)" jsonschema==4.26.0 rpds-py==2026.9.1 referencing==0.37.0 jsonschema-specifications==2025.9.1 attrs==26.1.0
venv/bin/python - <<'PY'
import _interpreters
import sys

print(sys.version)
VALIDATE = "import jsonschema; jsonschema.validate({'a': 1}, {'type': 'object', 'properties': {'a': {'type': 'integer'}}})"
seen = []
for _ in range(2):
    # "legacy" shares the GIL, as every sub-interpreter did before 3.12; rpds-py refuses one with its own.
    interpreter = _interpreters.create("legacy")
    error = _interpreters.exec(interpreter, VALIDATE)
    seen.append(error.formatted.strip().splitlines()[-1] if error else "ok")
    # It is not destroyed: the second would meet what the first one left.
print("first:", seen[0], "   second:", seen[1])
assert seen == ["ok", "TypeError: _abc_impl is set to a wrong type"]
sys.stdout.flush()
import os

os._exit(0)
PY
