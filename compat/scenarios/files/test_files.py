"""Conditions and ranges of files, which methods there are, expiry, and what stands beside a file."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from client import Response
from differs import differs
from harness import Server

HERE = Path(__file__).parent


def load(name: str) -> object:
    """A module of this folder."""
    spec = importlib.util.spec_from_file_location(f"files_{name}", HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


trees = load("trees")
DATE = "Sun, 09 Sep 2001 01:46:40 GMT"
BEFORE, AFTER, FAR = (f"Sun, 09 Sep {year} 01:46:{second} GMT" for year, second in ((2001, 39), (2001, 41), (2099, 41)))
TAG = '"a-38d7ea4c68000"'


@pytest.fixture(scope="module")
def site(server_of: Callable[[str | None], Server]) -> Iterator[Server]:
    server = server_of(None)
    trees.make(server.root / "data")  # type: ignore[attr-defined]
    yield server


def ask(server: Server, path: str, *fields: str, method: str = "GET") -> Response:
    given = [tuple(field.split(": ", 1)) for field in fields]
    return server.ask(path, method, headers=given)


def parts(response: Response) -> str:
    """Status and what was sent: `206 0-1=01 3-4=34`."""
    text = response.body.decode("latin-1")
    if (response.get("Content-Type") or "").startswith("multipart/byteranges"):
        boundary = (response.get("Content-Type") or "").split("boundary=")[1]
        assert text.endswith(f"\r\n--{boundary}--\r\n"), text
        found = []
        for part in text.split(f"\r\n--{boundary}\r\n")[1:]:
            head, _, body = part.partition("\r\n\r\n")
            lines = dict(line.split(": ", 1) for line in head.lower().split("\r\n"))
            assert lines["content-type"].startswith("text/plain"), head
            span = lines["content-range"].removeprefix("bytes ").removesuffix("/10")
            found.append(f"{span}={body.split(chr(13))[0]}")
        assert response.get("Content-Length") == str(len(response.body))
        return f"{response.status} " + " ".join(found)
    if response.status == 206:
        span = (response.get("Content-Range") or "").removeprefix("bytes ").removesuffix("/10")
        return f"206 {span}={text}"
    return str(response.status)


SPACES = differs("Ranges of a file", ours="206 0-1=01 3-4=34", mod_wsgi="200")
RANGES = [
    ("0-0", "206 0-0=0"),
    ("2-", "206 2-9=23456789"),
    ("2-100", "206 2-9=23456789"),
    ("-3", "206 7-9=789"),
    ("-100", "206 0-9=0123456789"),
    ("10-", "416"),
    ("-0", "200"),
    ("5-2", "200"),
    ("a-b", "200"),
    ("-", "200"),
    ("0-1,3-4", "206 0-1=01 3-4=34"),
    ("0-1, 3-4", SPACES),
    ("0-1,1-4", "206 0-4=01234"),
    ("0-4,2-6", "206 0-6=0123456"),
    ("0-1,2-4", "206 0-4=01234"),
    ("3-4,0-1", "206 3-4=34 0-1=01"),
    ("5-9,0-4", "206 0-9=0123456789"),
    ("8-9,4-5,0-1", "206 8-9=89 4-5=45 0-1=01"),
    ("0-1,20-", "206 0-1=01"),
    ("20-,30-", "416"),
    ("0-3,20-,2-5", "206 0-5=012345"),
    ("0-1,-0", "200"),
    ("0-1,x", "200"),
    ("0-1,", "206 0-1=01"),
    ("0-1,,3-4", "206 0-1=01 3-4=34"),
    ("0-9,0-9", "206 0-9=0123456789"),
    ("0-6,8-9,0-6", "200"),
    ("0 - 1", "200"),
    ("+1-2", "200"),
    ("0-1;q", "200"),
    ("99999999999999999999-", "200"),
    ("0-99999999999999999999", "200"),
]


@pytest.mark.parametrize(("ranges", "wanted"), RANGES)
def test_ranges(site: Server, ranges: str, wanted: str) -> None:
    assert parts(ask(site, "/files/ten.txt", f"Range: bytes={ranges}")) == wanted


def far(count: int) -> list[str]:
    return [f"{n * 10}-{n * 10 + 1}" for n in range(count)]


def touching(count: int) -> list[str]:
    return [f"{n * 10}-{n * 10 + 9}" for n in range(count)]


def back(count: int) -> list[str]:
    return [f"{5000 - n * 10}-{5015 - n * 10}" for n in range(count)]


BOUNDS = [
    ("/files", far(200), 206),
    ("/files", far(201), 200),
    ("/files", touching(21), 206),
    ("/files", touching(22), 200),
    ("/files", back(21), 206),
    ("/files", back(22), 200),
    ("/files", ["0-60000", "70000-80000", "0-60000"], 200),
    ("/few", far(2), 206),
    ("/few", far(3), 200),
    ("/few", touching(2), 200),
    ("/turns", back(3), 206),
    ("/turns", back(4), 200),
    ("/turns", touching(5), 206),
    ("/endless", far(300), 206),
    ("/endless", touching(100), 206),
]


@pytest.mark.parametrize(("place", "ranges", "status"), BOUNDS, ids=[f"{p}-{len(r)}-{r[-1]}" for p, r, _ in BOUNDS])
def test_many_ranges_are_bounded(site: Server, place: str, ranges: list[str], status: int) -> None:
    assert ask(site, f"{place}/long.bin", f"Range: bytes={','.join(ranges)}").status == status


FIRST = ("Range: bytes=0-1",)
CONDITIONS = [
    (("range: BYTES=0-1",), "206 0-1=01"),
    (("Range: lines=0-1",), "200"),
    (("Range: bytes=0-1", "Range: bytes=3-4"), "200"),
    (("Request-Range: bytes=0-1",), "200"),
    ((*FIRST, f"If-Range: {DATE}"), "206 0-1=01"),
    ((*FIRST, f"If-Range: {TAG}"), "206 0-1=01"),
    ((*FIRST, f"If-Range: W/{TAG}"), "200"),
    ((*FIRST, f"If-Range: {BEFORE}"), "200"),
    ((*FIRST, f"If-Range: {AFTER}"), "200"),
    ((*FIRST, 'If-Range: "x"'), "200"),
    ((*FIRST, "If-Range: x"), "200"),
    (("Range: bytes=20-", 'If-Range: "x"'), "200"),
    ((*FIRST, f"If-None-Match: {TAG}"), "304"),
    ((*FIRST, f"If-Modified-Since: {DATE}"), "304"),
    ((*FIRST, f"If-Range: {TAG}", f"If-None-Match: {TAG}"), differs("Conditions of a request", ours="304", mod_wsgi="206 0-1=01")),
    ((*FIRST, f"If-Match: {TAG}"), "206 0-1=01"),
    ((*FIRST, 'If-Match: "x"'), "412"),
    (("Range: bytes=20-", f"If-None-Match: {TAG}"), "304"),
    (("If-Match: *",), "200"),
    ((f"If-Match: {TAG}",), "200"),
    ((f"If-Match: W/{TAG}",), "412"),
    ((f'If-Match: "x", {TAG}',), "200"),
    (('If-Match: "x"',), "412"),
    ((f"If-Unmodified-Since: {DATE}",), "200"),
    ((f"If-Unmodified-Since: {BEFORE}",), "412"),
    ((f"If-Unmodified-Since: {AFTER}",), "200"),
    (("If-Unmodified-Since: x",), "200"),
    ((f"If-Match: {TAG}", f"If-Unmodified-Since: {BEFORE}"), differs("Conditions of a request", ours="200", mod_wsgi="412")),
    (('If-Match: "x"', f"If-Unmodified-Since: {AFTER}"), "412"),
    (("If-None-Match: *",), "304"),
    ((f"If-None-Match: {TAG}",), "304"),
    ((f"If-None-Match: W/{TAG}",), "304"),
    ((f'If-None-Match: "x",{TAG}',), "304"),
    (('If-None-Match: "x"', f"If-None-Match: {TAG}"), "304"),
    (('If-None-Match: "x"',), "200"),
    (("If-None-Match: x",), "200"),
    ((f"If-Modified-Since: {DATE}",), "304"),
    ((f"If-Modified-Since: {BEFORE}",), "200"),
    ((f"If-Modified-Since: {AFTER}",), "304"),
    ((f"If-Modified-Since: {FAR}",), "200"),
    (("If-Modified-Since: x",), "200"),
    (("If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT",), "304"),
    (("If-Modified-Since: Sun Sep  9 01:46:40 2001",), "304"),
    ((f"If-Modified-Since: {DATE}; length=10",), "304"),
    ((f"If-None-Match: {TAG}", f"If-Modified-Since: {BEFORE}"), differs("Conditions of a request", ours="304", mod_wsgi="200")),
    (('If-None-Match: "x"', f"If-Modified-Since: {DATE}"), "200"),
    ((f"If-Match: {TAG}", f"If-None-Match: {TAG}"), "304"),
]


@pytest.mark.parametrize(("fields", "wanted"), CONDITIONS, ids=[" ".join(f) for f, _ in CONDITIONS])
def test_conditions(site: Server, fields: tuple[str, ...], wanted: str) -> None:
    response = ask(site, "/files/ten.txt", *fields)
    assert parts(response) == wanted
    if response.status in (200, 206, 304):
        assert (response.get("ETag"), response.get("Last-Modified")) == (TAG, DATE)
    if response.status == 304:
        assert response.body == b"" and response.get("Content-Length") in (None, "0")


@pytest.mark.parametrize(
    ("method", "fields", "wanted"),
    [
        ("HEAD", (), (200, "10")),
        ("HEAD", FIRST, differs("Ranges of a file", ours=(200, "10"), mod_wsgi=(206, "2"))),
        ("HEAD", (f"If-None-Match: {TAG}",), (304, None)),
        ("POST", (), differs("Methods of files", ours=405, mod_wsgi=200)),
        ("PUT", (), 405),
        ("DELETE", (), 405),
        ("PATCH", (), 405),
        ("OPTIONS", (), 200),
    ],
)
def test_methods(site: Server, method: str, fields: tuple[str, ...], wanted: int | tuple[int, str | None]) -> None:
    response = ask(site, "/files/ten.txt", *fields, method=method)
    if isinstance(wanted, tuple):
        assert (response.status, response.get("Content-Length"), response.body) == (*wanted, b"")
        return
    assert response.status == wanted
    if wanted == 405 or method == "OPTIONS":
        assert {"GET", "HEAD", "OPTIONS"} <= set(re.split(r"\s*,\s*", response.get("Allow") or ""))


def test_an_empty_file_has_no_ranges(site: Server) -> None:
    for ranges in ("0-", "-1", "0-0"):
        response = ask(site, "/files/empty.txt", f"Range: bytes={ranges}")
        assert (response.status, response.body, response.get("Content-Length")) == (200, b"", "0")


def test_what_a_416_says(site: Server) -> None:
    said = ask(site, "/files/ten.txt", "Range: bytes=10-").get("Content-Range")
    assert said == differs("Ranges of a file", ours="bytes */10", mod_wsgi=None)


def test_redirections_expire(site: Server) -> None:
    response = ask(site, "/aging/with")
    assert (response.status, response.get("Cache-Control")) == (301, "max-age=7200")
    assert ask(site, "/aging/none").get("Cache-Control") is None
    for fields in ((), FIRST, (f"If-None-Match: {TAG}",)):
        assert ask(site, "/aging/ten.txt", *fields).get("Cache-Control") == "max-age=3600"


def test_where_a_folder_is(site: Server) -> None:
    response = ask(site, "/files/with?a=b")
    to = response.get("Location")
    absolute = "http://localhost/files/with/?a=b"
    assert (response.status, to) == (301, differs("Location of a folder", ours="/files/with/?a=b", mod_wsgi=absolute))
    assert ask(site, "/files/with/").body == b"<p>"
    assert ask(site, "/files/without/").status == 403


def test_vary_of_small_files(site: Server) -> None:
    said = ask(site, "/deflated/ten.txt", "Accept-Encoding: gzip").get("Vary")
    assert said == differs("Vary where nothing was compressed", ours="Accept-Encoding", mod_wsgi=None)
    assert ask(site, "/deflated/long.bin", "Range: bytes=0-1").get("Vary") == "Accept-Encoding"


def test_the_type_of_icons(site: Server) -> None:
    assert ask(site, "/files/favicon.ico").get("Content-Type") == "image/vnd.microsoft.icon"


def test_names_that_are_too_long(site: Server) -> None:
    assert ask(site, f"/files/{'x' * 300}").status == 403


def test_the_second_index(site: Server) -> None:
    body = ask(site, "/first/").body
    assert body == differs("DirectoryIndex beside FallbackResource", ours=b"second\n", mod_wsgi=b"0123456789")


PACKED = [
    ("/packed/a.css", "", None, b"body{}\n" * 50),
    ("/packed/a.css", "gzip, br", "br", b"br"),
    ("/packed/a.css", "gzip", "gzip", b"gz"),
    ("/packed/b.css", "gzip, br", None, b"plain"),
]


@pytest.mark.parametrize(("path", "accept", "encoding", "body"), PACKED)
def test_neighbours_by_rewriting(site: Server, path: str, accept: str, encoding: str | None, body: bytes) -> None:
    response = ask(site, path, *([f"Accept-Encoding: {accept}"] if accept else []))
    kind = (response.get("Content-Type") or "").split(";")[0]
    assert (response.status, kind, response.get("Content-Encoding"), response.body) == (200, "text/css", encoding, body)
    assert ("Accept-Encoding" in (response.get("Vary") or "")) is (encoding is not None)
