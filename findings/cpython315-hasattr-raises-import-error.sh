#!/usr/bin/env bash
# CPython 3.15.0rc2, pytest 9.2.0: `hasattr(module, name)` can raise ModuleNotFoundError, so unittest cannot load a file that pytest runs.
#
# `lazy import orjson` for a function that only some installations call: nothing else needs the package. But any look at the module's
# names is a use: `hasattr` answers False for an AttributeError only, and lets the ImportError of the import that it starts through.
# unittest's loader, `inspect.getmembers` and `pydoc` look at all names of a module, and end with the traceback of a package that nobody asked for;
# pytest reads the module's dictionary instead, and passes. So which tool is run decides whether the file is broken.
#
# Seen:  hasattr: ModuleNotFoundError    getmembers: ModuleNotFoundError    unittest: exit 1    pytest: exit 0
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.15)" pytest==9.2.0
cat >test_totals.py <<'PY'
lazy import orjson

import unittest


def dumped(value):
    return orjson.dumps(value)


class Totals(unittest.TestCase):
    def test_sum(self):
        self.assertEqual(sum([1, 2]), 3)
PY
cat >look.py <<'PY'
import inspect

import test_totals


def seen(look):
    try:
        return str(look())
    except Exception as error:
        return type(error).__name__


print("hasattr:", seen(lambda: hasattr(test_totals, "orjson")), "   getmembers:", seen(lambda: inspect.getmembers(test_totals)))
PY
venv/bin/python -V
status() { "$@" >out 2>&1 && echo 0 || echo $?; }
line="$(venv/bin/python look.py)    unittest: exit $(status venv/bin/python -m unittest test_totals)    pytest: exit $(status venv/bin/python -m pytest -q test_totals.py)"
echo "$line"
[ "$line" = "hasattr: ModuleNotFoundError    getmembers: ModuleNotFoundError    unittest: exit 1    pytest: exit 0" ]
