#!/usr/bin/env bash
# CPython 3.14.7: argon2-cffi hashes in a sub-interpreter whose sys.modules has no `_cffi_backend`; the main interpreter has it.
#
# The C part of argon2-cffi-bindings 26.2.0 imports cffi's `_cffi_backend` while it is initialised. Its initialisation is
# single-phase, and CPython (since 3.13) runs that in the main interpreter, with all that it imports, whichever interpreter
# asked. So an import in one interpreter adds modules to another, and whoever looks in sys.modules whether a dependency
# was loaded finds nothing, while hashes are right. `import _cffi_backend` in the sub-interpreter works, and puts it there.
#
# Seen:  main before: False    sub-interpreter: hash verified, False, second: hash verified, False    main after: True
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.14)" argon2-cffi==25.1.0 argon2-cffi-bindings==26.2.0 cffi==2.1.1 pycparser==3.12
venv/bin/python - <<'PY'
import _interpreters
import sys

print(sys.version)
HASH = """
import sys
from argon2 import PasswordHasher
hasher = PasswordHasher(time_cost=1, memory_cost=64)
assert hasher.verify(hasher.hash("word"), "word")
assert "_argon2_cffi_bindings._ffi" in sys.modules
assert "_cffi_backend" not in sys.modules
import _cffi_backend
assert "_cffi_backend" in sys.modules
"""
before = "_cffi_backend" in sys.modules
for _ in range(2):
    # "legacy" shares the GIL, as every sub-interpreter did before 3.12; the module refuses one with its own.
    interpreter = _interpreters.create("legacy")
    error = _interpreters.exec(interpreter, HASH)
    _interpreters.destroy(interpreter)
    if error:
        sys.exit(error.formatted)
    print("sub-interpreter: hash verified, False")
after = "_cffi_backend" in sys.modules
print("main before:", before, "   main after:", after)
assert (before, after) == (False, True)
PY
