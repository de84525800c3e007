# Sourced by findings that put requests to a server of another project: shared/venv.bash, a free port and the server's end.
# `app.py` and `ask.py` are the finding's own; `ask.py` imports `ask` from `client` and runs in `venv`, or by `$python`.

. "$(dirname "${BASH_SOURCE[0]}")/venv.bash"
server=
stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=
    fi
}
finish() {
    stop
    rm -rf "$work"
}
trap finish EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

# observe COMMAND...: starts the server in place of the one before, lets ask.py look at it, ends with ask.py's status. Not in a
# subshell: `$(observe ...)` would leave the server behind.
observe() {
    stop
    "$@" >server.log 2>&1 &
    server=$!
    PYTHONPATH=. "${python:-venv/bin/python}" ask.py "$port" || { cat server.log >&2; exit 1; }
}

cat >client.py <<'PY'
import socket
import sys
import time


def ask(request: bytes, port: int = int(sys.argv[1])) -> bytes:
    """The whole answer to one request; waits until the server listens, and until it closes."""
    for _ in range(400):
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=20)
            break
        except OSError:
            time.sleep(0.05)
    else:
        sys.exit("the server did not begin to listen")
    connection.sendall(request)
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer
PY
