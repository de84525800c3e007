#!/usr/bin/env bash
# logfmt 0.4: a quoted value with \n in it swallows the next quoted field.
#
# logfmt has no written rule for quotes, but its writers agree: logfmter 0.0.12 writes a quotation mark in a value as \" and a line's end
# as \n. The reader of the same name from PyPI knows a backslash before a mark; before any other character it still waits for a mark
# to take as it is, and finds the one that ends the value. The value goes on to the next field's mark, that field's name is part of it,
# and that field's words become names of fields: of a log line with a traceback, the path is gone. npm's logfmt 1.4.0 finds the end, and
# reads \n as n. Who wants both to read a log back needs values without backslashes, or JSON.
#
# Seen with CPython 3.11.7 and Node 20:
#   written: msg="one\ntwo" path="/a b" status=200
#   PyPI:    msg='onentwo" path=', /a=True, b=True, status='200'
#   npm:     msg='onentwo', path='/a b', status='200'
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install logfmt==0.4 logfmter==0.0.12
cat >see.py <<'PY'
import io
import logging

import logfmt
from logfmter import Logfmter

written = io.StringIO()
handler = logging.StreamHandler(written)
handler.setFormatter(Logfmter(keys=[]))
logging.getLogger("site").addHandler(handler)
logging.getLogger("site").error("one\ntwo", extra={"path": "/a b", "status": 200})
line = written.getvalue().strip()
print("written:", line)
(read,) = logfmt.parse(io.StringIO(line))
print("PyPI:   ", read)
assert line == r'msg="one\ntwo" path="/a b" status=200', line
assert "path" not in read and read["msg"] == 'onentwo" path=' and read["status"] == "200", read
PY
venv/bin/python see.py
npm install --silent --no-fund --no-audit logfmt@1.4.0 >/dev/null
node -e '
const { parse } = require("logfmt");
const read = parse(String.raw`msg="one\ntwo" path="/a b" status=200`);
console.log("npm:    ", read);
if (read.msg !== "onentwo" || read.path !== "/a b" || read.status !== "200") process.exit(1);
'
