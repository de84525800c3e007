"""Files as `serve --static` gives them, and large ones: memory stays flat, and who waits behind a download waits for nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import client
from harness import APPS
from running import MEGABYTE, Gilkeeper, memory, reset_peak

Start = Callable[..., Gilkeeper]
LARGE = 300 * MEGABYTE


def put(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)


def test_static_beside_the_application(gilkeeper: Start, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for name in ("one/app.js", "one/app.js.br", "one/app.js.gz", "one/.env", "two/sub/index.html"):
        put(tmp_path / name, name.encode())
    for path in tmp_path.rglob("*"):
        os.utime(path, (10**9, 10**9))
    arguments = ["{app}/probes.py", "--static", "/static/", str(tmp_path / "one"), "--static", "/media", str(tmp_path / "two")]
    server = gilkeeper([APPS / "probes.py"], arguments=arguments)
    for path, accept, status, body, encoding in [
        ("/static/app.js", "", 200, b"one/app.js", None),
        ("/static/app.js", "gzip", 200, b"one/app.js.gz", "gzip"),
        ("/static/app.js", "gzip, br", 200, b"one/app.js.br", "br"),
        ("/static/.env", "", 403, None, None),
        ("/static/none", "", 404, None, None),
        ("/static/", "", 403, None, None),
        ("/media/sub/", "", 200, b"two/sub/index.html", None),
        ("/environ", "", 200, None, None),
    ]:
        found = server.ask(path, headers={"Accept-Encoding": accept} if accept else {})
        assert (found.status, found.get("Content-Encoding")) == (status, encoding), path
        assert body is None or found.body == body, path


RULED = r"""
WSGIDaemonProcess main
WSGIScriptAlias /app ${APP}/probes.py process-group=main
Alias /tree TREE
RewriteEngine On
RewriteRule ^/renamed/$ TREE/indexed/ [L]
RedirectMatch 403 ^/renamed/index\.html$
RedirectMatch 403 ^/tree/matched\.js\.gz$
<Directory TREE>
    GilkeeperPrecompressed gzip
    RewriteEngine On
    RewriteRule ^closed\.js\.gz$ - [F]
</Directory>
"""


def test_what_is_found_beside_a_file_keeps_its_own_rules(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: an index and a compressed neighbour were served although rules refuse them by their own URL."""
    tmp_path.chmod(0o755)
    for name in ("open.js", "closed.js", "matched.js"):
        put(tmp_path / name, b"plain")
        put(tmp_path / f"{name}.gz", b"packed")
    put(tmp_path / "indexed/index.html", b"index")
    for path in tmp_path.rglob("*"):
        os.utime(path, (10**9, 10**9))
    server = gilkeeper([APPS / "probes.py"], RULED.replace("TREE", str(tmp_path)))
    for path, status, body in [
        ("/tree/open.js", 200, b"packed"),
        ("/tree/closed.js", 200, b"plain"),
        ("/tree/closed.js.gz", 403, None),
        ("/tree/matched.js", 200, b"plain"),
        ("/tree/matched.js.gz", 403, None),
        ("/tree/indexed/", 200, b"index"),
        ("/renamed/index.html", 403, None),
        ("/renamed/", 403, None),
    ]:
        found = server.ask(path, headers={"Accept-Encoding": "gzip"})
        assert found.status == status and body in (None, found.body), (path, found.status, found.body)


def test_large_files(gilkeeper: Start, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with open(tmp_path / "large.bin", "wb") as file:
        for number in range(LARGE // MEGABYTE):
            file.write(number.to_bytes(4, "big") * (MEGABYTE // 4))
    conf = "WSGIDaemonProcess main threads=2\nWSGIScriptAlias /app ${APP}/probes.py process-group=main\n"
    server = gilkeeper([APPS / "probes.py"], conf + f"Alias /files {tmp_path}\n")
    server.ask("/app/environ")
    front = server.front()
    before = memory(front)
    reset_peak(front)
    wrong: list[str] = []

    def download() -> None:
        with server.connect(60) as connection:
            connection.send(client.message("GET", "/files/large.bin"))
            head = connection.head()
            if (head.status, head.get("Content-Length")) != (200, str(LARGE)):
                wrong.append(f"{head.status} {head.headers}")
            for number in range(LARGE // MEGABYTE):
                block, complete = connection.exactly(MEGABYTE)
                if not complete or block != number.to_bytes(4, "big") * (MEGABYTE // 4):
                    wrong.append(f"megabyte {number}")
                    return

    def small() -> float:
        begun = time.monotonic()
        assert server.ask("/app/environ").status == 200
        return time.monotonic() - begun

    downloads = [threading.Thread(target=download) for _ in range(3)]
    for thread in downloads:
        thread.start()
    waited = []
    while any(thread.is_alive() for thread in downloads):
        waited.append(small())
    for thread in downloads:
        thread.join()
    assert wrong == []
    assert memory(front, "VmHWM") - before <= 16 * MEGABYTE
    # One that does not read holds nothing but its socket's buffers.
    with server.connect(60) as connection:
        connection.send(client.message("GET", "/files/large.bin"))
        assert connection.head().status == 200
        waited += [small() for _ in range(20)]
    assert sorted(waited)[len(waited) // 2] < 3.0, waited
