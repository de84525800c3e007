"""What sites are written with: Django REST framework, Flask, Falcon, and FastAPI through a2wsgi; bodies by curl, with and without length."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from serving import Site
from visiting import Visitor

Compare = Callable[..., None]
CHUNKED = ("--header", "Transfer-Encoding: chunked")
# With a length; without one; and without one, by a client that waits for a 100.
WAYS = [(), CHUNKED, (*CHUNKED, "--header", "Expect: 100-continue")]
JSON = ("--header", "Content-Type: application/json")


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """A file of three megabytes that is no text."""
    file = tmp_path / "sent.bin"
    file.write_bytes(bytes(range(256)) * 12_000)
    return file


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def by_curl(tmp_path: Path, name: str, value: object) -> tuple[str, ...]:
    """curl's words for a JSON body."""
    file = tmp_path / name
    file.write_text(json.dumps(value))
    return (*JSON, "--data-binary", f"@{file}")


def test_django_rest_framework(compare: Compare, tmp_path: Path, sent: Path) -> None:
    """Chunked JSON, forms and uploads were read as empty, with 200 or 400 for an answer."""
    note = by_curl(tmp_path, "note.json", {"title": "long", "lines": ["a line of some length"] * 60_000})
    empty = by_curl(tmp_path, "empty.json", {"title": "short", "lines": []})

    def steps(visitor: Visitor) -> None:
        for way in WAYS:
            assert visitor.curl("/notes/", *way, *note).json == {"title": "long", "lines": 60_000}
            assert visitor.curl("/notes/", *way, *empty).status == 400
            assert visitor.curl("/notes/", *way, *JSON, "--data-binary", "{").status == 400
            form = visitor.curl("/forms/", *way, "--form", "title=scan", "--form", f"file=@{sent};filename=scan.bin")
            assert form.status == 201 and form.json["file"]["sha256"] == digest(sent)
            assert visitor.curl("/forms/", *way, "--data", "title=no+file").status == 400
            upload = visitor.curl("/files/scan.bin", *way, "--upload-file", str(sent))
            assert upload.status == 201 and upload.json["size"] == sent.stat().st_size
        assert visitor.curl("/notes/", "--request", "POST", *CHUNKED, *JSON, "--data-binary", "").status == 400
        assert visitor.curl("/notes/", "--data", "x").status == 415
        assert visitor.ask("/notes/").status == 405
        assert visitor.ask("/notes/", "OPTIONS").status == 200

    compare(Site("rest"), steps, everywhere=True)


