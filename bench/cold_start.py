"""The cold start: `gilkeeper --help`, and `gilkeeper serve hello.py` until the first answer is there.

    python bench/cold_start.py .venv/bin/gilkeeper

Figures are the median of some runs with their range, in milliseconds.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

RUNS = 15
HELLO = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n"


def overview(gilkeeper: str, _: Path) -> float:
    begin = time.perf_counter()
    subprocess.run([gilkeeper, "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def first_answer(gilkeeper: str, folder: Path) -> float:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [gilkeeper, "serve", "hello.py", "--host", "127.0.0.1", "--port", str(port), "--server-root", str(folder / "root"), "--admin", "off"]
    begin = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None and server.stdout.readline().startswith(b"Serving ")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
        took = time.perf_counter() - begin
        server.terminate()
    return took


def main() -> None:
    gilkeeper = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "gilkeeper"
    measured: list[tuple[str, Callable[[str, Path], float]]] = [("gilkeeper --help", overview), ("serve hello.py, first answer", first_answer)]
    with tempfile.TemporaryDirectory(prefix="cold-") as name:
        folder = Path(name)
        (folder / "hello.py").write_text(HELLO)
        for what, measure in measured:
            took = sorted(measure(gilkeeper, folder) * 1000 for _ in range(RUNS))
            print(f"{what}: {statistics.median(took):.0f} ms ({took[0]:.0f} to {took[-1]:.0f})")


if __name__ == "__main__":
    main()
