"""What programs push to and fetch from: dulwich by git, hgweb by hg, pypiserver by pip."""

from __future__ import annotations

import random
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import client
from serving import Site, home
from visiting import Visitor

Compare = Callable[..., None]
GIT = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "init.defaultBranch=main"]


def noise(size: int) -> bytes:
    """Bytes that do not compress, the same each time."""
    return random.Random(size).randbytes(size)


def test_dulwich(compare: Compare, tmp_path: Path) -> None:
    """A push above git's postBuffer (1 MiB) is sent chunked; dulwich then saw no end of it."""
    made = tmp_path / "made"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", made / "repositories/site.git"], check=True)

    def commit(visitor: Visitor, where: Path, message: str) -> None:
        visitor.run(*GIT, "add", "--all", where=where)
        visitor.run(*GIT, "commit", "--quiet", "--message", message, where=where)

    def steps(visitor: Visitor) -> None:
        visitor.varies(r"\b[0-9a-f]{40}\b|\b[0-9a-f]{7}\b(?=\.\.|$)", "COMMIT")
        url, work = f"{visitor.url}/site.git", visitor.folder / "work"
        visitor.run(*GIT, "init", "--quiet", "work")
        (work / "noise.bin").write_bytes(noise(5 << 20))
        commit(visitor, work, "five megabytes")
        visitor.run(*GIT, "push", "--porcelain", url, "main", where=work)
        assert visitor.run(*GIT, "ls-remote", "--heads", url, where=work).split() == [
            visitor.run(*GIT, "rev-parse", "HEAD", where=work).strip(),
            "refs/heads/main",
        ]

        visitor.run(*GIT, "clone", "--quiet", url, "clone")
        assert (visitor.folder / "clone/noise.bin").read_bytes() == noise(5 << 20)
        (visitor.folder / "clone/line.txt").write_text("one line\n")
        commit(visitor, visitor.folder / "clone", "one line")
        visitor.run(*GIT, "push", "--porcelain", "origin", "main", where=visitor.folder / "clone")
        visitor.run(*GIT, "pull", "--quiet", "--ff-only", url, "main", where=work)
        assert (work / "line.txt").read_text() == "one line\n"
        visitor.run(*GIT, "fsck", "--strict", where=visitor.folder / "clone")
        assert visitor.ask("/site.git/HEAD").body == b"ref: refs/heads/main\n"
        assert visitor.ask("/other.git/info/refs?service=git-upload-pack").status == 404

    compare(Site("git", made), steps)


def test_hgweb(compare: Compare, tmp_path: Path) -> None:
    """Clone, a push of two megabytes, pull, pages and an archive."""
    made, hg = tmp_path / "made", home() / "bin/hg"
    subprocess.run([hg, "init", made / "repositories/site"], check=True, env={"HOME": str(tmp_path), "HGRCPATH": ""})

    def steps(visitor: Visitor) -> None:
        visitor.varies(r"(?<=etag: ).*", "ETAG")
        visitor.varies(r"(?<=<td class=\"age\">).*(?=</td>)", "DATE")
        url, work = f"{visitor.url}/site", visitor.folder / "work"
        visitor.run("hg", "clone", url, "work")
        (work / "noise.bin").write_bytes(noise(2 << 20))
        (work / "read.me").write_text("for everybody\n")
        visitor.run("hg", "commit", "--addremove", "--user", "ann", "--date", "2026-01-02", "--message", "two megabytes", where=work)
        assert "added 1 changesets" in visitor.run("hg", "push", where=work)
        assert "added 1 changesets" in visitor.run("hg", "clone", url, "clone")
        assert (visitor.folder / "clone/noise.bin").read_bytes() == noise(2 << 20)
        assert visitor.ask("/site/raw-file/tip/read.me").body == b"for everybody\n"
        assert visitor.ask("/").status == visitor.ask("/site/log?style=json").status == 200
        assert visitor.ask("/site/archive/tip.zip").body.startswith(b"PK")
        assert visitor.ask("/site/file/tip/nothing").status == 404

    compare(Site("hgweb", made), steps)


def wheel(folder: Path, name: str, version: str) -> Path:
    """The smallest wheel that pip installs."""
    folder.mkdir(parents=True, exist_ok=True)
    about = f"{name}-{version}.dist-info"
    file = folder / f"{name}-{version}-py3-none-any.whl"
    members = {
        f"{name}.py": f'version = "{version}"\n',
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(file, "w") as archive:
        # A fixed time, so that the digest is the same each time.
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(member), text)
        record = "".join(f"{member},,\n" for member in [*members, f"{about}/RECORD"])
        archive.writestr(zipfile.ZipInfo(f"{about}/RECORD"), record)
    return file


def test_pypiserver(compare: Compare, tmp_path: Path) -> None:
    """An upload with and without the password, and pip installs what was uploaded."""
    made = tmp_path / "made"
    wheel(made / "packages", "gauge", "1.0")
    newer = wheel(tmp_path, "gauge", "2.0")

    def steps(visitor: Visitor) -> None:
        form = ["--form", ":action=file_upload", "--form", "name=gauge", "--form", "version=2.0", "--form", f"content=@{newer}"]
        assert visitor.curl("/", *form).status == 401
        assert visitor.curl("/", "--user", "ann:secret", "--header", "Transfer-Encoding: chunked", *form).status == 200
        assert visitor.curl("/", "--user", "ann:secret", *form).status == 409
        page = visitor.ask("/simple/gauge/")
        assert b"gauge-1.0-" in page.body and b"gauge-2.0-" in page.body
        install = ["pip", "install", "--quiet", "--no-cache-dir", "--isolated", "--disable-pip-version-check", "--no-deps"]
        visitor.run(*install, "--root-user-action", "ignore", "--index-url", f"{visitor.url}/simple/", "--target", "installed", "gauge")
        assert (visitor.folder / "installed/gauge.py").read_text() == 'version = "2.0"\n'
        assert visitor.ask("/packages/gauge-1.0-py3-none-any.whl", headers={"Range": "bytes=0-1"}).body in (
            b"PK",
            (made / "packages/gauge-1.0-py3-none-any.whl").read_bytes(),
        )
        assert visitor.ask("/simple/nothing/").status == 404
        assert visitor.ask("/packages/gauge-1.0-py3-none-any.whl", "HEAD").status == 200
        assert isinstance(visitor.ask("/"), client.Response)

    compare(Site("pypi", made), steps)
