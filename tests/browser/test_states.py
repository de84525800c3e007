"""The dashboard in each state of a server: every page, light and dark and as wide as a telephone, without a word on the console. And
the numbers that the charts show, where they are known."""

from __future__ import annotations

import json
import re
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
import pytest
from conftest import HERE, Load, Watched, opened, picture
from playwright.sync_api import Page, expect
from test_dashboard import open_page

PAGES = ("overview", "routes", "gil", "profile", "processes", "requests", "events")
VIEWS = ((1400, 1000, "light"), (1400, 1000, "dark"), (390, 844, "light"), (390, 844, "dark"))


def status(server: Watched) -> Any:
    return json.loads(server.read("/api/v1/status"))


def ask(server: Watched, path: str, method: str = "GET") -> int:
    """The status of an answer, 0 without one."""
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", data=b"" if method == "POST" else None, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


@contextmanager
def serving(server: Watched) -> Iterator[Watched]:
    server.start()
    try:
        yield server
    finally:
        (server.root / "app/go").touch()
        server.stop()
        server.clean()


def ask_until_served(server: Watched, path: str) -> None:
    """Asks again when the request was refused: a worker on a busy machine may be at its import for longer than queue-timeout."""
    while ask(server, path) == 503:
        pass


@contextmanager
def asking(server: Watched, paths: list[str]) -> Iterator[None]:
    threads = [threading.Thread(target=ask_until_served, args=(server, path), daemon=True) for path in paths]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        (server.root / "app/go").touch()
        for thread in threads:
            thread.join(60)


def label(server: Watched) -> str:
    return str(status(server)["groups"].get("default", {}).get("label", {}).get("kind"))


@contextmanager
def busy() -> Iterator[Watched]:
    with serving(Watched(HERE / "states.py", 5)) as server:
        load = [Load(server.port, ["/", "/missing", "/a/7"]) for _ in range(2)]
        for thread in load:
            thread.start()
        harness.until(lambda: status(server)["total"]["requests"] > 5, "the load runs", 20)
        yield server
        for thread in load:
            thread.over.set()
        for thread in load:
            thread.join(30)


@contextmanager
def saturated() -> Iterator[Watched]:
    with serving(Watched(HERE / "states.py", 5, "--queue-timeout", "1")) as server, asking(server, [f"/stay/{n}" for n in range(10)]):
        harness.until(lambda: sum(worker["busy"] for worker in status(server)["workers"]) == 10, "all threads are busy", 20)
        # Each is refused after a second, and asks again.
        load = [Load(server.port, ["/"]) for _ in range(3)]
        for thread in load:
            thread.start()
        harness.until(lambda: label(server) == "overloaded", "requests are refused", 20)
        yield server
        for thread in load:
            thread.over.set()
        for thread in load:
            thread.join(30)


@contextmanager
def idle() -> Iterator[Watched]:
    with serving(Watched(HERE / "states.py", 5)) as server:
        harness.until(lambda: len(status(server)["workers"]) == 2, "both workers are known", 20)
        yield server


@contextmanager
def failing() -> Iterator[Watched]:
    """An import that fails, with a message that wants to be markup."""
    folder = Path(tempfile.mkdtemp(prefix="gilkeeper-failing-"))
    broken = folder / "broken.py"
    broken.write_text("raise ImportError(\"no module named <img src=x onerror=document.title='attacked'>\")\n")
    with serving(Watched(broken, 2, "--keep-trying")) as server:
        harness.until(lambda: not status(server)["ready"] and status(server)["waiting"], "the import has failed", 20)
        ask(server, "/")
        yield server
    broken.unlink()
    folder.rmdir()


@contextmanager
def crashing() -> Iterator[Watched]:
    with serving(Watched(HERE / "states.py", 2)) as server:
        for _ in range(3):
            server.wait_workers(2)
            # A request that may change something is not tried again.
            assert ask(server, "/die", "POST") == 502
            assert ask(server, "/raise") == 500
        harness.until(lambda: b"exception_raised" in server.read("/api/v1/events"), "the exceptions are told", 20)
        yield server


STATES: dict[str, Callable[[], Any]] = {"busy": busy, "saturated": saturated, "idle": idle, "failing": failing, "crashing": crashing}


# Charts whose legend cannot be read without scrolling: more than a line where there is room, more than two on a telephone. A line for
# each of many processes may be scrolled, but takes no more room either.
SCROLLED = """lines => [...document.querySelectorAll("main .u-legend")].filter((legend) => {
    const room = 25 * lines + 2, many = legend.querySelectorAll(".u-series").length > 5;
    const hides = legend.scrollWidth > legend.clientWidth || legend.scrollHeight > legend.clientHeight;
    return legend.clientHeight > room || (hides && !many);
}).map((legend) => legend.closest("section").getAttribute("aria-label"))"""


