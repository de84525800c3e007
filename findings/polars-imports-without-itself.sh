#!/usr/bin/env bash
# polars 2.1.0 in an interpreter with its own GIL: `import polars` succeeds, and DataFrame is a NameError.
#
# CPython refuses its extension module in an isolated interpreter (3.12 and later). polars takes each ImportError for a binary
# that was not installed, warns "Polars binary is missing!", and goes on without it. So the import that a health check or a deploy
# looks at is fine, the version is empty, and the first request that makes a frame fails with a name that is in no code of its own.
# numpy and pandas raise their ImportError at the import.
#
# Seen with CPython 3.14.7:  main: 2.1.0, sum 3    isolated: '', Polars binary is missing!, NameError: name 'PySeries' is not defined
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.14)" polars==2.1.0
venv/bin/python - <<'PY'
from concurrent import interpreters

import polars

print("main:", polars.__version__, polars.DataFrame({"a": [1, 2]})["a"].sum())
isolated = interpreters.create()
isolated.exec("""
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import polars
print("isolated:", repr(polars.__version__), *(warning.message for warning in caught))
assert polars.__version__ == "" and [str(warning.message) for warning in caught] == ["Polars binary is missing!"]
""")
try:
    isolated.exec("import polars\npolars.DataFrame({'a': [1, 2]})")
except interpreters.ExecutionFailed as error:
    print("isolated:", error.excinfo.type.__name__, error.excinfo.msg)
    assert (error.excinfo.type.__name__, error.excinfo.msg) == ("NameError", "name 'PySeries' is not defined")
else:
    raise SystemExit("a frame was made")
isolated.close()
PY
