#!/usr/bin/env bash
# apacheconfig 0.3.2 takes a # inside an argument for a comment and drops the rest of the directive.
#
# Apache knows comments only where # is a line's first character; inside an argument it is an ordinary one, as in colours,
# fragments of redirects and regular expressions. The parser returns half a directive without an error, an unclosed
# quotation mark included; a tool that rewrites configurations with it writes the half back.
#
# Seen with CPython 3.11.7:  Redirect "/old" "/new#part" -> '"/old" "/new'
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install apacheconfig==0.3.2 ply==3.11 six==1.17.0
venv/bin/python - <<'PY'
from apacheconfig import make_loader

with make_loader() as loader:
    seen = loader.loads('Redirect "/old" "/new#part"\n')
print("Redirect", '"/old" "/new#part" ->', repr(seen["Redirect"]))
assert seen == {"Redirect": '"/old" "/new'}
PY
