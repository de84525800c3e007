#!/usr/bin/env bash
# CPython 3.15.0rc2: with PYTHON_LAZY_IMPORTS=all, `with suppress(ImportError): import fast as json` breaks code that has worked for years.
#
# Imports in a `try` block stay eager with "all", because their place is where the error is caught. Those in a `with` block are lazy, so a
# `suppress(ImportError)` around them catches nothing: the name is bound all the same, over the module that was there before, and its first use
# raises where nobody expects it. The same idiom written with try and except goes on with the module that is there.
#
# Seen:  unset: with: {}  try: {}    all: with: ModuleNotFoundError at the use: No module named 'a_faster_json'  try: {}
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

cat >with_statement.py <<'PY'
import json
from contextlib import suppress

with suppress(ImportError):
    import a_faster_json as json
PY
cat >try_statement.py <<'PY'
import json

try:
    import a_faster_json as json
except ImportError:
    pass
PY
cat >use.py <<'PY'
import try_statement
import with_statement


def used(module):
    try:
        return module.json.dumps({})
    except ImportError as error:
        return f"{type(error).__name__} at the use: {error}"


print("with:", used(with_statement), " try:", used(try_statement))
PY
python=$(cpython 3.15)
"$python" -V
before=$("$python" use.py)
all=$(PYTHON_LAZY_IMPORTS=all "$python" use.py)
echo "unset: $before    all: $all"
[ "$before" = "with: {}  try: {}" ]
[ "$all" = "with: ModuleNotFoundError at the use: No module named 'a_faster_json'  try: {}" ]
