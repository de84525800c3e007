"""What clients keep things in: Zope by PUT, WsgiDAV with locks, Radicale with a calendar."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving import Site
from visiting import Visitor

Compare = Callable[..., None]


def of(name: str, **more: str) -> dict[str, str]:
    """Headers of somebody's request; `content_type` stands for Content-Type."""
    told = {"Authorization": "Basic " + base64.b64encode(f"{name}:secret".encode()).decode()}
    return told | {key.replace("_", "-").title(): value for key, value in more.items()}


def test_zope(compare: Compare, tmp_path: Path) -> None:
    """PUT was 500: Zope puts a TextIOWrapper or a BufferedReader on wsgi.input."""
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(range(256)) * 8_000)

    def steps(visitor: Visitor) -> None:
        visitor.varies(r"(?i)(?<=last-modified: ).*", "DATE")
        visitor.varies(r"(?i)(?<=etag: ).*", "ETAG")
        admin = of("admin", content_type="text/plain")
        assert visitor.ask("/").status == 200
        assert visitor.ask("/hello.txt", "PUT", body=b"hello", headers={"Content-Type": "text/plain"}).status == 401
        assert visitor.ask("/hello.txt", "PUT", body=b"hello", headers=admin).status == 201
        assert visitor.ask("/hello.txt").body == b"hello"
        assert visitor.ask("/hello.txt", "PUT", body=b"hello again", headers=admin).status == 204
        assert visitor.ask("/hello.txt").body == b"hello again"
        put = ("--user", "admin:secret", "--header", "Content-Type: application/octet-stream", "--upload-file", str(large))
        assert visitor.curl("/sized.bin", *put).status == 201
        assert visitor.curl("/chunked.bin", *put, "--header", "Transfer-Encoding: chunked").status == 201
        for name in ("sized", "chunked"):
            assert visitor.ask(f"/{name}.bin").body == large.read_bytes()
            part = visitor.ask(f"/{name}.bin", headers={"Range": "bytes=1000000-1000009"})
            assert (part.status, part.body) == (206, large.read_bytes()[1_000_000:1_000_010])
        form = ("--user", "admin:secret", "--form", "id=form.bin", "--form", "title=by a form", "--form", f"file=@{large}")
        assert visitor.curl("/manage_addProduct/OFSP/manage_addFile", *form).status in (200, 302)
        assert visitor.ask("/form.bin").body == large.read_bytes()
        assert visitor.ask("/chunked.bin", "DELETE", headers=admin).status == 204
        assert visitor.ask("/chunked.bin").status == 404

    compare(Site("zope", processes=1), steps)


LOCK = b"""<?xml version="1.0" encoding="utf-8"?>
<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>
<D:owner><D:href>ann</D:href></D:owner></D:lockinfo>"""


def test_wsgidav(compare: Compare) -> None:
    """A lock keeps others out until it is given back."""

    def steps(visitor: Visitor) -> None:
        visitor.varies(r"opaquelocktoken:[^<>\s]+", "TOKEN")
        visitor.varies(r"(?i)(?<=last-modified: ).*|(?<=getlastmodified>)[^<]+|(?<=creationdate>)[^<]+", "DATE")
        visitor.varies(r"(?i)(?<=etag: ).*|(?<=getetag>)[^<]+", "ETAG")
        visitor.varies(r"Second-[\d.]+", "SECONDS")
        visitor.varies(r"(?<=WsgiDAV/4.4.0</a> - ).*", "DATE")
        visitor.varies(r"(?<=-bytes>)\d+", "SPACE")

        def dav(method: str, target: str, status: int, body: bytes | None = None, **headers: str) -> Any:
            answer = visitor.ask(target, method, body=body, headers=of("ann", **headers))
            assert answer.status == status, (method, target, answer)
            return answer

        assert visitor.ask("/", "PROPFIND").status == 401
        dav("OPTIONS", "/", 200)
        dav("MKCOL", "/folder", 201)
        dav("PUT", "/folder/a.txt", 201, b"first")
        locked = dav("LOCK", "/folder/a.txt", 200, LOCK, timeout="Second-600", content_type="application/xml")
        token = re.search(r"opaquelocktoken:[^<>\s]+", locked.get("Lock-Token"))
        assert token
        holder = f"(<{token[0]}>)"
        for _ in range(4):
            dav("PUT", "/folder/a.txt", 423, b"not mine")
            dav("DELETE", "/folder/a.txt", 423)
            dav("PUT", "/folder/a.txt", 204, b"second", **{"if": holder})
        dav("LOCK", "/folder/a.txt", 423, LOCK, content_type="application/xml")
        dav("LOCK", "/folder/a.txt", 200, timeout="Second-300", **{"if": holder})
        assert b"a.txt" in dav("PROPFIND", "/folder", 207, depth="1").body
        dav("UNLOCK", "/folder/a.txt", 204, lock_token=f"<{token[0]}>")
        dav("PUT", "/folder/a.txt", 204, b"0123456789")
        assert dav("GET", "/folder/a.txt", 206, range="bytes=3-5").body == b"345"
        dav("COPY", "/folder/a.txt", 201, destination=f"{visitor.prefix}/folder/b.txt")
        dav("MOVE", "/folder/b.txt", 201, destination=f"{visitor.prefix}/c.txt")
        assert dav("GET", "/c.txt", 200).body == b"0123456789"
        big = visitor.folder / "big.bin"
        big.write_bytes(bytes(range(256)) * 8_000)
        assert (
            visitor.curl("/big.bin", "--user", "ann:secret", "--header", "Transfer-Encoding: chunked", "--upload-file", str(big)).status
            == 201
        )
        assert dav("GET", "/big.bin", 200).body == big.read_bytes()
        dav("DELETE", "/folder", 204)
        dav("GET", "/folder/a.txt", 404)

    compare(Site("dav", processes=1), steps)


