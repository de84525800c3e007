#!/usr/bin/env bash
# SQLAlchemy 2.1.9 does not import in an interpreter with its own GIL, where 2.0.58 does; switching its extensions off does not help.
#
# Both have compiled modules that refuse such an interpreter. 2.0 tries them and goes on with its Python code. 2.1 asks whether they are
# installed, and imports them then without a way back. DISABLE_SQLALCHEMY_CEXT_RUNTIME=1, which the documentation has for this, is read
# after that question. So an update of a minor version takes a site down that chose this mode, and only in this mode.
#
# Seen:  2.0.58: ok    2.1.9: ImportError: module sqlalchemy.util._collections_cy does not support loading in subinterpreters
#        2.1.9, DISABLE_SQLALCHEMY_CEXT_RUNTIME=1: the same
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

cat >trial.py <<'PY'
import _interpreters

interpreter = _interpreters.create("isolated")
error = _interpreters.exec(interpreter, "import sqlalchemy; sqlalchemy.create_engine('sqlite://').connect().exec_driver_sql('select 1').scalar_one()")
_interpreters.destroy(interpreter)
print(error.formatted.strip().splitlines()[-1] if error else "ok")
PY
python=$(cpython 3.14)
"$python" -V
for version in 2.0.58 2.1.9; do
    install_into "$version" "$python" "SQLAlchemy==$version"
    for disabled in '' 1; do
        seen=$(DISABLE_SQLALCHEMY_CEXT_RUNTIME=$disabled "$version/bin/python" trial.py)
        echo "SQLAlchemy $version, DISABLE_SQLALCHEMY_CEXT_RUNTIME=$disabled: $seen"
        case $version:$seen in
            2.0.58:ok) ;;
            "2.1.9:ImportError: module sqlalchemy."*"does not support loading in subinterpreters") ;;
            *) exit 1 ;;
        esac
    done
done
