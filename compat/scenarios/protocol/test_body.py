"""The response's body: framing, lengths, HEAD, files, and blocks of every number and type."""

from __future__ import annotations

import os
from pathlib import Path

import client
import pytest
from differs import differs
from harness import Server

BYTES = bytes(range(256))


def test_a_single_block_gets_a_length(server: Server) -> None:
    answer = server.ask("/single")
    expected = differs("Content-Length for a single block", ours=("length", "17"), mod_wsgi=("chunked", None))
    assert (answer.framing, answer.get("Content-Length")) == expected
    assert answer.body == b"exactly one block"


@pytest.mark.parametrize("probe", ["/blocks?n=3", "/generator?n=3", "/blocks?n=3&empty=1"])
def test_many_blocks_are_chunked(server: Server, probe: str) -> None:
    answer = server.ask(probe)
    assert (answer.framing, answer.complete) == ("chunked", True)
    assert answer.body == b"block 0\nblock 1\nblock 2\n"


def test_a_tuple_of_blocks(server: Server) -> None:
    assert server.ask("/tuple").body == b"a tuple"


def test_http_1_0_is_ended_by_closing(server: Server) -> None:
    with server.connect() as connection:
        connection.send(b"GET /blocks?n=3 HTTP/1.0\r\n\r\n")
        answer = connection.response()
    assert answer.framing == "close" and answer.get("Transfer-Encoding") is None
    assert answer.body == b"block 0\nblock 1\nblock 2\n"


def test_an_empty_body_still_sends_its_headers(server: Server) -> None:
    answer = server.ask("/empty")
    assert (answer.status, answer.body, answer.get("X-Empty-Body"), answer.complete) == (200, b"", "1", True)


@pytest.mark.parametrize("probe", ["/no-content", "/not-modified"])
def test_statuses_without_a_body(server: Server, probe: str) -> None:
    with server.connect() as connection:
        connection.send(client.message("GET", probe) + client.message("GET", "/single"))
        first, second = connection.response(), connection.response()
    assert first.status in (204, 304) and first.get("Transfer-Encoding") is None
    assert second.body == b"exactly one block"


@pytest.mark.parametrize("probe", ["/single", "/blocks", "/generator", "/large?size=100000", "/file?size=5000", "/write"])
def test_head_has_no_body(server: Server, probe: str) -> None:
    with server.connect() as connection:
        connection.send(client.message("HEAD", probe) + client.message("GET", "/single"))
        assert connection.response("HEAD").status == 200
        assert connection.response().body == b"exactly one block"


def test_head_keeps_the_length(server: Server) -> None:
    assert server.ask("/large?size=100000", "HEAD").get("Content-Length") == "100000"


def test_head_is_head_to_the_application(server: Server) -> None:
    answer = server.ask("/environ", "HEAD")
    assert answer.status == 200 and int(answer.get("Content-Length") or 0) > 100


def test_too_long_is_cut(server: Server) -> None:
    with server.connect() as connection:
        connection.send(client.message("GET", "/length?declared=10&sent=25") + client.message("GET", "/single"))
        assert connection.response().body == b"0123456789"
        assert connection.response().body == b"exactly one block"


def test_too_long_in_blocks_is_cut(server: Server) -> None:
    assert server.ask("/length-blocks?declared=15&blocks=4").body == b"012345678901234"


@pytest.mark.parametrize("probe", ["/length?declared=25&sent=10", "/length-blocks?declared=25&blocks=1"])
def test_too_short_never_looks_whole(server: Server, probe: str) -> None:
    answer = server.ask(probe)
    assert (answer.status, answer.body, answer.complete) == (200, b"0123456789", False)


