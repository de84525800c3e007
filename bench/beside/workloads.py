"""What the servers are measured with: an application, a page of it, and under which load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

APPS = Path(__file__).resolve().parent.parent.parent / "apps"


@dataclass(frozen=True)
class Workload:
    """An application, a page of it, what the page must hold, and processes x threads."""

    kind: str
    script: Path
    target: str
    expected: bytes
    processes: int
    threads: int
    connections: int = 32
    only: tuple[str, ...] = ()
    # Bytes of each request's body; 0: GET.
    post: int = 0
    # Other work keeps every CPU busy meanwhile.
    busy: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind} {self.processes}x{self.threads}" + (f" c{self.connections}" if self.connections != 32 else "")


HELLO, SITE, SLEEP = APPS / "hello.py", APPS / "site" / "wsgi.py", APPS / "sleep5.py"
BODIES, FLASK = APPS / "bodies.py", APPS / "flask_hello.py"
WORLD = b"Hello, world!"
WORKLOADS = [
    Workload("hello", HELLO, "/", WORLD, 1, 1),
    Workload("hello", HELLO, "/", WORLD, 1, 4, only=("gilkeeper", "granian", "mod_wsgi-daemon")),
    Workload("hello", HELLO, "/", WORLD, 2, 4),
    Workload("list", SITE, "/", b"Invisible Cities", 1, 1),
    Workload("list", SITE, "/", b"Invisible Cities", 2, 4),
    Workload("sleep5", SLEEP, "/", b"waited", 1, 4),
]
# The table of `--workloads all`.
TABLE = [
    Workload("hello", HELLO, "/", WORLD, 1, 1),
    Workload("hello", HELLO, "/", WORLD, 1, 1, connections=1),
    Workload("flask", FLASK, "/", WORLD, 1, 1),
    Workload("large", BODIES, "/large", b"x" * 1_000_000, 1, 1),
    Workload("post", BODIES, "/post", b"100000 bytes came", 1, 1, post=100_000),
    Workload("generator", BODIES, "/generator", b"y" * 100_000, 1, 1),
    Workload("hello-busy", HELLO, "/", WORLD, 1, 1, busy=True),
]
# How the table and its picture call them.
TITLES = {
    "hello 1x1": "hello",
    "hello 1x1 c1": "hello, one connection",
    "flask 1x1": "Flask hello",
    "large 1x1": "1 MB response in one block",
    "post 1x1": "POST of 100 kB, read whole",
    "generator 1x1": "generator of 100 × 1 kB",
    "hello-busy 1x1": "hello, both CPUs busy with other work",
}


def chosen(kinds: list[str], table: bool) -> list[Workload]:
    """The workloads of these kinds; `table`: those of the table, all of them."""
    if table:
        return TABLE
    known = [*WORKLOADS, *(workload for workload in TABLE if workload.kind not in {one.kind for one in WORKLOADS})]
    return [workload for workload in known if workload.kind in kinds]
