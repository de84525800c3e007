"""The dashboard in a real Chromium, with a server under load behind it."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlsplit

import harness
import pytest
from conftest import ATTACK, Watched, picture
from playwright.sync_api import Page, expect

PAGES = {"overview": 10, "routes": 0, "gil": 5, "profile": 0, "processes": 5, "requests": 0, "events": 0}


def drawn(page: Page) -> int:
    """How many charts have something drawn on them beside their frame."""
    return page.evaluate(
        """() => [...document.querySelectorAll("main canvas")].filter((canvas) => {
            const { width, height } = canvas;
            const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
            const colours = new Set();
            for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
            return colours.size > 4;
        }).length"""
    )


def open_page(page: Page, name: str) -> None:
    page.locator(f"nav a[href='#{name}']").click()
    expect(page.locator("nav a[aria-current=page]")).to_have_attribute("href", f"#{name}")


def has_load(page: Page) -> None:
    """Waits until the figures are those of a server under load."""
    page.wait_for_function("async () => (await (await fetch('/api/v1/status')).json()).total.requests > 5")


@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_live_figures(page: Page, name: str) -> None:
    has_load(page)
    open_page(page, name)
    # The server's start may be more than a minute ago.
    page.locator("#range").select_option("3600" if name == "events" else "60")
    charts = PAGES[name]
    expect(page.locator("main canvas")).to_have_count(charts)
    harness.until(lambda: drawn(page) >= charts, f"{charts} charts of {name} are drawn", 20)
    if name == "overview":
        expect(page.locator(".badge").first).to_be_visible()
    elif name == "events":
        expect(page.locator("main details").first).to_be_visible()
    elif name == "profile":
        page.locator("main select").select_option("5")
        page.get_by_role("button", name="Start").click()
        # Routes, and below them the functions of the application; a click shows one alone.
        expect(page.locator(".flame").nth(1)).to_be_visible()
        expect(page.locator("main table").first).to_be_visible()
        page.locator(".flame").nth(1).click()
        expect(page.get_by_role("button", name="Show all")).to_be_visible()
        page.get_by_role("button", name="Show all").click()
        expect(page.get_by_role("link", name="speedscope")).to_be_visible()
    else:
        expect(page.locator("main table").first).to_be_visible()
    picture(page, name)


def test_a_chart_shows_values_under_the_pointer_and_by_the_keyboard(page: Page) -> None:
    has_load(page)
    chart = page.locator("section[aria-label='Answers to clients']")
    expect(chart.locator(".u-legend .u-value").nth(1)).to_have_text(re.compile(r"\d+(\.\d+)?/s"))
    chart.locator(".u-over").hover(position={"x": 200, "y": 50})
    expect(chart.locator(".u-legend .u-value").first).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    chart.locator(".chart").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#spoken")).to_have_text(re.compile(r"answers .*/s"))
    expect(chart.locator(".chart")).to_have_attribute("aria-label", re.compile("Answers to clients: answers"))


def test_pause_stands_still_and_goes_on(page: Page) -> None:
    has_load(page)
    expect(page.locator("#connection")).to_have_text("live")
    page.locator("#pause").click()
    expect(page.locator("#connection")).to_contain_text("paused")
    figures = page.locator(".figures").first
    before = figures.inner_text()
    # Two messages of the stream pass by unseen.
    page.evaluate(
        """() => new Promise((done) => {
            const stream = new EventSource("/api/v1/stream");
            let count = 0;
            stream.addEventListener("tick", () => { if (++count === 3) { stream.close(); done(); } });
        })"""
    )
    assert figures.inner_text() == before
    page.locator("#pause").click()
    expect(page.locator("#connection")).to_have_text("live")
    harness.until(lambda: figures.inner_text() != before, "the figures move again")


def span_of(url: str) -> float:
    """Seconds of the past that a request of the page asks for."""
    asked = parse_qs(urlsplit(url).query)
    return float(asked["to"][0]) - float(asked["from"][0]) if urlsplit(url).path == "/api/v1/history" else 0.0


def test_a_range_can_be_chosen_and_zoomed(page: Page) -> None:
    has_load(page)
    with page.expect_response(lambda answer: 3590 < span_of(answer.url) < 3610):
        page.locator("#range").select_option("3600")
    over = page.locator("section[aria-label='Answers to clients'] .u-over")
    box = over.bounding_box()
    assert box
    with page.expect_response(lambda answer: 800 < span_of(answer.url) < 1000) as asked:
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60, steps=4)
        page.mouse.up()
    assert asked.value.ok
    expect(page.locator("#back")).to_be_visible()
    page.locator("#back").click()
    expect(page.locator("#back")).to_be_hidden()


def test_the_heavy_route_is_named_and_an_attack_stays_text(page: Page) -> None:
    open_page(page, "gil")
    pairs = page.locator("section[aria-label='GIL waits by cause'] tbody tr")
    expect(pairs.filter(has_text="/report").filter(has_text="/checkout").first).to_be_visible()
    # The name of one of the application's own threads.
    expect(page.locator("section[aria-label='GIL waits by route']")).to_contain_text(ATTACK)
    # `(unknown)` and `(others)` have no page of their own.
    assert page.locator("main tbody a").filter(has_text=re.compile(r"^\(")).count() == 0
    open_page(page, "requests")
    expect(page.get_by_text("%3Cimg%20src=x").first).to_be_visible()


def test_light_and_dark_and_export(page: Page) -> None:
    has_load(page)
    first = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != first
    harness.until(lambda: drawn(page) == PAGES["overview"], "the charts are drawn again")
    with page.expect_download() as saved:
        page.locator("#json").click()
    whole = json.loads(saved.value.path().read_text())
    assert whole["status"]["workers"] and whole["points"] and "routes" in whole["requests"]
    with page.expect_download() as saved:
        page.locator("#png").click()
    assert saved.value.path().read_bytes().startswith(b"\x89PNG")


def test_a_killed_worker_is_an_event_with_its_request(page: Page, server: Watched) -> None:
    has_load(page)
    asking = threading.Thread(target=ask_and_lose, args=(server,), daemon=True)
    asking.start()

    def stuck() -> int:
        flying = json.loads(server.read("/api/v1/requests"))["in_flight"]
        return next((one["pid"] for one in flying if one["path"] == "/stuck"), 0)

    pid = harness.until(stuck, "the request is in flight", 20)
    open_page(page, "requests")
    expect(page.locator("section[aria-label='In flight']")).to_contain_text("/stuck")
    os.kill(pid, signal.SIGKILL)
    open_page(page, "events")
    crash = page.locator("main details", has_text="worker crashed")
    expect(crash).to_contain_text(f"pid {pid}")
    expect(crash).to_contain_text("request in flight: POST /stuck")
    open_page(page, "processes")
    ended = page.locator("section[aria-label='Processes that ended in this range'] tbody tr", has_text=str(pid))
    expect(ended).to_contain_text("POST /stuck")
    asking.join(20)
    server.wait_workers(2)


def ask_and_lose(server: Watched) -> None:
    # A POST: a GET would be tried again on the other worker.
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/stuck", data=b"", method="POST")
    try:
        urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        pass


def test_every_control_can_be_reached_by_keyboard_and_has_a_name(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, a")].filter((one) => !(one.textContent.trim() || one.ariaLabel || one.labels?.length)).length"""
    )
    assert nameless == 0
    for name in ("overview", "routes", "gil", "requests", "events"):
        open_page(page, name)
        sections = page.locator("main section")
        expect(sections.first).to_have_attribute("aria-label", re.compile("."))


def test_other_sites_are_refused(server: Watched) -> None:
    for header in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        request = urllib.request.Request(server.pages + "/api/v1/status", headers=header)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        assert refused.value.code == 403
        refused.value.close()


def test_the_terminal_shows_the_same(server: Watched, load: None) -> None:
    def shown() -> bool:
        told = server.tell("top", "--once")
        assert told.returncode == 0 and "answers/s" in told.stdout, told
        return "/checkout" in told.stdout and "the application" in told.stdout

    harness.until(shown, "top has the busiest route")
    telemetry = server.status()["telemetry"]
    assert telemetry["groups"]["default"]["point"]["threads"] > 0
