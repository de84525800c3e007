"""`gilkeeper telemetry serve` in a real Chromium: two servers, one of them on another host, with names that want to be markup."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import harness
import pytest
from conftest import ATTACK, HERE, Load, Watched, picture
from gathering import Gatherer
from playwright.sync_api import Page, expect
from test_dashboard import drawn, open_page


class Far(threading.Thread):
    """A process on a host far away, which serves 25 requests in each half second."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.path, self.over = path, threading.Event()

    def run(self) -> None:
        def text(number: int, value: str) -> bytes:
            return struct.pack("<HBH", number, 4, len(value.encode())) + value.encode()

        def number(which: int, value: float) -> bytes:
            return struct.pack("<HBd", which, 2, value)

        def count(which: int, value: int) -> bytes:
            return struct.pack("<HBQ", which, 1, value)

        row = struct.pack("<HBH65i", 94, 5, 65, *([0] * 10 + [25] + [0] * 54))
        busy = struct.pack("<HBH2d", 111, 6, 2, 0.1, 0.05)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(self.path)
            for seq in range(1, 10_000):
                head = b"WSGI" + struct.pack("<BBHIId", 1, 2, 0, 4711, seq, time.time())
                body = text(5, f"far{ATTACK}") + text(6, ATTACK) + number(10, 0.5) + number(11, 0.5) + count(20, 25) + count(50, 2)
                body += count(121, 25) + number(32, 0.4) + count(40, 50 << 20) + number(64, 0.012) + number(63, 0.011) + row + busy
                sender.send(head + body)
                if seq == 4:
                    sender.send(b"nonsense")
                if self.over.wait(0.5):
                    return


@pytest.fixture(scope="module")
def gathered() -> Iterator[Gatherer]:
    gatherer = Gatherer()
    far = Far(str(gatherer.socket))
    far.start()
    near = Watched(HERE / "shop.py", 4, "--telemetry-service", f"unix:{gatherer.socket}", "--telemetry-interval", "0.5")
    near.start()
    load = Load(near.port, ["/checkout"])
    load.start()
    yield gatherer
    load.over.set()
    load.join(30)
    far.over.set()
    far.join()
    near.stop()
    near.clean()
    assert gatherer.end() == 0


def test_other_servers_are_on_the_pages(gathered: Gatherer, chromium: Any) -> None:
    harness.until(lambda: len(gathered.status()["workers"]) == 3, "three processes are known", 30)
    harness.until(lambda: gathered.status()["intake"]["refused"], "the bad datagram has come")
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    page: Page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("request", lambda request: None if request.url.startswith((gathered.url, "data:", "blob:")) else problems.append(request.url))
    page.set_default_timeout(20_000)
    page.goto(gathered.url)
    page.locator("#range").select_option("60")
    harness.until(lambda: drawn(page) >= 8, "the charts of the overview are drawn", 30)
    open_page(page, "processes")
    table = page.get_by_role("table", name="Processes", exact=True)
    expect(table.get_by_role("row")).to_have_count(4)
    expect(table).to_contain_text(f"far{ATTACK}")
    expect(table).to_contain_text("mod_wsgi")
    expect(page.locator("main")).to_contain_text("Unreadable: 1 of the datagrams, 0 of the requests.")
    expect(page.locator("main")).to_contain_text("own acquire points")
    picture(page, "gathered")
    for name in ("gil", "requests", "events"):
        open_page(page, name)
    assert page.title() != "attacked" and page.locator("main img").count() == 0
    context.close()
    assert not problems, problems
