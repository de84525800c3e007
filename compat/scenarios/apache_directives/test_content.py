"""Media types, charset, expiry and entity tags."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest
from harness import Server

# Path, Content-Type, Content-Encoding.
TYPES = [
    ("/files/a.html", "text/html; charset=utf-8", None),
    ("/files/a.html.latin", "text/html; charset=iso-8859-1", None),
    ("/files/a.pyx", "text/x-pyx", None),
    ("/files/c.pyx.gz", "application/gzip", "x-gzip"),
    ("/files/b.data", "application/json", None),
]


@pytest.mark.parametrize(("path", "media_type", "encoding"), TYPES)
def test_names_say_the_type(server: Server, path: str, media_type: str, encoding: str | None) -> None:
    response = server.ask(path)
    assert (response.status, response.get("Content-Type"), response.get("Content-Encoding")) == (200, media_type, encoding)


def test_an_unknown_extension_takes_the_type_back(server: Server) -> None:
    assert "html" not in (server.ask("/files/a.html.bak").get("Content-Type") or "")


@pytest.mark.parametrize(
    ("query", "media_type"),
    [
        ("h=Content-Type:text/plain", "text/plain; charset=utf-8"),
        ("h=Content-Type:text/html", "text/html; charset=utf-8"),
        ("h=Content-Type:text/html;charset=koi8-r", "text/html;charset=koi8-r"),
        ("h=Content-Type:application/json", "application/json"),
    ],
)
def test_the_applications_text_gets_the_charset(server: Server, query: str, media_type: str) -> None:
    assert server.ask(f"/packed?{query}&body=x").get("Content-Type") == media_type


@pytest.mark.parametrize(("path", "age"), [("/files/a.html", 3600), ("/files/a.pyx", 100)])
def test_expiry_from_now(server: Server, path: str, age: int) -> None:
    response = server.ask(path)
    end, now = (parsedate_to_datetime(response.get(name) or "") for name in ("Expires", "Date"))
    assert (response.get("Cache-Control"), abs((end - now).total_seconds() - age) <= 1) == (f"max-age={age}", True)


def test_expiry_from_the_change(server: Server) -> None:
    response = server.ask("/files/a.css")
    end, changed = (parsedate_to_datetime(response.get(name) or "") for name in ("Expires", "Last-Modified"))
    assert (end - changed).days == 3650


def test_errors_do_not_expire(server: Server) -> None:
    response = server.ask("/files/missing.html")
    assert (response.status, response.get("Expires"), response.get("Cache-Control")) == (404, None, None)


def test_entity_tags(server: Server) -> None:
    def status(**headers: str) -> int:
        return server.ask("/files/a.html", headers={name.replace("_", "-"): value for name, value in headers.items()}).status

    response = server.ask("/files/a.html")
    tag, date = response.get("ETag") or "", response.get("Last-Modified") or ""
    assert tag.startswith('"') and status(If_None_Match=tag) == 304 and status(If_None_Match=f"W/{tag}") == 304
    assert status(If_None_Match='"x"', If_Modified_Since=date) == 200 and status(If_Modified_Since=date) == 304
    assert status(If_Match='"x"') == 412 and status(If_Match=tag) == 200
    assert status(Range="bytes=0-9", If_Range=tag) == 206 and status(Range="bytes=0-9", If_Range='"x"') == 200
    assert server.ask("/untagged/a.html").get("ETag") is None


def test_fallback(server: Server) -> None:
    seen = server.ask("/fallback/nothing?x=1").json
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"], seen["QUERY_STRING"], seen["REQUEST_METHOD"]) == ("/given", "/fallback", "x=1", "GET")
    assert server.ask("/fallback/a.pyx").body == b"print(1)\n"
