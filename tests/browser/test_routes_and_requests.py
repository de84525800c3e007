"""The tables of the dashboard in a real Chromium: sorted, filtered, and from a route to its own page."""

from __future__ import annotations

import json
import re
import time

import harness
from conftest import Watched
from playwright.sync_api import Locator, Page, expect
from test_dashboard import drawn, has_load, open_page


def shown(table: Locator) -> list[dict[str, str]]:
    """The rows by their headings, read at once: the table gets new figures all the time."""
    head, *rows = table.evaluate("table => [...table.rows].map((row) => [...row.cells].map((cell) => cell.innerText))")
    names = [name.rstrip(" ▲▼") for name in head]
    return [dict(zip(names, row, strict=True)) for row in rows]


def column(table: Locator, name: str) -> list[str]:
    return [row[name] for row in shown(table)]


def milliseconds(text: str) -> float:
    number, unit = text.split(" ") if " " in text else (text, "s")
    return float(number) * {"µs": 0.001, "ms": 1, "s": 1000}[unit]


def test_routes_have_percentiles_and_can_be_sorted_and_filtered(page: Page) -> None:
    has_load(page)
    open_page(page, "routes")
    table = page.get_by_role("table", name="Routes", exact=True)
    expect(table).to_contain_text("/report")
    expect(table).to_contain_text("/checkout")
    head = table.get_by_role("columnheader", name="p95")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    # The focus stays on the heading while the table gets new figures.
    harness.until(lambda: (found := [milliseconds(text) for text in column(table, "p95")]) and found == sorted(found, reverse=True), "sorted by p95", 40)
    expect(head.get_by_role("button")).to_be_focused()
    routes = {row["route"]: [milliseconds(row[key]) for key in ("p50", "p95", "p99")] for row in shown(table)}
    for name, values in routes.items():
        assert values == sorted(values), (name, values)
    # It computes for 20 ms.
    assert routes["/report"][0] > 18, routes
    page.get_by_role("searchbox", name="Path").fill("report")
    harness.until(lambda: column(table, "route") == ["/report"], "one route is left", 40)


def test_a_route_has_a_page_of_its_own(page: Page) -> None:
    has_load(page)
    open_page(page, "routes")
    page.get_by_role("link", name="/report", exact=True).click()
    expect(page.locator("main h2").first).to_have_text("/report")
    assert page.title() == "Gilkeeper: /report"
    expect(page.locator("nav a[aria-current=page]")).to_have_attribute("href", "#routes")
    expect(page.locator("main canvas")).to_have_count(4)
    harness.until(lambda: drawn(page) == 4, "the charts of the route are drawn", 20)

    def readings() -> list[float]:
        rows = page.evaluate("document.querySelector(\"section[aria-label='Requests of the route'] .chart\").readings()")
        return [row["values"]["requests"] for row in rows if row["values"]["requests"] is not None]

    harness.until(lambda: any(value > 1 for value in readings()), "the route's requests are drawn", 20)
    slowest = page.get_by_role("table", name="Slowest requests")
    expect(slowest).to_contain_text("GET /report")
    expect(slowest).not_to_contain_text("GET /checkout")
    expect(page.locator("section[aria-label='Who waited for whom']")).to_contain_text("/checkout")
    page.get_by_role("link", name="All routes").click()
    expect(page.get_by_role("table", name="Routes", exact=True)).to_be_visible()


def test_requests_are_found_by_path_status_and_number(page: Page, server: Watched) -> None:
    has_load(page)
    open_page(page, "requests")
    last = page.get_by_role("table", name="Last requests")
    expect(last).to_contain_text("GET /report")
    page.get_by_role("searchbox", name="Path").fill("img")
    harness.until(lambda: all("img%20src" in text for text in column(last, "request")), "paths that fit are left", 40)
    page.get_by_role("searchbox", name="Path").fill("")
    page.get_by_role("searchbox", name="Status").fill("4xx")
    harness.until(lambda: set(column(last, "status")) == {"404"}, "a class of statuses is left", 40)
    number = column(last, "id")[0]
    page.get_by_role("searchbox", name="Id").fill(number)
    harness.until(lambda: column(last, "id") == [number], "one request is left", 40)
    page.get_by_role("searchbox", name="Status").fill("many")
    expect(page.locator("main")).to_contain_text("No such filter")


def test_the_answers_of_the_range_are_counted(page: Page, server: Watched) -> None:
    has_load(page)
    table = page.get_by_role("table", name="Answers in this range")
    expect(table).to_contain_text("application")
    assert {"200", "404"} <= set(column(table, "status"))
    # Axes say different things at each tick, with 24 hours.
    page.locator("#range").select_option("86400")
    expect(page.locator("section[aria-label='Time until the answer'] canvas")).to_be_visible()
    found = page.evaluate(
        """async () => {
            const { hours, labels, units } = await import("/units.js");
            const ticks = [...Array(25).keys()].map((hour) => 1764403200 + hour * 3600);
            const near = [0, 0.001, 0.002, 0.003].map((part) => 1.5 + part);
            return { hours: hours(ticks, 3600), seconds: labels(near, units.seconds), bytes: labels([51.2e6, 51.21e6, 51.22e6], units.bytes),
                     none: units.share(null), zero: units.share(0), few: units.share(0.0004) };
        }"""
    )
    assert len(set(found["hours"])) == 25 and all(re.fullmatch(r"\d\d-\d\d \d\d:\d\d", text) for text in found["hours"]), found
    assert len(set(found["seconds"])) == 4 and len(set(found["bytes"])) == 3, found
    assert (found["none"], found["zero"], found["few"]) == ("–", "0 %", "<0.1 %")


def test_the_heat_map_has_every_answer(page: Page, server: Watched) -> None:
    has_load(page)
    # A minute that is over: both questions are about the same rows.
    end = int(time.time()) - 1
    query = f"from={end - 60}&to={end}"
    rows = json.loads(server.read(f"/api/v1/history?{query}&step=1"))["points"]
    answers = json.loads(server.read(f"/api/v1/distribution?{query}"))["answer_time"]["count"]
    assert sum(count for row in rows for _, count in row["heat"]) == answers > 0
    expect(page.locator("section[aria-label='Distribution of the time until the answer'] canvas")).to_be_visible()
