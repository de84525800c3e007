"""Lists of folders: which entries they have, and how they look."""

from __future__ import annotations

import html
import importlib.util
import re
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from differs import differs
from harness import Server

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def site(server_of: Callable[[str | None], Server]) -> Iterator[Server]:
    server = server_of(None)
    spec = importlib.util.spec_from_file_location("files_trees", HERE / "trees.py")
    assert spec is not None and spec.loader is not None
    trees = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(trees)
    trees.make(server.root / "data")
    yield server


def links(page: str) -> list[str]:
    """Where the entries of a page lead, in their order, without the links that sort."""
    found = [urllib.parse.unquote(html.unescape(to)) for to in re.findall(r'<a href="([^"]*)"', page)]
    return [to for to in found if not to.startswith("?")]


ALL = [
    'a b&<c>".txt',
    "averyveryverylongfilenamethatgoesonandon.txt",
    "big.bin",
    "dir/",
    "file.txt",
    "huge.zip",
    "link",
    "old.bak",
    "page.html",
]
SIZES = ["huge.zip", "big.bin", "page.html", "old.bak", "link", "file.txt", ALL[1], ALL[0], "dir/"]
LISTS = [
    ("/list/plain/", ["/list/", *ALL]),
    ("/list/plain/?C=N;O=D", ["/list/", *reversed(ALL)]),
    ("/list/plain/?C=N&O=D", ["/list/", *reversed(ALL)]),
    ("/list/plain/?C=S;O=D", ["/list/", *reversed(ALL)]),
    ("/list/plain/?C=S;O=D;F=1", ["/list/", *SIZES]),
    ("/list/plain/?P=*.txt", ["/list/", ALL[0], ALL[1], "file.txt"]),
    ("/list/linkless/", ["/list/", *(name for name in ALL if name != "link")]),
    ("/list/table/", ["/list/", "dir/", *SIZES[:-1]]),
    (
        "/list/fancy/",
        ["/list/", *ALL[:3], "file.txt", "foot.txt", "head.html", "huge.zip", "link", "page.html"],
    ),
    ("/list/", ["/", "fancy/", "hidden/", "indexed/", "linkless/", "plain/", "ruled/", "table/", "unlisted/"]),
    # Reported: names of files that RewriteRule and RedirectMatch refuse stood in the lists.
    ("/list/ruled/", ["/list/", "away.txt", "moved.txt", "other.txt", "seen.txt", "server.txt", "within.txt"]),
]


@pytest.mark.parametrize(("path", "wanted"), LISTS)
def test_entries(site: Server, path: str, wanted: list[str]) -> None:
    response = site.ask(path)
    assert response.status == 200
    assert links(response.body.decode()) == wanted


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/list/unlisted/", 403),
        ("/list/shut/", 403),
        ("/list/plain", 301),
        ("/list/plain/none/", 404),
        ("/list/indexed/", 200),
        *((f"/list/ruled/{name}.txt", 403) for name in ("server", "forbidden", "within", "refused")),
        ("/list/ruled/gone.txt", 410),
        ("/list/ruled/moved.txt", 302),
        ("/list/ruled/away.txt", 301),
        ("/list/ruled/shut/", 403),
        ("/list/ruled/unlisted.txt", 200),
        ("/list/ruled/seen.txt", 200),
    ],
)
def test_folders_that_are_not_listed(site: Server, path: str, status: int) -> None:
    response = site.ask(path)
    assert response.status == status and b"Index of" not in response.body


PLAIN = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">
<html>
 <head>
  <title>Index of /list/plain</title>
 </head>
 <body>
<h1>Index of /list/plain</h1>
<ul><li><a href="/list/"> Parent Directory</a></li>
<li><a href="file.txt"> file.txt</a></li>
</ul>
</body></html>
"""


def test_a_plain_page(site: Server) -> None:
    response = site.ask("/list/plain/?P=file.txt")
    kind = differs("Lists of folders", ours="text/html;charset=UTF-8", mod_wsgi="text/html;charset=ISO-8859-1")
    assert (response.get("Content-Type"), response.body.decode()) == (kind, PLAIN)
    head = site.ask("/list/plain/", "HEAD")
    assert (head.status, head.body) == (200, b"")


def lines(page: str) -> list[str]:
    return [line for line in page.splitlines() if "file.txt" in line or "big.bin" in line or "Name" in line or "Parent" in line]


FANCY = [
    '<pre>      <a href="?C=N;O=D">Name</a>                    <a href="?C=M;O=A">Last modified</a>      '
    '<a href="?C=S;O=A">Size</a>  <a href="?C=D;O=A">Description</a><hr>      '
    '<a href="/list/">Parent Directory</a>                             -   ',
    '      <a href="big.bin">big.bin</a>                 2001-09-09 01:46  4.9K  ',
]


def test_columns(site: Server) -> None:
    page = site.ask("/list/fancy/").body.decode()
    found = lines(page)
    assert found[:2] == FANCY
    described = differs("Lists of folders", ours="", mod_wsgi="the file")
    assert found[2] == f'      <a href="file.txt">file.txt</a>                2001-09-09 01:46    2   {described}'
    assert "averyveryverylongfil..&gt;</a>" in page and "<h1>" not in page
    assert " <body>\n<p>head</p>\n<pre>" in page and page.endswith("<pre>\nfoot &amp; &lt;text&gt;\n</pre>\n</body></html>\n")


def test_a_table(site: Server) -> None:
    page = site.ask("/list/table/").body.decode()
    head = '   <tr><th valign="top">&nbsp;</th><th><a href="?C=N;O=A">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th>'
    assert head + '<th><a href="?C=S;O=A">Size</a></th></tr>' in page
    row = '<tr><td valign="top">&nbsp;</td><td><a href="big.bin">big.bin</a>'
    assert f'{row}</td><td align="right">2001-09-09 01:46  </td><td align="right">4.9K</td></tr>' in page


@pytest.mark.only("ours", "Apache lists and serves them")
def test_what_is_withheld_is_not_listed(site: Server) -> None:
    assert links(site.ask("/list/hidden/").body.decode()) == ["/list/", "seen.txt"]


def test_what_a_client_sends_is_no_markup(site: Server) -> None:
    page = site.ask("/list/fancy/?P=%3Cscript%3E*&C=%22%3E%3Cscript%3E").body.decode()
    assert "<script" not in page
