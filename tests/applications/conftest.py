"""`compare(site, steps)` takes the same steps on waitress and on Gilkeeper and asks for the same transcript."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from serving import Ours, Site, Waitress, home
from visiting import Visitor

Steps = Callable[[Visitor], None]


def visit(server: harness.Server, site: Site, steps: Steps, folder: Path, http2: bool = False) -> list[str]:
    """The transcript of the steps on one server, which is ended and looked over afterwards."""
    folder.mkdir()
    try:
        server.start()
        visitor = Visitor(server, site.url, home(), folder, http2)
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


@pytest.fixture
def compare(tmp_path: Path) -> Callable[..., None]:
    """With `http2` the steps are taken on Gilkeeper once more, over HTTP/2."""

    def differences(theirs: list[str], ours: list[str]) -> list[str]:
        return list(difflib.unified_diff(theirs, ours, "waitress", "gilkeeper", n=6, lineterm=""))

    def both(site: Site, steps: Steps, http2: bool = False) -> None:
        theirs = visit(Waitress(site), site, steps, tmp_path / "waitress")
        ours = visit(Ours(site), site, steps, tmp_path / "ours")
        different = differences(theirs, ours)
        if http2 and not different:
            over = visit(Ours(site), site, steps, tmp_path / "http2", http2=True)
            different = differences(*([re.sub(r"^(\d{3}) .*$", r"\1", line).strip() for line in lines] for lines in (theirs, over)))
        if different:
            pytest.fail("the answers differ:\n" + "\n".join(different), pytrace=False)

    return both
