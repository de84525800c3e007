"""`compare(site, steps)` takes the same steps on waitress and on Gilkeeper and asks for the same transcript."""

from __future__ import annotations

import difflib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from serving import Ours, Site, Waitress, home
from visiting import Visitor

Steps = Callable[[Visitor], None]


# Over what else steps are taken on Gilkeeper than HTTP/1.1: name, HTTP/2, TLS.
OVER = [("h2c", True, False), ("h1s", False, True), ("h2", True, True)]


def visit(
    server: harness.Server, site: Site, steps: Steps, folder: Path, http2: bool = False, certificate: Path | None = None
) -> list[str]:
    """The transcript of the steps on one server, which is ended and looked over afterwards."""
    folder.mkdir()
    try:
        server.start()
        visitor = Visitor(server, site.url, home(), folder, http2, certificate)
        steps(visitor)
        status = server.stop()
        if isinstance(server, Ours):
            assert (status, server.alarms()) == (0, []), f"it ended with {status}"
            assert "Traceback" not in server.log(), "an exception came to the server"
    except BaseException:
        print(f"--- {site.name} on {server.under_test}: the end of its logs ---\n{server.console()[-3000:]}\n{server.log()[-3000:]}")
        server.kill()
        raise
    server.clean()
    return visitor.lines


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for this machine, with its key in the same file."""
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    key = file.with_suffix(".key")
    subprocess.run(["openssl", "req", "-x509", *new, *names, "-keyout", key, "-out", file], check=True, capture_output=True)
    file.write_text(file.read_text() + key.read_text())
    file.chmod(0o600)
    return file


@pytest.fixture
def compare(tmp_path: Path, certificate: Path) -> Callable[..., None]:
    """With `everywhere` the steps are taken on Gilkeeper over HTTP/2 and over TLS, too."""

    def differences(theirs: list[str], ours: list[str]) -> list[str]:
        return list(difflib.unified_diff(theirs, ours, "waitress", "gilkeeper", n=6, lineterm=""))

    def without_reasons(lines: list[str]) -> list[str]:
        return [re.sub(r"^(\d{3}) .*$", r"\1", line).strip() for line in lines]

    def both(site: Site, steps: Steps, everywhere: bool = False) -> None:
        theirs = visit(Waitress(site), site, steps, tmp_path / "waitress")
        different = differences(theirs, visit(Ours(site), site, steps, tmp_path / "ours"))
        for name, http2, tls in OVER if everywhere else []:
            if not different:
                own = certificate if tls else None
                over = visit(Ours(site, own), site, steps, tmp_path / name, http2, own)
                both_told = (without_reasons(theirs), without_reasons(over)) if http2 else (theirs, over)
                different = [f"over {name}:", *found] if (found := differences(*both_told)) else []
        if different:
            pytest.fail("the answers differ:\n" + "\n".join(different), pytrace=False)

    return both