def test_too_short_ends_the_connection(server: Server) -> None:
    """A client that keeps its connection open is told at once, and does not wait for bytes that never come."""
    with server.connect() as connection:
        connection.send(client.message("GET", "/length?declared=25&sent=10"))
        connection.head()
        connection.exactly(10)
        assert connection.closed_by_server() is differs("A body that is too short", ours=True, mod_wsgi=False)


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 1_000_000, 5_000_001])
def test_large_bodies(server: Server, size: int) -> None:
    answer = server.ask(f"/large?size={size}")
    assert answer.complete and len(answer.body) == size
    assert answer.body[:256] == BYTES[: min(size, 256)]


@pytest.mark.parametrize("size", [0, 1, 5000, 3_000_000])
def test_files(server: Server, size: int) -> None:
    answer = server.ask(f"/file?size={size}")
    assert answer.complete and answer.body == (BYTES * (size // 256 + 1))[:size]
    assert answer.get("Content-Length") == str(size)


def test_a_file_goes_on_from_where_it_is(server: Server) -> None:
    answer = server.ask("/file?size=1000&from=300")
    assert answer.body == (BYTES * 4)[300:1000] and answer.get("Content-Length") == "700"


def test_a_file_with_a_length_of_its_own(server: Server) -> None:
    answer = server.ask("/file?size=1000&length=500")
    assert answer.get("Content-Length") == "500" and answer.body == (BYTES * 4)[:500]


def test_a_file_with_a_block_size(server: Server) -> None:
    assert server.ask("/file?size=1000&block=7").body == (BYTES * 4)[:1000]


def test_a_file_like_object(server: Server) -> None:
    answer = server.ask("/file-like?n=10&key=file-like")
    assert answer.complete and answer.body == b"0123456789" * 10
    assert server.ask("/closed?key=file-like").json == 1


def test_a_wrapper_used_as_an_iterable(server: Server) -> None:
    assert server.ask("/file-inside").body == b"<0123456789>"


def test_a_range_in_a_wrapper(server: Server) -> None:
    """Reported: ten bytes of a file of 1 GiB cost Flask seven seconds, as it had to read up to them."""
    seen = server.ask("/file-range").json
    ours = [True, 300, 300, bytes(range(44, 54)).hex()]
    assert seen == differs("seek() and tell() of wsgi.file_wrapper", ours=ours, mod_wsgi="AttributeError")


@pytest.mark.parametrize("path", ["/proc/version", "/proc/filesystems", "/proc/kallsyms", "/sys/kernel/mm/transparent_hugepage/enabled"])
def test_files_without_a_size(server: Server, path: str) -> None:
    """Reported: /proc and files of FUSE systems gave an empty 200."""
    if not os.access(path, os.R_OK):
        pytest.skip(f"there is no {path} here")
    answer = server.ask(f"/file-of-kernel?path={path}")
    content = Path(path).read_bytes()
    whole = answer.complete and answer.body == content and answer.status == 200
    assert whole == differs("Files without a size", ours=True, mod_wsgi=False)
    if whole and len(content) < 60_000:
        assert answer.get("Content-Length") == str(len(content))


@pytest.mark.parametrize("probe", ["/str", "/bytearray", "/none", "/not-iterable"])
def test_what_is_no_body_is_a_500(server: Server, probe: str) -> None:
    server.mark_log()
    answer = server.ask(probe)
    assert answer.status == 500 and b"Traceback" not in answer.body
    server.wait_log("TypeError|must be|not iterable|Traceback")


def test_text_after_bytes_never_looks_whole(server: Server) -> None:
    answer = server.ask("/str-later")
    assert answer.status == 200 and answer.body.startswith(b"bytes first\n")
    assert answer.complete is differs("A failure after the response has begun", ours=False, mod_wsgi=True)


def test_blocks_are_sent_when_they_are_made(server: Server) -> None:
    """The first block is there long before the last one is made."""
    with server.connect() as connection:
        connection.send(client.message("GET", "/counted?key=streamed&n=50&how=slow"))
        assert connection.head().status == 200
        connection.exactly(70_000)
        assert server.ask("/closed?key=streamed").json == 0
