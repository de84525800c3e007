#!/usr/bin/env bash
# psycopg2-binary 2.9.13 on CPython 3.14.7: a failed import in a sub-interpreter makes the main interpreter's fail, too.
#
# Whether psycopg2 can be imported depends on who tried first. Main first: it works there and in each sub-interpreter. A
# sub-interpreter first: "cannot import name 'encodings'", which looks like a broken installation, and from then on the same
# error in every interpreter of the process, the main one among them, where psycopg2 works when it is alone. Of two sites in
# one process, the one that is set up right breaks, or not, by which of them was asked first.
#
# Seen:  main first: main imported, sub imported    sub first: sub fails, main fails (cannot import name 'encodings')
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.14)" psycopg2-binary==2.9.13
cat >try.py <<'PY'
import _interpreters
import sys


def main():
    try:
        import psycopg2
    except ImportError as error:
        return str(error)
    return "imported"


def sub():
    # "legacy" shares the GIL, as every sub-interpreter did before 3.12; the module refuses one with its own.
    interpreter = _interpreters.create("legacy")
    error = _interpreters.exec(interpreter, "import psycopg2")
    _interpreters.destroy(interpreter)
    return error.msg if error else "imported"


for name in sys.argv[1:]:
    print(name, {"main": main, "sub": sub}[name]().split(" from ")[0], sep=": ")
PY
venv/bin/python -VV
seen=$(venv/bin/python try.py main sub sub; echo --; venv/bin/python try.py sub main sub)
echo "$seen"
[ "$seen" = "main: imported
sub: imported
sub: imported
--
sub: cannot import name 'encodings'
main: cannot import name 'encodings'
sub: cannot import name 'encodings'" ]
