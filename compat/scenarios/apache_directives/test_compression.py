"""SetOutputFilter and AddOutputFilterByType: the fields, the bytes, and who is asked."""

from __future__ import annotations

import gzip

import client
import pytest
from differs import differs
from harness import Server

GZIP = {"Accept-Encoding": "gzip, deflate, br"}
LONG = "word+" * 600
FIELDS = "h=Content-Type:text/plain&h=ETag:%22x%22"


def fields(response: client.Response) -> tuple[str | None, ...]:
    # Apache puts no blank behind the comma.
    return tuple((response.get(name) or "").replace(",", ", ").replace("  ", " ") or None for name in ("Content-Encoding", "Vary", "ETag"))


@pytest.mark.parametrize("times", [1, 3])
def test_a_response_is_compressed(server: Server, times: int) -> None:
    response = server.ask(f"/packed?{FIELDS}&body={LONG}&times={times}", headers=GZIP)
    assert (response.complete, fields(response)) == (True, ("gzip", "Accept-Encoding", '"x-gzip"'))
    assert gzip.decompress(response.body) == LONG.replace("+", " ").encode() * times


def test_head_has_the_fields_of_get(server: Server) -> None:
    response = server.ask(f"/packed?{FIELDS}&body={LONG}", "HEAD", headers=GZIP)
    assert (response.body, fields(response)) == (b"", ("gzip", "Accept-Encoding", '"x-gzip"'))


# Headers of the request, more of the query, Content-Encoding, Vary.
CASES = [
    ({}, "", None, "Accept-Encoding"),
    ({"Accept-Encoding": "gzip;q=0"}, "", None, "Accept-Encoding"),
    ({"Accept-Encoding": "identity"}, "", None, "Accept-Encoding"),
    ({"Accept-Encoding": "gzip;q=0.5"}, "", "gzip", "Accept-Encoding"),
    ({**GZIP, "User-Agent": "NoGzip"}, "", None, None),
    ({**GZIP, "User-Agent": "OnlyHtml"}, "", None, None),
    (GZIP, "&h=Content-Encoding:br", "br", None),
    (GZIP, "&h=Vary:Cookie", "gzip", "Cookie, Accept-Encoding"),
    (GZIP, "&status=404+No", "gzip", "Accept-Encoding"),
]


@pytest.mark.parametrize(("headers", "query", "encoding", "vary"), CASES)
def test_who_is_asked(server: Server, headers: dict[str, str], query: str, encoding: str | None, vary: str | None) -> None:
    response = server.ask(f"/packed?{FIELDS}&body={LONG}{query}", headers=headers)
    assert (fields(response)[0], fields(response)[1]) == (encoding, vary)


@pytest.mark.parametrize(("accept", "encoding"), [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br", "br")])
def test_brotli_first(server: Server, accept: str, encoding: str) -> None:
    response = server.ask(f"/packed/both?{FIELDS}&body={LONG}", headers={"Accept-Encoding": accept})
    assert fields(response) == (encoding, "Accept-Encoding", f'"x-{encoding}"')


def test_nothing_has_no_body_to_compress(server: Server) -> None:
    for status in ("204+No+Content", "304+Not+Modified"):
        response = server.ask(f"/packed?{FIELDS}&body=&status={status}", headers=GZIP)
        assert (response.body, response.complete) == (b"", True)


def test_files_by_type(server: Server) -> None:
    plain = server.ask("/typed/a.css")
    packed = server.ask("/typed/a.css", headers=GZIP)
    assert (plain.get("Content-Encoding"), plain.get("Vary")) == (None, "Accept-Encoding")
    assert gzip.decompress(packed.body) == plain.body
    assert packed.get("ETag") == (plain.get("ETag") or "")[:-1] + '-gzip"'
    assert server.ask("/typed/a.html", headers=GZIP).get("Content-Encoding") is None


def test_the_compressed_tag_is_known(server: Server) -> None:
    tag = server.ask("/typed/a.css", headers=GZIP).get("ETag") or ""
    wanted = differs("Tags of compressed responses", ours=304, mod_wsgi=200)
    assert server.ask("/typed/a.css", headers={**GZIP, "If-None-Match": tag}).status == wanted


def test_a_stream_arrives_piece_by_piece(server: Server) -> None:
    response = server.ask(f"/packed?{FIELDS}&body=piece&times=4&open=1", headers=GZIP)
    assert (response.framing, gzip.decompress(response.body)) == ("chunked", b"piece" * 4)
