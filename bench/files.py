"""Static files beside nginx: small ones by the second, and one large download at a time.

    scripts/bench-files                    five rounds of three seconds, and downloads of 1 GB
    scripts/bench-files --rounds 3 --seconds 1 --megabytes 256

Both serve the same folder on loopback, without an access log, with one process that sends. Rounds take turns, so that a machine that
drifts hurts both alike; figures are medians with their range. A run with an error or a wrong length is told and does not count.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import servers
from measure import answers, cpu_seconds, load
from servers import APPS, Job, Running

NAMES = ["gilkeeper-files", "nginx-files"]
SMALL = {"1k.txt": 1024, "16k.txt": 16 * 1024}


def ours(folder: Path) -> Callable[[Job], list[str]]:
    return lambda job: servers.ours(job, f"Alias /files {folder}\nWSGIScriptAlias / {job.script} process-group=bench")


def nginx(folder: Path) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        program = shutil.which("nginx", path="/usr/sbin:" + os.environ.get("PATH", ""))
        if program is None:
            raise SystemExit("there is no nginx; run `scripts/packages nginx`.")
        (job.folder / "nginx.conf").write_text(f"""
daemon off;
worker_processes 1;
pid {job.folder}/nginx.pid;
error_log {job.folder}/error.log warn;
{"user www-data;" if os.geteuid() == 0 else ""}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    types {{ text/plain txt; }}
    client_body_temp_path {job.folder}/body;
    proxy_temp_path {job.folder}/proxy;
    fastcgi_temp_path {job.folder}/fastcgi;
    uwsgi_temp_path {job.folder}/uwsgi;
    scgi_temp_path {job.folder}/scgi;
    server {{
        listen 127.0.0.1:{job.port};
        location /files {{ alias {folder}; }}
    }}
}}
""")
        return [program, "-c", str(job.folder / "nginx.conf"), "-p", str(job.folder)]

    return command


def family(server: Running) -> list[int]:
    """The server's processes by descent: nginx clears the environment by which others are found."""
    found, at = [server.process.pid], 0
    while at < len(found):
        children = Path(f"/proc/{found[at]}/task/{found[at]}/children")
        found += [int(pid) for pid in children.read_text().split()] if children.exists() else []
        at += 1
    return found


def download(port: int, size: int) -> float:
    """Bytes a second of one download, as curl has them."""
    form = "%{http_code} %{size_download} %{time_total}"
    command = ["curl", "-sS", "-o", "/dev/null", "-w", form, f"http://127.0.0.1:{port}/files/large.bin"]
    status, got, seconds = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if status != "200" or int(got) != size:
        raise RuntimeError(f"{status}, {got} bytes")
    return size / float(seconds)


def spread(values: list[float], form: str) -> str:
    if not values:
        return "no valid run"
    return f"{format(median(values), form)} ({format(min(values), form)} to {format(max(values), form)})"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--megabytes", type=int, default=1024)
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gilkeeper-bench-tree-"))
    folder.chmod(0o755)
    try:
        measured(given, folder)
    finally:
        shutil.rmtree(folder)


def measured(given: argparse.Namespace, folder: Path) -> None:
    for name, size in SMALL.items():
        (folder / name).write_bytes(b"x" * size)
    large = given.megabytes << 20
    with open(folder / "large.bin", "wb") as file:
        for _ in range(given.megabytes):
            file.write(os.urandom(1 << 20))
    for path in folder.iterdir():
        path.chmod(0o644)
    servers.FORMS["gilkeeper-files"], servers.FORMS["nginx-files"] = ours(folder), nginx(folder)
    figures: dict[tuple[str, str], list[float]] = {}
    with Running(NAMES[0], APPS / "hello.py", 1, 1) as one, Running(NAMES[1], APPS / "hello.py", 1, 1) as other:
        for server in (one, other):
            for name, size in SMALL.items():
                answers(server, f"/files/{name}", b"x" * size)
            load(server.port, "/files/1k.txt", given.connections, 1.0)
        for _ in range(given.rounds):
            for server in (one, other):
                for name in SMALL:
                    before = cpu_seconds(family(server))
                    text = load(server.port, f"/files/{name}", given.connections, given.seconds)
                    used = cpu_seconds(family(server)) - before
                    rate, count = re.search(r"^Requests/sec:\s+([\d.]+)", text, re.M), re.search(r"(\d+) requests in", text)
                    if rate is None or count is None or "Non-2xx" in text or "Socket errors" in text:
                        print(f"{server.name} {name}: {text}", file=sys.stderr)
                        continue
                    figures.setdefault((server.name, f"{name}, requests a second"), []).append(float(rate[1]))
                    figures.setdefault((server.name, f"{name}, CPU us a request"), []).append(used / int(count[1]) * 1e6)
                before, began = cpu_seconds(family(server)), time.monotonic()
                try:
                    speed = download(server.port, large) / 1e6
                except RuntimeError as problem:
                    print(f"{server.name} large.bin: {problem}", file=sys.stderr)
                    continue
                share = (cpu_seconds(family(server)) - before) / (time.monotonic() - began)
                figures.setdefault((server.name, f"{given.megabytes} MB, MB a second"), []).append(speed)
                figures.setdefault((server.name, f"{given.megabytes} MB, CPUs busy"), []).append(share)
    print("| | gilkeeper | nginx |\n|---|---|---|")
    for row in dict.fromkeys(row for _, row in figures):
        form = ".2f" if "busy" in row else ",.0f" if "second" in row else ".1f"
        cells = [spread(figures.get((name, row), []), form) for name in NAMES]
        print(f"| {row} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
