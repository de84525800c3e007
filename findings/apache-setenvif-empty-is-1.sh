#!/usr/bin/env bash
# Apache 2.4.71: `SetEnvIf ... name=` sets the variable to 1, and `name=""` to two quote characters.
#
# `SetEnvIf Host . debug=` reads as "debug is empty", as `SetEnv debug ""` makes it. mod_setenvif takes an empty value as
# none, whose default is 1: an application or a `%{debug}e` that asks whether the value is empty finds it on. Quotes behind the
# equals sign do not help, as they belong to the value. A group that matched nothing is the way to an empty one.
# SetEnvIfExpr and BrowserMatch do the same as SetEnvIf.
#
# Seen:  SetEnv "" -> <>    name= -> <1>    name="" -> <"">    name=$1 -> <>    SetEnvIfExpr name= -> <1>    BrowserMatch name= -> <1>
set -euo pipefail
. "$(dirname "$0")/shared/apache.bash"

configure env setenvif headers <<'CONF'
SetEnv plain ""
SetEnvIf Host . bare=
SetEnvIf Host . quoted=""
SetEnvIf Host . "around="
SetEnvIf Host . group=$1
SetEnvIfExpr true expr=
BrowserMatch Agent browser=
Header set X-Plain "<%{plain}e>"
Header set X-Bare "<%{bare}e>"
Header set X-Quoted "<%{quoted}e>"
Header set X-Around "<%{around}e>"
Header set X-Group "<%{group}e>"
Header set X-Expr "<%{expr}e>"
Header set X-Browser "<%{browser}e>"
CONF
cat >ask.py <<'PY'
from client import ask

head = ask(b"GET /page.html HTTP/1.0\r\nHost: site.example\r\nUser-Agent: Agent\r\n\r\n").partition(b"\r\n\r\n")[0].decode()
seen = dict(line[2:].split(": ") for line in head.split("\r\n") if line.startswith("X-"))
for name, value in seen.items():
    print(name.lower(), "->", value)
assert seen == {
    "Plain": "<>",
    "Bare": "<1>",
    "Quoted": '<"">',
    "Around": "<1>",
    "Group": "<>",
    "Expr": "<1>",
    "Browser": "<1>",
}
PY
observe "$httpd" -X -f "$work/httpd.conf"
