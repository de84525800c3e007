#!/usr/bin/env bash
# gunicorn 27.0.1: the control socket belongs to the server that started last, and goes away with it.
#
# Each gunicorn opens a control socket by default, at one path per user. Two sites under one user share the path: the second
# start replaces the first one's socket without a word, and `gunicornc -c "worker add 2"`, meant for the first, reaches the
# second. When the second stops it removes the file, and the first, still serving, cannot be controlled. Each needs its own
# --control-socket, or --no-control-socket.
#
# Seen with CPython 3.11.7:  after one: one    after two: two    after two ended: nobody (one still serves)
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install gunicorn==27.0.1
cat >app.py <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"page"]
PY
export HOME=$work
unset XDG_RUNTIME_DIR
one= two=
trap 'for pid in $one $two; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done; finish' EXIT

# controlled: which of the two the default control socket leads to.
controlled() {
    local master
    master=$(venv/bin/gunicornc -c "show all" 2>/dev/null | sed -n '/^ARBITER/{n;s/.*PID: //p}') || true
    case $master in "$one") echo one ;; "$two") echo two ;; "") echo nobody ;; *) echo "$master" ;; esac
}
# until_listening LOG: waits until that server says that its control socket is there.
until_listening() {
    for _ in $(seq 200); do
        if grep -q "Control socket listening" "$1"; then return; fi
        sleep 0.05
    done
    cat "$1" >&2
    exit 1
}

venv/bin/gunicorn --bind "127.0.0.1:$port" app:application >one.log 2>&1 &
one=$!
until_listening one.log
seen=("$(controlled)")
venv/bin/gunicorn --bind 127.0.0.1:0 app:application >two.log 2>&1 &
two=$!
until_listening two.log
seen+=("$(controlled)")
kill "$two"
wait "$two" || true
seen+=("$(controlled)")
serves=$(python3 -c "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:$port/').read().decode())")
echo "after one: ${seen[0]}    after two: ${seen[1]}    after two ended: ${seen[2]} (one still serves)"
[ "${seen[*]}" = "one two nobody" ] && [ "$serves" = page ]
if grep -i -E "warn|error" one.log two.log; then exit 1; fi
