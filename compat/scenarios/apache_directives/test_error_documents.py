"""ErrorDocument: for answers of the server itself, and for the application's under WSGIErrorOverride."""

from __future__ import annotations

import pytest
from harness import Server

TEXT = b"<b>text & more</b>"


@pytest.mark.parametrize("target", ["/nothing", "/nf", "/over/x?status=404+Gone"])
def test_a_text(server: Server, target: str) -> None:
    response = server.ask(target)
    assert (response.status, response.body, response.get("Content-Type")) == (404, TEXT, "text/html; charset=iso-8859-1")


def test_a_text_for_head(server: Server) -> None:
    response = server.ask("/nothing", "HEAD")
    assert (response.status, response.body) == (404, b"")


@pytest.mark.parametrize("target", ["/forbidden?o=2", "/over/x?status=403+No"])
def test_a_path_is_asked_for_within_the_server(server: Server, target: str) -> None:
    response = server.ask(target, "POST", headers={"Content-Length": "0"})
    seen, (path, query) = response.json, target.split("?")
    wanted = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/given",
        "PATH_INFO": "/403",
        "QUERY_STRING": "x=1",
        "REQUEST_URI": target,
        "REDIRECT_STATUS": "403",
        "REDIRECT_URL": path,
        "REDIRECT_QUERY_STRING": query,
        "REDIRECT_REQUEST_METHOD": "POST",
    }
    assert (response.status, {name: seen.get(name) for name in wanted}) == (200, wanted)
    # The document is answered with the rules of its own place.
    assert response.get("X-Set") == "v"


def test_an_address(server: Server) -> None:
    response = server.ask("/over/x?status=402+Pay")
    assert (response.status, response.get("Location")) == (302, "http://other.example/pay")


def test_a_loop_ends(server: Server) -> None:
    assert server.ask("/loop").status == 403


def test_a_document_that_is_missing(server: Server) -> None:
    response = server.ask("/over/x?status=409+Conflict")
    assert (response.status, TEXT in response.body) == (409, False)


@pytest.mark.parametrize(("target", "body"), [("/over/own?status=404+No", b"own words"), ("/over/standard?status=404+No", None)])
def test_inner_documents(server: Server, target: str, body: bytes | None) -> None:
    response = server.ask(target)
    assert (response.status, response.body == TEXT) == (404, False)
    assert body is None or response.body == body


def test_the_applications_own_errors_stay(server: Server) -> None:
    assert server.ask("/given?status=404+Mine&body=mine").body == b"mine"


@pytest.mark.parametrize(("target", "status"), [("/a%2Fb", 404), ("/a%00", 404), ("/a%", 400), ("/a%zz", 400)])
def test_addresses_that_are_not_understood(server: Server, target: str, status: int) -> None:
    """Reported: the answer to an address with an encoded slash had the server's own page, and no field of `Header always`."""
    response = server.ask(target)
    assert (response.status, response.body == (TEXT if status == 404 else b"not understood")) == (status, True)
    assert response.get("X-Everywhere") == "e"
