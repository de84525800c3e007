"""GilkeeperStatsd: the lines as they come out of the socket, and what the released statsd makes of them."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import harness
from running import Gilkeeper

HERE = Path(__file__).resolve().parent
CONF = """
GilkeeperStatsd 127.0.0.1:{port} interval=1 prefix=shop.web
WSGIDaemonProcess "my site" processes=2 threads=3
WSGIScriptAlias / ${{APP}}/mixed.py process-group="my site" application-group=%{{GLOBAL}}
"""


def test_lines_are_statsds(gilkeeper: Callable[..., Gilkeeper]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(20)
        server = gilkeeper([HERE / "mixed.py"], CONF.format(port=receiver.getsockname()[1]))
        server.wait_workers(2)
        for _ in range(20):
            assert server.ask("/wait").status == 200
        counted, seen = 0.0, set()
        wanted = {"shop.web.request_seconds.my_site.global.p95_ms", "shop.web.threads.my_site", "shop.web.process_cpu_seconds.my_site"}
        while counted < 20 or not wanted <= seen:
            packet = receiver.recv(65536)
            assert len(packet) <= 1400
            for line in packet.decode().split("\n"):
                found = re.fullmatch(r"([A-Za-z0-9_.-]+):(-?[0-9.]+)\|(c|g)", line)
                assert found and found[1].startswith("shop.web."), line
                seen.add(found[1])
                if found[1] == "shop.web.requests.my_site.global.200":
                    assert found[3] == "c"
                    counted += float(found[2])
                if found[1] == "shop.web.threads.my_site":
                    # Those of both processes, once both are followed.
                    assert float(found[2]) in (3, 6)
        assert counted == 20


def test_the_released_statsd_understands_them(gilkeeper: Callable[..., Gilkeeper], tmp_path: Path) -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        subprocess.run([harness.REPOSITORY / "scripts" / "packages", "nodejs", "npm"], check=True)
    home = HERE / ".statsd"
    home.mkdir(exist_ok=True)
    shutil.copy(HERE / "package.json", home)
    if not (home / "node_modules/statsd/stats.js").exists():
        install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        subprocess.run(install, cwd=home, check=True, stdin=subprocess.DEVNULL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    control = harness.free_port()
    local = {"address": "127.0.0.1", "mgmt_address": "127.0.0.1"}
    config = {**local, "port": port, "mgmt_port": control, "backends": [], "flushInterval": 600_000, "dumpMessages": False}
    (tmp_path / "config.js").write_text(f"({json.dumps(config)})")
    log = tmp_path / "log"
    with open(log, "wb") as written:
        command = ["node", home / "node_modules/statsd/stats.js", tmp_path / "config.js"]
        process = subprocess.Popen(command, stdout=written, stderr=written, stdin=subprocess.DEVNULL)

    def ask(question: str) -> str:
        assert process.poll() is None, log.read_text()
        try:
            with socket.create_connection(("127.0.0.1", control), 5) as connection:
                connection.sendall(question.encode() + b"\n")
                told = b""
                while not told.endswith(b"END\n\n"):
                    block = connection.recv(65536)
                    if not block:
                        return ""
                    told += block
                return told.decode()
        except ConnectionRefusedError:
            return ""

    try:
        harness.until(lambda: ask("counters"), "statsd runs", 30)
        server = gilkeeper([HERE / "mixed.py"], CONF.format(port=port))
        server.wait_workers(2)
        for _ in range(20):
            assert server.ask("/wait").status == 200
        assert server.ask("/missing").status == 404
        name = r"'?shop\.web\.requests\.my_site\.global\.{code}'?: {count}\b"
        for code, count in ((200, 20), (404, 1)):
            harness.until(lambda: re.search(name.format(code=code, count=count), ask("counters")), f"statsd counted {code}", 20)
        gauges = ask("gauges")
        assert re.search(r"shop\.web\.threads\.my_site'?: 6\b", gauges), gauges
        assert re.search(r"shop\.web\.request_seconds\.my_site\.global\.p95_ms'?: [0-9.]+", gauges), gauges
        assert re.search(r"'?statsd\.bad_lines_seen'?: 0\b", ask("counters")), ask("counters")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