CALENDAR = """<?xml version="1.0" encoding="utf-8"?>
<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>
<D:displayname>Meetings</D:displayname></D:prop></D:set></C:mkcalendar>"""
EVENT = "\r\n".join(
    """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//a test//EN
BEGIN:VEVENT
UID:{name}
DTSTAMP:20260102T030405Z
DTSTART:202603{day:02}T090000Z
DTEND:202603{day:02}T100000Z
SUMMARY:Über {name}
END:VEVENT
END:VCALENDAR
""".splitlines()
)
QUERY = """<?xml version="1.0" encoding="utf-8"?>
<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:prop><D:getetag/><C:calendar-data/></D:prop>
<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">
<C:time-range start="20260310T000000Z" end="20260320T000000Z"/></C:comp-filter></C:comp-filter></C:filter></C:calendar-query>"""
CHANGES = """<?xml version="1.0" encoding="utf-8"?>
<D:sync-collection xmlns:D="DAV:"><D:sync-token/><D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop></D:sync-collection>"""


def test_radicale(compare: Compare) -> None:
    """A calendar, events of it, and what a client asks to stay in step."""

    def steps(visitor: Visitor) -> None:
        visitor.varies(r"(?i)(?<=last-modified: ).*", "DATE")
        visitor.varies(r"(?<=<getlastmodified>)[^<]+", "DATE")
        visitor.varies(r"(?<=radicale.org/ns/sync/)[0-9a-f]+", "TOKEN")

        def dav(method: str, target: str, status: int, body: str | None = None, **headers: str) -> Any:
            answer = visitor.ask(target, method, body=None if body is None else body.encode(), headers=of("ann", **headers))
            assert answer.status == status, (method, target, answer)
            return answer

        assert visitor.ask("/ann/", "PROPFIND").status == 401
        dav("PROPFIND", "/", 207, depth="0")
        dav("MKCALENDAR", "/ann/meetings/", 201, CALENDAR, content_type="application/xml")
        for name, day in (("early", 5), ("middle", 15), ("late", 25)):
            dav("PUT", f"/ann/meetings/{name}.ics", 201, EVENT.format(name=name, day=day), content_type="text/calendar; charset=utf-8")
        found = dav("REPORT", "/ann/meetings/", 207, QUERY, depth="1", content_type="application/xml").body.decode()
        assert "Über middle" in found and "early" not in found and "late" not in found
        assert dav("REPORT", "/ann/meetings/", 207, CHANGES, content_type="application/xml").body.count(b".ics") == 3
        event = dav("GET", "/ann/meetings/middle.ics", 200)
        dav("PUT", "/ann/meetings/middle.ics", 412, EVENT.format(name="middle", day=16), if_none_match="*", content_type="text/calendar")
        dav(
            "PUT",
            "/ann/meetings/middle.ics",
            204,
            EVENT.format(name="middle", day=16),
            if_match=event.get("ETag"),
            content_type="text/calendar",
        )
        sent = visitor.folder / "sent.ics"
        sent.write_bytes(EVENT.format(name="chunked", day=17).encode())
        by_curl = ("--user", "ann:secret", "--header", "Transfer-Encoding: chunked", "--header", "Content-Type: text/calendar")
        assert visitor.curl("/ann/meetings/chunked.ics", *by_curl, "--upload-file", str(sent)).status == 201
        assert "chunked" in dav("REPORT", "/ann/meetings/", 207, QUERY, depth="1", content_type="application/xml").body.decode()
        dav("DELETE", "/ann/meetings/late.ics", 200)
        assert b"Meetings" in dav("PROPFIND", "/ann/", 207, depth="1").body
        dav("DELETE", "/ann/meetings/", 200)

    compare(Site("radicale"), steps)