def says(page: Page, state: str) -> None:
    """What the state looks like."""
    main = page.locator("main")
    if state == "busy":
        expect(main.locator(".badge").first).to_be_visible()
        open_page(page, "routes")
        expect(main).to_contain_text("/missing")
    elif state == "saturated":
        expect(main).to_contain_text("overloaded")
        expect(main).to_contain_text("no worker took the request")
        open_page(page, "processes")
        expect(main).to_contain_text("all threads busy")
    elif state == "idle":
        figures = page.locator("section[aria-label='process group default'] .figures")
        # No answer has no time and no share of errors; that there were none is known.
        for name, value in (("answers", "0/s"), ("errors", "–"), ("p50", "–"), ("p99", "–"), ("CPU / request", "–"), ("queued", "0")):
            expect(figures.locator("div", has=page.get_by_text(name, exact=True)).locator("dd")).to_have_text(value)
        expect(main).to_contain_text("No answers in this range.")
        open_page(page, "processes")
        server = page.locator("section[aria-label='The server itself']")
        for process in ("supervisor", "front", "admin"):
            expect(server.locator("tbody tr", has_text=process).locator("td").nth(3)).to_have_text(re.compile(r"^[1-9][0-9.]* MB$"))
        for name, value in (("queued", "0"), ("bodies written", "0 B/s"), ("held by the queue", "0 B")):
            expect(server.locator(".figures div", has=page.get_by_text(name, exact=True)).locator("dd")).to_have_text(value)
    elif state == "failing":
        expect(main).to_contain_text("Not ready:")
        open_page(page, "processes")
        expect(main).to_contain_text("import failed")
    else:
        open_page(page, "events")
        crashes = main.locator("details", has_text="worker crashed")
        expect(crashes.locator(".badge")).to_have_text("3 ×")
        raised = main.locator("details", has_text="exception raised")
        expect(raised).to_contain_text("CardRefused")
        page.get_by_role("searchbox", name="Text").fill("CardRefused")
        expect(crashes).to_have_count(0)
        open_page(page, "overview")
        expect(page.get_by_role("table", name="Exceptions in this range")).to_contain_text("CardRefused")


@pytest.mark.parametrize("state", STATES)
def test_every_page_in_every_state(state: str, chromium: Any) -> None:
    with STATES[state]() as server:
        for width, height, scheme in VIEWS:
            with opened(chromium, server, width, height, scheme) as page:
                page.locator("#range").select_option("60")
                for name in PAGES:
                    open_page(page, name)
                    expect(page.locator("main section").first).to_be_visible()
                    wide = page.evaluate("document.documentElement.scrollWidth")
                    assert wide <= width, f"{name} is {wide} pixels wide, of {width}"
                    assert page.evaluate(SCROLLED, 1 if width > 1000 else 2) == [], f"legends of {name}"
                    picture(page, f"{state}-{name}-{width}-{scheme}")
                if (width, height, scheme) == VIEWS[0]:
                    open_page(page, "overview")
                    says(page, state)


def readings(page: Page, title: str) -> list[dict[str, Any]]:
    return page.evaluate(f'document.querySelector("section[aria-label=\'{title}\'] .chart").readings()')


def test_ten_stuck_threads_are_ten_in_the_chart(chromium: Any) -> None:
    """Reported: with two processes of five threads and ten long requests the chart showed 0 while they ran, and thirty when they ended."""
    title = "Where requests spend their time (average threads)"

    def sums(page: Page) -> list[tuple[float, float]]:
        rows = readings(page, title)
        return [(row["t"], sum(value for value in row["values"].values() if value is not None)) for row in rows]

    with serving(Watched(HERE / "states.py", 5)) as server, opened(chromium, server) as page:
        page.locator("#range").select_option("60")
        harness.until(lambda: sums(page), "the chart has rows", 20)
        with asking(server, [f"/stay/{n}" for n in range(10)]):

            def flying() -> float:
                seen = json.loads(server.read("/api/v1/requests"))
                return seen["t"] if len(seen["in_flight"]) == 10 else 0.0

            since = harness.until(flying, "ten requests are in flight", 20)
            # The figures of the two processes need not be of the same instant: each second is right within what a busy machine delays them.
            first = harness.until(lambda: next((t for t, sum in sums(page) if sum > 9), None), "the chart is at 10", 20)
            assert first - since <= 4.0, first - since
            harness.until(lambda: sums(page)[-1][0] - since >= 3.0, "three seconds have passed", 20)
            assert all(sum > 9 for t, sum in sums(page) if t >= first), sums(page)
        harness.until(lambda: sums(page)[-1][1] < 0.1, "the threads are free", 20)
        assert max(sum for _, sum in sums(page)) <= 11, sums(page)


def test_one_request_a_minute_is_a_point(chromium: Any) -> None:
    """Reported: a value between two gaps was not drawn at all."""
    with serving(Watched(HERE / "states.py", 2)) as server, opened(chromium, server) as page:
        page.locator("#range").select_option("60")
        assert ask(server, "/") == 200
        title = "Time until the answer"

        def known() -> list[float]:
            return [row["values"]["p50"] for row in readings(page, title) if row["values"]["p50"] is not None]

        harness.until(lambda: len(known()) == 1, "the answer's second has a value", 20)
        # The colour of the lines is on the canvas: a point is there, although no line is.
        found = page.evaluate(
            f"""() => {{
                const canvas = document.querySelector("section[aria-label='{title}'] canvas");
                const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                const wanted = getComputedStyle(document.documentElement).getPropertyValue("--bad").trim();
                const [r, g, b] = [1, 3, 5].map((at) => parseInt(wanted.slice(at, at + 2), 16));
                let count = 0;
                for (let i = 0; i < data.length; i += 4) if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 30) count++;
                return count;
            }}"""
        )
        assert found >= 4, found
        # The card looks back for a minute, and not at the last second.
        figures = page.locator("section[aria-label='process group default'] .figures")
        expect(figures.locator("div", has=page.get_by_text("errors", exact=True)).locator("dd")).to_have_text("0 %")
