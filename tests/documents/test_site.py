"""The site of the documents: it is whole, its links lead somewhere, and a browser asks no other server for it."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Attributes that a browser follows by itself.
LOADED = {("link", "href"), ("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src"), ("object", "data")}
# Of a `link` only these are loaded.
RELATIONS = {"stylesheet", "icon", "preload", "preconnect", "prefetch", "dns-prefetch", "modulepreload", "manifest"}


class Page(HTMLParser):
    """Links, loaded addresses and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.anchors.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and not RELATIONS & set(given.get("rel", "").split()):
            return
        self.loaded += [given[name] for of, name in LOADED if of == tag and name in given]


@pytest.fixture(scope="session")
def site() -> Path:
    built = subprocess.run([ROOT / "scripts/docs"], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return (ROOT / built.stdout.strip()).parent


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Page]:
    return {path.resolve(): Page(path.read_text()) for path in site.rglob("*.html")}


def test_every_document_is_a_page(site: Path, pages: dict[Path, Page]) -> None:
    for source in (ROOT / "docs").rglob("*.md"):
        relative = source.relative_to(ROOT / "docs")
        name = "index.html" if relative.name == "README.md" else f"{relative.stem}.html"
        assert (site / relative).with_name(name).resolve() in pages, relative
    # Reported: names of options broke after their dashes. Met in narrow cells of tables.
    assert "code.option { white-space: nowrap }" in (site / "site.css").read_text()
    options = (site / "reference/serve-options.html").read_text()
    assert 'href="../site.css"' in options and '<code class="option">--https-port N</code>' in options
    home = (site / "index.html").read_text()
    assert 'data-md-color-scheme="slate"' in home and "A WSGI application server" in home


def test_every_link_leads_to_a_place_that_is_there(site: Path, pages: dict[Path, Page]) -> None:
    wrong = []
    for path, page in pages.items():
        if path.name == "404.html":
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path not in ("", ".") else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                wrong.append(f"{path.relative_to(site.resolve())}: {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                wrong.append(f"{path.relative_to(site.resolve())}: {link} has no such heading")
    assert not wrong, "\n".join(wrong)


def test_a_browser_asks_no_other_server(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        away = [address for address in page.loaded if urlsplit(address).netloc]
        assert not away, (path, away)
    for sheet in site.rglob("*.css"):
        addresses = re.findall(r"url\(\s*['\"]?([^'\")]+)", sheet.read_text())
        assert not [address for address in addresses if urlsplit(address).netloc], sheet
        assert not re.search(r"@import\s+(url\()?['\"]?(https?:)?//", sheet.read_text()), sheet


def test_the_search_finds_every_page(site: Path, pages: dict[Path, Page]) -> None:
    index = json.loads((site / "search/search_index.json").read_text())
    found = {urlsplit(entry["location"]).path for entry in index["docs"]}
    missing = [page for page in pages if page.name != "404.html" and page.relative_to(site.resolve()).as_posix() not in found]
    assert not [page for page in missing if page != (site / "index.html").resolve()], missing
    assert any("development" in entry["location"] and "inotify" in entry["text"] for entry in index["docs"])
