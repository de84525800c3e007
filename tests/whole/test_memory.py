"""Memory of a worker beyond that of a bare Python, and memory of the front.

Private memory counts. How many of the extension module's clean pages count as resident is decided by the kernel, which maps as
much around a touched page as the page cache holds in one piece; they are shared by all processes of the server, and in the
unoptimised module of the tests there are several times more of them than in a release.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import harness
from harness import APPS
from running import MEGABYTE, Gilkeeper

Start = Callable[..., Gilkeeper]
BARE = "import sys; sys.path.insert(0, sys.argv[1]); import hello; print('ready', flush=True); sys.stdin.read()"


def private(pid: int) -> int:
    """Private bytes of a process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(number) for number in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+) kB", text, re.M)) * 1024


def test_memory_after_the_first_requests(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "hello.py"], arguments=["{app}/hello.py", "--processes", "2", "--threads", "5"])
    for _ in range(100):
        assert server.ask("/").status == 200
    python = str(Path(harness.gilkeeper()).parent / "python")
    pipe = subprocess.PIPE
    # Two, as there are two workers: what both map is nobody's own.
    bare = [subprocess.Popen([python, "-c", BARE, str(APPS)], stdin=pipe, stdout=pipe) for _ in range(2)]
    try:
        for process in bare:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        alone = private(bare[0].pid)
    finally:
        for process in bare:
            process.communicate(b"")
    workers = [private(pid) for pid in server.workers()]
    assert max(workers) <= alone + 4 * MEGABYTE, (workers, alone)
    assert private(server.front()) <= 25 * MEGABYTE
