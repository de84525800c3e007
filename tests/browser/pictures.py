"""The documentation's pictures that no test takes: our pages beside mod_wsgi-telemetry's, and one slow function of a template found in
one look. scripts/pictures runs this."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
from conftest import HERE, Load, Watched, picture
from playwright.sync_api import Locator, Page, expect
from test_dashboard import open_page
from test_telemetry import Receiver

# How long the load runs before a picture is taken.
SECONDS = int(os.environ.get("GILKEEPER_PICTURES_SECONDS", "75"))
SITE = harness.REPOSITORY / "apps/site"
PATHS = [["/report"], ["/checkout"], ["/checkout", "/oops"], ["/wait", "/refused"]]
CONF = """
{telemetry}
WSGISlowRequests 1
WSGIDaemonProcess shop processes=2 threads=4
WSGIScriptAlias / ${{APP}}/selling.py process-group=shop application-group=%{{GLOBAL}}
"""
# A filter of the templates that nobody thinks of, and its place.
ABRIDGED = '''

@application.template_filter("abridged")
def abridged(note: str) -> str:
    """The note without words that say nothing."""
    for word in 1000 * ("a", "an", "the", "of", "to"):
        note = note.replace(f" {word} ", " ")
    return note
'''


@contextmanager
def asking(port: int, paths: list[list[str]]) -> Iterator[None]:
    load = [Load(port, one) for one in paths]
    for thread in load:
        thread.start()
    try:
        yield
    finally:
        for thread in load:
            thread.over.set()
        for thread in load:
            thread.join(30)


@contextmanager
def ours() -> Iterator[str]:
    server = Watched(HERE / "selling.py", 4)
    server.start()
    try:
        with asking(server.port, PATHS):
            yield server.pages
    finally:
        server.stop()
        server.clean()


@contextmanager
def theirs() -> Iterator[str]:
    """mod_wsgi-telemetry's page, with mod_wsgi under Apache."""
    folder = Path(tempfile.mkdtemp(prefix="gilkeeper-pictures-"))
    # Apache's user must reach the socket.
    folder.chmod(0o755)
    receiver = Receiver(folder / "telemetry.sock", "--socket-mode", "0666")
    conf = CONF.format(telemetry=f"WSGITelemetryService unix:{folder}/telemetry.sock interval=1")
    apache = harness.Server([HERE / "selling.py"], conf, "pictures", "mod_wsgi")
    apache.start()
    try:
        with asking(apache.port, PATHS):
            yield f"http://127.0.0.1:{receiver.port}/"
    finally:
        apache.stop()
        apache.clean()
        receiver.end()
        shutil.rmtree(folder)


def taken(chromium: Any, address: str, seconds: int) -> str:
    """The first screens of a page after so many seconds of load, as a data address."""
    page = chromium.new_page(viewport={"width": 1100, "height": 1500}, color_scheme="dark")
    page.goto(address)
    page.wait_for_timeout(seconds * 1000)
    if page.locator("#range").count():
        page.locator("#range").select_option("60")
        page.wait_for_timeout(2000)
    image = base64.b64encode(page.screenshot()).decode()
    page.close()
    return f"data:image/png;base64,{image}"


def test_side_by_side(chromium: Any) -> None:
    with ours() as address:
        left = taken(chromium, f"{address}/#overview", SECONDS)
    with theirs() as address:
        right = taken(chromium, address, SECONDS)
    page = chromium.new_page(viewport={"width": 2240, "height": 1000})
    columns = [("gilkeeper serve", left), ("mod_wsgi 6.1.1 and mod_wsgi-telemetry 1.1.0", right)]
    figures = "".join(f"<figure><figcaption>{name}</figcaption><img width=1100 src='{source}'></figure>" for name, source in columns)
    style = "body{margin:0;display:flex;gap:40px;font:600 26px sans-serif}figure{margin:0}figcaption{padding:12px}img{border:1px solid #999}"
    page.set_content(f"<style>{style}</style>{figures}")
    picture(page, "side-by-side")
    page.close()


@contextmanager
def slow_template() -> Iterator[Watched]:
    """The example site, with a filter in the template of its catalogue."""
    folder = Path(tempfile.mkdtemp(prefix="gilkeeper-pictures-")) / "site"
    shutil.copytree(SITE, folder)
    with (folder / "wsgi.py").open("a") as script:
        script.write(ABRIDGED)
    template = folder / "templates/catalogue.html"
    text = template.read_text()
    assert "{{ book.note }}" in text
    template.write_text(text.replace("{{ book.note }}", "{{ book.note|abridged }}"))
    server = Watched(folder / "wsgi.py", 4)
    shutil.copytree(folder, server.root / "app", dirs_exist_ok=True)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        server.clean()
        shutil.rmtree(folder.parent)


def test_one_slow_function_of_a_template(chromium: Any) -> None:
    paths = [["/", "/books/1"], ["/books/new", "/?q=the", "/books/2"], ["/books/3"]]
    with slow_template() as server, asking(server.port, paths):
        page: Page = chromium.new_page(viewport={"width": 1200, "height": 900}, color_scheme="light")
        page.set_default_timeout(120_000)
        page.goto(server.pages)
        page.wait_for_timeout(SECONDS * 1000)
        page.locator("#range").select_option("60")
        open_page(page, "gil")
        section = page.locator("section[aria-label^='Hot holders']")
        expect(section).to_contain_text("abridged", timeout=120_000)
        page.locator("#pause").click()
        shown(section, server, "holders", 8)
        page.locator("#pause").click()
        open_page(page, "profile")
        page.locator("main select").first.select_option("30")
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_role("link", name="speedscope")).to_be_visible(timeout=120_000)
        expect(page.locator("main")).to_contain_text("abridged")
        shown(page.locator("main"), server, "profile", 8)
        page.close()


# Folders of this machine, which nobody wants to see in a picture.
PLAIN = """([from, to]) => {
    const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replaceAll(from, to);
}"""


def shown(part: Locator, server: Watched, name: str, rows: int) -> None:
    """A picture of a part of a page, with so many rows of its table."""
    page = part.page
    for folder, plain in ((f"{server.root}/app", "/srv/site"), (str(Path(harness.gilkeeper()).parents[1]), "/srv/venv")):
        page.evaluate(PLAIN, [folder, plain])
    # The head of the page stays in view and would lie over the picture.
    page.evaluate("document.querySelector('header').style.position = 'static'")
    page.evaluate("rows => document.querySelectorAll('main tbody tr').forEach((row) => { row.hidden = row.rowIndex > rows; })", rows)
    if folder := os.environ.get("GILKEEPER_PICTURES"):
        part.screenshot(path=Path(folder) / f"{name}.png")
