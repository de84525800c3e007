"""The folders that the scenario serves: files of a fixed age, links, pipes and sockets. No test is in here."""

from __future__ import annotations

import os
import socket
from pathlib import Path

OLD = 1_000_000_000
DATE = "Sun, 09 Sep 2001 01:46:40 GMT"


def put(path: Path, text: str | bytes = "text\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def link(path: Path, to: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(to)


def make(root: Path) -> None:
    files(root / "files")
    put(root / "first/second.html", "second\n")
    links(root / "free")
    lists(root / "list")
    put(root / "packed/a.css", "body{}\n" * 50)
    put(root / "packed/a.css.br", "br")
    put(root / "packed/a.css.gz", "gz")
    put(root / "packed/b.css", "plain")
    for path in [root, *root.rglob("*")]:
        os.utime(path, (OLD, OLD), follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o666)


def files(root: Path) -> None:
    put(root / "ten.txt", "0123456789")
    put(root / "empty.txt", "")
    put(root / "long.bin", bytes(range(256)) * 400)
    put(root / "favicon.ico", "icon")
    put(root / "with/index.html", "<p>")
    (root / "without").mkdir()


def links(root: Path) -> None:
    put(root / "real/a.txt", "a\n")
    put(root / "real/theirs.txt", "theirs\n")
    link(root / "a.txt", "real/a.txt")
    link(root / "folder", "real")
    link(root / "dangling", "nowhere")
    link(root / "loop", "loop")
    put(root / "closed/plain.txt", "plain\n")
    link(root / "closed/a.txt", "../real/a.txt")
    link(root / "closed/folder", "../real")
    link(root / "closed/dangling", "nowhere")
    link(root / "closed/open/a.txt", "../../real/a.txt")
    link(root / "closed/location/a.txt", "../../real/a.txt")
    put(root / "closed/sub/index.html", "index\n")
    link(root / "closed/linked/index.html", "../sub/index.html")
    os.mkfifo(root / "closed/pipe")
    link(root / "own/a.txt", "../real/a.txt")
    link(root / "own/folder", "../real")
    link(root / "own/theirs.txt", "../real/theirs.txt")
    link(root / "own/dangling", "nowhere")
    os.mkfifo(root / "own/pipe")
    if os.geteuid() == 0:
        os.chown(root / "own/theirs.txt", 65534, -1, follow_symlinks=False)
    server = socket.socket(socket.AF_UNIX)
    here = os.open(root / "closed", os.O_RDONLY)
    # The name of a socket has a bound.
    server.bind(f"/proc/self/fd/{here}/socket")
    os.close(here)
    server.close()


def lists(root: Path) -> None:
    for folder in ("plain", "fancy", "table", "linkless"):
        at = root / folder
        put(at / "file.txt", "x\n")
        put(at / "page.html", "<p>\n")
        put(at / "big.bin", b"\0" * 5000)
        put(at / "huge.zip", b"\0" * 12_345_678)
        put(at / 'a b&<c>".txt', "x\n")
        put(at / "averyveryverylongfilenamethatgoesonandon.txt", "x\n")
        put(at / "old.bak", "x\n")
        put(at / "closed.txt", "secret\n")
        put(at / "name.user", "secret\n")
        (at / "dir").mkdir()
        link(at / "link", "file.txt")
        link(at / "broken", "none")
        os.mkfifo(at / "pipe")
    put(root / "fancy/head.html", "<p>head</p>\n")
    put(root / "fancy/foot.txt", "foot & <text>\n")
    for name in ("away", "forbidden", "gone", "moved", "other", "refused", "seen", "server", "unlisted", "within"):
        put(root / f"ruled/{name}.txt")
    put(root / "ruled/shut/file.txt")
    put(root / "shut/file.txt")
    put(root / "unlisted/file.txt")
    put(root / "indexed/index.html", "index\n")
    put(root / "hidden/.htaccess.bak")
    put(root / "hidden/.git/config")
    put(root / "hidden/.env")
    put(root / "hidden/app.wsgi")
    put(root / "hidden/seen.txt")
