"""deploy/Containerfile: its commands in bare roots, and what comes of them as process 1: not root, everything read-only but the state
folder, no home, no init program."""

from __future__ import annotations

import http.client
import math
import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from harness import until
from image import Image, usable
from playing import Network, Part, Visitors, asked

pytestmark = pytest.mark.skipif(bool(usable()), reason=usable())
TOKEN = "a token that somebody has made"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    built = Image(tmp_path_factory.mktemp("image"))
    # pytest's folders are closed to others.
    for folder in [built.root.folder, *built.root.folder.parents][:4]:
        folder.chmod(folder.stat().st_mode | 0o011)
    return built


class Container:
    """The image, running."""

    def __init__(self, image: Image, folder: Path, running: Callable[[Part], Part]) -> None:
        self.image, self.network = image, Network()
        self.address = self.network.address("site")
        (self.image.root.folder / "token").write_text(TOKEN)
        (self.image.root.folder / "token").chmod(0o444)
        given = [self.network.translate(word, "site") for word in self.image.words("CMD")]
        self.command = [*self.image.words("ENTRYPOINT"), *given, "--host", self.address, "--log-level", "info"]
        line = self.image.root.start(self.command, self.image.environment, self.image.cwd)
        self.part = running(Part("site", line, folder, dict(os.environ), Path("/")))
        until(self.is_ready, "the container is ready", 30)
        # unshare waits for process 1, its only child.
        children = Path(f"/proc/{self.part.process.pid}/task/{self.part.process.pid}/children").read_text().split()
        [self.pid] = map(int, children)

    def is_ready(self) -> bool:
        assert self.part.process.poll() is None, self.part.text()
        return asked(f"http://{self.address}:8001/readyz")[0] == 200

    def metrics(self) -> str:
        return asked(f"http://{self.address}:8001/metrics", {"Authorization": f"Bearer {TOKEN}"})[1]

    def metric(self, name: str) -> float:
        found = re.search(rf"^{name} (\S+)$", self.metrics(), re.M)
        assert found, name
        return float(found[1])

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """`exec` in the container, as its user."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--root", "--setuid=10001", "--setgid=10001"]
        given = [f"{name}={value}" for name, value in self.image.environment.items()]
        whole = [*enter, "env", "-i", "-C", self.image.cwd, *given, *command]
        return subprocess.run(whole, capture_output=True, text=True, timeout=60, cwd="/", stdin=subprocess.DEVNULL)


def test_process_1_of_a_read_only_container(
    image: Image, tmp_path: Path, running: Callable[[Part], Part], visitors: Callable[..., Visitors]
) -> None:
    container = Container(image, tmp_path, running)
    status = Path(f"/proc/{container.pid}/status").read_text()
    assert re.search(r"^NSpid:\s+\d+\s+1$", status, re.M) and re.search(r"^Uid:\s+10001\s+10001\s+10001", status, re.M)
    assert asked(f"http://{container.address}:8000/")[1].startswith("Hello")

    # Nothing but the state folder can be written to, and nothing else is there to be found.
    for path, good in (("/state/x", True), ("/x", False), ("/site/x", False), ("/venv/x", False), ("/tmp/x", False)):
        assert (container.run("touch", path).returncode == 0) == good, path
    assert "HOME" not in Path(f"/proc/{container.pid}/environ").read_text()
    # The figures of a process come to the admin process a moment after its first answer.
    wanted = math.ceil(container.metric("gilkeeper_cpus"))

    def processes() -> int:
        return len(re.findall(r"^gilkeeper_threads\{", container.metrics(), re.M))

    until(lambda: processes() >= wanted, "the processes have figures", 20)
    assert processes() == wanted, "one process for each CPU that may be used"

    # The health check of the image.
    healthy = container.run(*container.image.words("HEALTHCHECK"))
    assert healthy.returncode == 0, healthy

    # Orphans are taken away: a shell that ends before its child leaves it to process 1.
    done = container.run("sh", "-c", "(sleep 0.2; exit 3) >/dev/null & echo $!")
    orphan = done.stdout.strip()
    assert orphan.isdigit(), done
    until(lambda: container.run("test", "-e", f"/proc/{orphan}").returncode != 0, "the orphan is taken away")

    # Signals from inside reach process 1 though it is the one that the kernel protects; those it does not take are ignored.
    load = visitors(lambda: (container.address, 8000), 2)
    assert container.run("sh", "-c", "kill -QUIT 1; kill -ALRM 1; kill -HUP 1").returncode == 0
    until(lambda: container.metric("gilkeeper_generation") == 2, "HUP reloads", 30)
    until(lambda: load.answered > 50, "the load runs")
    load.end()
    assert load.failed == []
    assert container.run("kill", "-TERM", "1").returncode == 0
    assert container.part.process.wait(10) == 0, container.part.text()[-2000:]


def test_a_stop_from_outside_is_told_to_streams_and_ends_in_time(
    image: Image, tmp_path: Path, running: Callable[[Part], Part]
) -> None:
    container = Container(image, tmp_path, running)
    with closing(http.client.HTTPConnection(container.address, 8000, timeout=20)) as stream:
        stream.request("GET", "/events")
        events = stream.getresponse()
        assert events.readline() == b"retry: 1000\n"
        os.kill(container.pid, signal.SIGTERM)
        assert events.read().endswith(b"\n"), "the stream ends as it should, and is not cut off"
    assert container.part.process.wait(10) == 0, container.part.text()[-2000:]