def test_flask(compare: Compare, tmp_path: Path, sent: Path) -> None:
    """Ranges by send_file, of a disk image of a gibibyte, too; conditions, a session, a stream, bodies of both kinds."""
    made = tmp_path / "made"
    made.mkdir()
    book = bytes(range(251)) * 10_000
    (made / "book.bin").write_bytes(book)
    size = 1 << 30

    def steps(visitor: Visitor) -> None:
        visitor.varies(r'(?i)(?<=etag: )"[^"]+"', "ETAG")
        visitor.varies(r"(?i)(?<=last-modified: ).*|(?<=expires: ).*", "DATE")
        visitor.varies(r"session=[^;]+", "session=SESSION")
        disk = Path(visitor.server.root) / "app/disk.img"
        with open(disk, "wb") as file:
            file.truncate(size - 4)
            file.seek(size - 4)
            file.write(b"last")

        whole = visitor.ask("/book")
        assert whole.body == book and whole.get("Accept-Ranges") == "bytes"
        for wanted, begin, end in (
            ("0-9", 0, 10),
            ("1000000-1000009", 1_000_000, 1_000_010),
            ("-10", len(book) - 10, len(book)),
            ("2509990-", 2_509_990, len(book)),
        ):
            part = visitor.ask("/book", headers={"Range": f"bytes={wanted}"})
            assert (part.status, part.body) == (206, book[begin:end])
        assert visitor.ask("/book", headers={"Range": f"bytes={len(book)}-"}).status == 416
        etag = whole.get("ETag") or ""
        assert visitor.ask("/book", headers=[("Range", "bytes=0-9"), ("If-Range", etag)]).status == 206
        assert visitor.ask("/book", headers=[("Range", "bytes=0-9"), ("If-Range", '"other"')]).status == 200
        assert visitor.ask("/book", headers={"If-None-Match": etag}).status == 304
        assert visitor.ask("/book", "HEAD").get("Content-Length") == str(len(book))

        assert visitor.ask("/disk", headers={"Range": "bytes=-4"}).body == b"last"
        assert visitor.ask("/disk", headers={"Range": f"bytes={size - 14}-{size - 5}"}).body == bytes(10)
        assert visitor.ask("/disk", "HEAD").get("Content-Length") == str(size)

        assert visitor.ask("/stream").body.endswith(b"line 499\n")
        entered = visitor.curl("/readers", "--data-urlencode", "name=Zoë")
        assert entered.status == 303
        cookie = (entered.get("Set-Cookie") or "").split(";")[0]
        card = visitor.ask("/card", headers={"Cookie": cookie}).json
        assert (card["reader"], card["path"], card["url"]) == ("Zoë", "/card", f"{visitor.scheme}://localhost/library/card")
        for way in WAYS:
            assert visitor.curl("/raw", *way, "--upload-file", str(sent)).json["sha256"] == digest(sent)
            scan = visitor.curl("/scans", *way, "--form", "note=two pages", "--form", f"scan=@{sent}")
            assert scan.json == {"note": "two pages", "name": "sent.bin", "sha256": digest(sent)}
        assert visitor.ask("/nothing").status == 404

    compare(Site("flask", made), steps, everywhere=True)


def test_falcon(compare: Compare, tmp_path: Path, sent: Path) -> None:
    """`get_media`, parts of a form, and the bounded stream, which is bounded by CONTENT_LENGTH."""
    thing = by_curl(tmp_path, "thing.json", {"name": "gauge", "values": list(range(20_000))})

    def steps(visitor: Visitor) -> None:
        for way in WAYS:
            assert visitor.curl("/", *way, *thing).json["got"]["values"][-1] == 19_999
            assert visitor.curl("/raw", *way, "--upload-file", str(sent)).json["sha256"] == digest(sent)
            parts = visitor.curl("/forms", *way, "--form", "note=two pages", "--form", f"scan=@{sent}").json
            assert [part["sha256"] for part in parts] == [hashlib.sha256(b"two pages").hexdigest(), digest(sent)]
            assert visitor.curl("/", *way, *JSON, "--data-binary", "{").status == 400
        assert visitor.ask("/", "DELETE").status == 405
        assert visitor.ask("/nothing").status == 404

    compare(Site("falcon"), steps, everywhere=True)


def test_fastapi(compare: Compare, tmp_path: Path, sent: Path) -> None:
    """Models, forms, raw bodies and streams through a2wsgi, whose loop runs in a thread of its own."""
    order = by_curl(tmp_path, "order.json", {"name": "gauge", "amount": 3, "remarks": ["as soon as possible"] * 20_000})
    wrong = by_curl(tmp_path, "wrong.json", {"name": "gauge", "amount": "many"})

    def steps(visitor: Visitor) -> None:
        for way in WAYS:
            assert visitor.curl("/orders", *way, *order).json == {"name": "gauge", "amount": 3, "remarks": 20_000}
            assert visitor.curl("/orders", *way, *wrong).status == 422
            paper = visitor.curl("/papers", *way, "--form", "note=two pages", "--form", f"paper=@{sent}").json
            assert paper == {"note": "two pages", "name": "sent.bin", "sha256": digest(sent)}
            assert visitor.curl("/raw", *way, "--upload-file", str(sent)).json["sha256"] == digest(sent)
        assert visitor.ask("/stream").body.endswith(b"line 99\n")
        assert visitor.ask("/openapi.json").json["info"]["title"] == "FastAPI"
        assert visitor.ask("/orders").status == 405
        assert visitor.ask("/nothing").status == 404

    compare(Site("fastapi"), steps, everywhere=True)
