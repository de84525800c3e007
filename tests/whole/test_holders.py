"""Hot holders: the lines that held the GIL while others waited, over the admin port, in `/metrics` and on the command line."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness import until
from running import Gilkeeper

APP = """
import sys, threading, time

def render(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

def application(environ, start_response):
    if environ["PATH_INFO"] == "/report":
        render(0.1)
    else:
        for _ in range(10):
            time.sleep(0.001)
    if environ["PATH_INFO"] == "/thread":
        thread = threading.Thread(target=render, args=(0.01,))
        thread.start()
        thread.join()
    start_response("200 OK", [])
    return [" ".join(sys.modules).encode()]
"""
LOOP = 1 + APP.splitlines().index("    while time.monotonic() < end:")


def text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


def load(server: Gilkeeper) -> None:
    """Some reports, beside requests that want the GIL again and again."""
    paths = ["/report", "/light", "/light"] * 4
    with ThreadPoolExecutor(3) as clients:
        list(clients.map(lambda path: text(f"http://127.0.0.1:{server.port}{path}"), paths))


def site(folder: Path) -> Path:
    script = folder / "holders.py"
    script.write_text(APP)
    return script


def test_the_line_that_made_others_wait_is_found(gilkeeper: Callable[..., Gilkeeper], tmp_path: Path) -> None:
    server = gilkeeper([site(tmp_path)], arguments=["{app}/holders.py", "--threads", "3"], admin=0)
    admin = server.status()["admin"].rstrip("/")

    def first(query: str = "") -> dict[str, Any] | None:
        load(server)
        holders = json.loads(text(f"{admin}/api/v1/holders?from=-60{query}"))["holders"]
        return holders[0] if holders and holders[0]["function"] == "render" else None

    place = until(first, "a place leads the holders", 30)
    assert place["route"] == "/report" and place["file"].endswith("/holders.py"), place
    assert LOOP <= place["line"] <= LOOP + 1 and place["waits"] > 0 and place["longest"] <= place["seconds"], place
    assert first("&route=/light") is None
    assert f'function="render",location="{place["file"]}:{place["line"]}"' in text(f"{admin}/metrics")
    told = server.tell("holders", "--route", "/report")
    assert told.returncode == 0 and f"holders.py:{place['line']}" in told.stdout, (told.stdout, told.stderr)
    as_json = json.loads(server.tell("holders", "--last", "60", "--format", "json").stdout)
    assert as_json["holders"][0]["function"] == "render"


def test_naming_the_holders_imports_nothing(gilkeeper: Callable[..., Gilkeeper], tmp_path: Path) -> None:
    """Reported: a worker on a busy machine had 0.6 MB more than another: the name of a thread was made with `re`."""
    server = gilkeeper([site(tmp_path)], arguments=["{app}/holders.py", "--threads", "3"])
    address = f"http://127.0.0.1:{server.port}"
    before = set(text(f"{address}/light").split())
    load(server)
    assert set(text(f"{address}/thread").split()) - before == set()


def test_it_can_be_switched_off(gilkeeper: Callable[..., Gilkeeper], tmp_path: Path) -> None:
    conf = "GilkeeperHolders Off\nWSGIDaemonProcess app threads=3\nWSGIScriptAlias / ${APP}/holders.py process-group=app application-group=%{GLOBAL}\n"
    server = gilkeeper([site(tmp_path)], conf, admin=0)
    admin = server.status()["admin"].rstrip("/")

    def waited() -> dict[str, Any] | None:
        load(server)
        told: dict[str, Any] = json.loads(text(f"{admin}/api/v1/holders?from=-60"))
        return told if told["gil_wait_seconds"] > 0 else None

    assert until(waited, "waits are measured", 30)["holders"] == []
    assert "no wait for the GIL was booked" in server.tell("holders").stdout
