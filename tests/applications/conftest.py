"""`compare(site, steps)` takes the same steps on waitress and on Gilkeeper and asks for the same transcript."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from serving import Ours, Site, Waitress, home
from visiting import Visitor

Steps = Callable[[Visitor], None]


def visit(server: harness.Server, site: Site, steps: Steps, folder: Path) -> list[str]:
    """The transcript of the steps on one server, which is ended and looked over afterwards."""
    folder.mkdir()
    try:
        server.start()
        visitor = Visitor(server, site.url, home(), folder)
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
def compare(tmp_path: Path) -> Callable[[Site, Steps], None]:
    def both(site: Site, steps: Steps) -> None:
        theirs = visit(Waitress(site), site, steps, tmp_path / "waitress")
        ours = visit(Ours(site), site, steps, tmp_path / "ours")
        different = list(difflib.unified_diff(theirs, ours, "waitress", "gilkeeper", n=6, lineterm=""))
        if different:
            pytest.fail("the answers differ:\n" + "\n".join(different), pytrace=False)

    return both
