"""MoinMoin: pages, an edit, an upload that comes back through the file wrapper."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from serving import Site, home
from visiting import Visitor

Compare = Callable[..., None]


def instance(folder: Path) -> None:
    """A wiki that everybody may write, with one page."""
    moin = home() / "bin/moin"
    subprocess.run([moin, "create-instance", "--path", folder], check=True, capture_output=True)
    settings = (folder / "wikiconfig.py").read_text()
    for one in ("YOUR-SUPER-EDITOR", "YOUR-TRUSTED-EDITORS-GROUP"):
        settings = settings.replace(one, "All")
    (folder / "wikiconfig.py").write_text(settings)
    for command in ("index-create", "welcome"):
        subprocess.run([moin, command], check=True, capture_output=True, cwd=folder)


def test_moinmoin(compare: Compare, tmp_path: Path) -> None:
    """A page is written by the form, a file uploaded with and without a length, and both are found again."""
    instance(tmp_path / "made")
    file = tmp_path / "attached.bin"
    file.write_bytes(bytes(range(256)) * 9000)
    text = tmp_path / "text"
    text.write_text("= A page =\n" + "Überall Wörter. " * 500)

    def steps(visitor: Visitor) -> None:
        visitor.varies(r"session=[^;]+", "session=SESSION")
        visitor.varies(r"(?<=expires: ).*|(?<=last-modified: ).*", "DATE")
        visitor.varies(r"Page: [\d.]+ ms|(?<=modified )[\d-]+ [\d:]+z", "TIME")
        assert visitor.ask("/").status == 302
        assert visitor.ask("/Home").status == 200
        for name, way in (("sized.bin", ()), ("chunked.bin", ("--header", "Transfer-Encoding: chunked"))):
            assert (
                visitor.curl(
                    "/+jfu-server/Files", *way, "--form", f"file_storage=@{file};filename={name};type=application/octet-stream"
                ).status
                == 200
            )
            assert visitor.ask(f"/+get/Files/{name}").body == file.read_bytes()
        edit = "/+modify/APage?contenttype=text%2Fx.moin.wiki%3Bcharset%3Dutf-8&itemtype=default&template="
        assert visitor.ask(edit).status == 200
        fields = ("comment=made", "meta_form_acl=None", "meta_form_name=APage", "meta_form_summary=", "meta_form_tags=")
        form = [word for field in fields for word in ("--form-string", field)]
        made = visitor.curl(edit, *form, "--form", f"content_form_data_text=<{text}")
        assert (made.status, made.get("Location")) == (302, "/APage")
        assert "Überall Wörter. " * 500 in visitor.ask("/+get/APage").body.decode()
        assert visitor.ask("/APage").status == 200
        assert visitor.ask("/Nothing").status == 404

    compare(Site("wiki", tmp_path / "made"), steps)
