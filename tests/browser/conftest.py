"""One server, one Chromium, and one load for all tests; a page that notes console messages, errors and foreign requests."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from running import Gilkeeper

HERE = Path(__file__).resolve().parent
# How long a page may take for what a test waits for: beside other rings a page may be drawn for twenty seconds.
PATIENCE = 60_000
ATTACK = "<img src=x onerror=document.title='attacked'>"


def picture(page: Page, name: str) -> None:
    """Takes one of the documentation's pictures, when GILKEEPER_PICTURES says where they are put."""
    folder = os.environ.get("GILKEEPER_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


class Watched(Gilkeeper):
    """A server with its admin pages on a port of their own."""

    def __init__(self, file: Path = HERE / "shop.py", threads: int = 4, *more: str) -> None:
        arguments = [f"{{app}}/{file.name}", "--processes", "2", "--threads", str(threads), *more]
        super().__init__([file], arguments=arguments, name="browser")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.admin = probe.getsockname()[1]

    def command(self) -> list[str]:
        command = super().command()
        command[command.index("--admin") + 1] = f"127.0.0.1:{self.admin}"
        return command

    @property
    def pages(self) -> str:
        return f"http://127.0.0.1:{self.admin}"

    def read(self, path: str) -> bytes:
        with urllib.request.urlopen(self.pages + path, timeout=20) as answer:
            return answer.read()


class Load(threading.Thread):
    """Asks for paths one after the other until its end is asked for."""

    def __init__(self, port: int, paths: list[str]) -> None:
        super().__init__(daemon=True)
        self.port, self.paths, self.over = port, paths, threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                while not self.over.is_set():
                    for path in self.paths:
                        connection.putrequest("GET", path)
                        connection.putheader("User-Agent", ATTACK)
                        connection.endheaders()
                        connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                # A worker that is killed takes its requests with it.
                continue
            finally:
                connection.close()


@pytest.fixture(scope="session")
def server() -> Iterator[Watched]:
    server = Watched()
    server.start()
    yield server
    server.stop()
    server.clean()


@pytest.fixture(scope="session")
def load(server: Watched) -> Iterator[None]:
    attack = "/%3Cimg%20src=x%20onerror=document.title='attacked'%3E"
    paths = [["/report"], ["/checkout"], ["/checkout"], ["/", attack]]
    threads = [Load(server.port, one) for one in paths]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.over.set()
    for thread in threads:
        thread.join(30)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    found = shutil.which("chromium")
    assert found, "Debian's package chromium is missing"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        # For expectations, which a page's own timeout does not reach.
        expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()


@contextmanager
def opened(chromium: Any, server: Watched, width: int = 1400, height: int = 1000, scheme: str = "light") -> Iterator[Page]:
    """A page on the dashboard. Afterwards: no word on the console, no request to anywhere else, no script from a request."""
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("request", lambda request: None if request.url.startswith((server.pages, "data:", "blob:")) else problems.append(request.url))
    page.set_default_timeout(PATIENCE)
    page.goto(server.pages)
    yield page
    assert page.title() != "attacked"
    assert page.locator("main img").count() == 0
    context.close()
    assert not problems, problems


@pytest.fixture
def page(server: Watched, load: None, chromium: Any) -> Iterator[Page]:
    with opened(chromium, server) as page:
        yield page


@pytest.fixture(scope="session", autouse=True)
def _harness_is_there() -> None:
    assert harness.gilkeeper()
