"""TLS and HTTP/2 beside Granian: hello, one process of one thread; and what an idle TLS connection costs.

    scripts/bench-edge                     eight rounds of two seconds, and 500 idle connections (Granian takes no more than some 1,000)
    scripts/bench-edge --rounds 2 --seconds 1 --idle 200

Both servers run at once with the same certificate; h2load or wrk asks the one and right after it the other, and they take turns in who is
first. Figures are medians with their range, ratios those of pairs. A run with a failed request is told and does not count.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import harness
import servers
from measure import cpu_seconds, pss_megabytes
from servers import APPS, Job, Running, peer

NAMES = ["gilkeeper-edge", "granian-edge"]
STREAMS = 10


def ours(files: Path) -> Callable[[Job], list[str]]:
    tls = f"SSLEngine On\nSSLCertificateFile {files}/site.pem\nSSLCertificateKeyFile {files}/site.key\nProtocols h2 http/1.1"
    return lambda job: servers.ours(job, f"{tls}\nWSGIScriptAlias / {job.script} process-group=bench application-group=%{{GLOBAL}}")


def granian(files: Path) -> Callable[[Job], list[str]]:
    options = ["--ssl-certificate", f"{files}/site.pem", "--ssl-keyfile", f"{files}/site.key", "--http", "auto"]
    # The application is its last argument.
    return lambda job: [peer("granian"), *options, *servers.granian(job)[1:]]


def certificate(files: Path) -> None:
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", *new, "-days", "30", "-keyout", "site.key", "-out", "site.pem"]
    subprocess.run(command, cwd=files, check=True, capture_output=True)


def h2load(port: int, connections: int, seconds: int) -> tuple[float, int]:
    """Requests a second, and their number, over HTTP/2."""
    command = ["h2load", f"-m{STREAMS}", "-t1", f"-c{connections}", f"-D{seconds}s", "--warm-up-time=500ms", f"https://127.0.0.1:{port}/"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    rate = re.search(r"([\d.]+) req/s", text)
    count = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
    if rate is None or count is None or count[1] != count[2] or any(int(count[n]) for n in (3, 4, 5)):
        raise RuntimeError(text)
    # Of the warm-up there is no count: its requests came as fast as the others.
    return float(rate[1]), round(int(count[1]) * (seconds + 0.5) / seconds)


def wrk(port: int, connections: int, seconds: int) -> tuple[float, int]:
    """The same over HTTP/1.1."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"https://127.0.0.1:{port}/"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    rate, count = re.search(r"^Requests/sec:\s+([\d.]+)", text, re.M), re.search(r"(\d+) requests in", text)
    if rate is None or count is None or "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(text)
    return float(rate[1]), int(count[1])


def idle(server: Running, count: int) -> float:
    """KiB that a TLS connection takes, the server's processes together, with one request asked on it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])

    def opened() -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", server.port), 20)
        secured = context.wrap_socket(plain, server_hostname="localhost")
        secured.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if not secured.recv(1):
            raise RuntimeError("closed")
        return secured

    first = [opened() for _ in range(20)]
    before = pss_megabytes(server.pids())
    more = [opened() for _ in range(count)]
    # The allocator of a server may give back with a delay what handshakes took.
    time.sleep(3)
    taken = (pss_megabytes(server.pids()) - before) * 1024 / count
    for one in first + more:
        one.close()
    return taken


def spread(values: list[float], form: str) -> str:
    return f"{format(median(values), form)} ({format(min(values), form)} to {format(max(values), form)})" if values else "no valid run"


def ready(server: Running) -> None:
    context = ssl._create_unverified_context()  # noqa: S323

    def answers() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", server.port), 5) as plain, context.wrap_socket(plain, server_hostname="localhost") as one:
                one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return one.recv(15).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    harness.until(answers, f"{server.name} answers over TLS: {server.words()}", 30)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=8)
    options.add_argument("--seconds", type=int, default=2)
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--idle", type=int, default=500)
    given = options.parse_args()
    files = Path(tempfile.mkdtemp(prefix="gilkeeper-bench-edge-"))
    try:
        certificate(files)
        measured(given, files)
    finally:
        shutil.rmtree(files)


def measured(given: argparse.Namespace, files: Path) -> None:
    servers.FORMS[NAMES[0]], servers.FORMS[NAMES[1]] = ours(files), granian(files)
    forms = {
        f"HTTP/2 over TLS, {given.connections} x {STREAMS} streams": h2load,
        f"HTTP/1.1 over TLS, {given.connections} connections": wrk,
    }
    print("| | gilkeeper | granian | ratio |\n|---|---|---|---|")
    with Running(NAMES[0], APPS / "hello.py", 1, 1) as one, Running(NAMES[1], APPS / "hello.py", 1, 1) as other:
        for server in (one, other):
            ready(server)
        for row, load in forms.items():
            rates: dict[str, list[float]] = {name: [] for name in NAMES}
            costs: dict[str, list[float]] = {name: [] for name in NAMES}
            for server in (one, other):
                load(server.port, given.connections, 1)
            for turn in range(given.rounds):
                pair: dict[str, tuple[float, float]] = {}
                for server in (one, other) if turn % 2 else (other, one):
                    before = cpu_seconds(server.pids())
                    try:
                        rate, count = load(server.port, given.connections, given.seconds)
                    except RuntimeError as problem:
                        print(f"{server.name}, {row}: {problem}", file=sys.stderr)
                        continue
                    pair[server.name] = rate, (cpu_seconds(server.pids()) - before) / count * 1e6
                if len(pair) == len(NAMES):
                    for name, (rate, cost) in pair.items():
                        rates[name].append(rate)
                        costs[name].append(cost)
            for what, figures, shape in (("requests a second", rates, ",.0f"), ("CPU us a request", costs, ".1f")):
                ratios = [mine / theirs for mine, theirs in zip(*figures.values(), strict=True)]
                print(f"| {row}, {what} | {spread(figures[NAMES[0]], shape)} | {spread(figures[NAMES[1]], shape)} | {spread(ratios, '.2f')} |")
        cells = [idle(server, given.idle) for server in (one, other)]
        print(f"| KiB of an idle TLS connection, of {given.idle} | {cells[0]:.1f} | {cells[1]:.1f} | {cells[0] / cells[1]:.2f} |")


if __name__ == "__main__":
    main()
