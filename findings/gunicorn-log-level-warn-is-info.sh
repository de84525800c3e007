#!/usr/bin/env bash
# gunicorn 27.0.1: `--log-level warn` logs more than `--log-level warning`.
#
# Apache's LogLevel says `warn`, Python's logging takes `WARN` for `WARNING`, and gunicorn's own settings accept any text. Its table of
# levels has only `warning`; every other word is `info`, without a message. Who writes `warn`, or misspells `critical`, to have
# less in the log gets each start and stop of a worker.
#
# Seen with CPython 3.11.7:  warning: 0 lines    warn: 7 lines of INFO    critcal: 7 lines of INFO
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install gunicorn==27.0.1
cat >app.py <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"page"]
PY
cat >ask.py <<'PY'
from client import ask

assert ask(b"GET / HTTP/1.0\r\nHost: site.example\r\n\r\n").endswith(b"page")
PY

# lines LEVEL: how many lines of level INFO a server that has answered one request has logged.
lines() {
    observe venv/bin/gunicorn --no-control-socket --bind "127.0.0.1:$port" --log-level "$1" app:application
    stop
    grep -c '\[INFO\]' server.log || true
}
for level in warning warn critcal; do
    lines "$level" >"$level.count"
    echo "$level: $(cat "$level.count") lines of INFO"
done
[ "$(cat warning.count)" = 0 ] && [ "$(cat warn.count)" -ge 3 ] && [ "$(cat critcal.count)" = "$(cat warn.count)" ]
