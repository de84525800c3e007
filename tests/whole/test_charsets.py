"""`lang=`, `locale=` and `utf8-mode=`: the character set that open() and names of files have in the application."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
# From 3.15 on UTF-8 mode is on where nothing else is said.
BY_DEFAULT = "utf-8" if os.environ.get("GILKEEPER_PYTHON_NAME", "3.14").startswith("3.15") else "iso8859-1"

SCRIPT = """
import codecs
import os
from pathlib import Path

PLACE = Path(os.environ["PLACE"])


def application(environ, start_response):
    with open(PLACE / "text", "w") as file:
        file.write("\\u00e9")
        name = codecs.lookup(file.encoding).name
    (PLACE / "\\u00e9").touch()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [name.encode()]
"""
BYTES = {"utf-8": "é".encode(), "iso8859-1": "é".encode("latin-1")}


@pytest.mark.parametrize(
    ("options", "charset"),
    [
        ("lang=de_DE.ISO-8859-1", BY_DEFAULT),
        ("locale=de_DE.ISO-8859-1", BY_DEFAULT),
        ("lang=de_DE.ISO-8859-1 utf8-mode=off", "iso8859-1"),
        ("locale=de_DE.ISO-8859-1 utf8-mode=off", "iso8859-1"),
        ("lang=de_DE.ISO-8859-1 utf8-mode=on", "utf-8"),
    ],
)
def test_the_charset_of_files(gilkeeper: Start, tmp_path: Path, options: str, charset: str) -> None:
    """Reported: an application with lang=de_DE.ISO-8859-1 wrote its files in UTF-8 after the update to CPython 3.15."""
    locales, place = tmp_path / "locales", tmp_path / "place"
    for folder in (locales, place):
        folder.mkdir()
    subprocess.run(["localedef", "-i", "de_DE", "-f", "ISO-8859-1", locales / "de_DE.ISO-8859-1"], check=True)
    script = tmp_path / "site.py"
    script.write_text(SCRIPT)
    conf = f"WSGIDaemonProcess site {options}\nWSGIScriptAlias / ${{APP}}/site.py process-group=site application-group=%{{GLOBAL}}\n"
    server = gilkeeper([script], conf, environment={"LOCPATH": str(locales), "PLACE": str(place)})
    assert server.ask("/").body.decode() == charset
    assert (place / "text").read_bytes() == BYTES[charset]
    assert sorted(os.listdir(os.fsencode(place))) == sorted([b"text", BYTES[charset]])
