"""The commands of the guide's page "Looking into a running worker", each on a worker that serves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import harness
import pytest
from harness import until
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
NAME = os.environ.get("GILKEEPER_PYTHON_NAME", "3.14")
MINOR = int(NAME.removesuffix("t").partition(".")[2])
PAGE = Path(__file__).resolve().parents[2] / "docs/guide/looking-inside.md"
PY_SPY = Path(sys.executable).parent / "py-spy"

from_outside = pytest.mark.skipif(MINOR < 14, reason="needs sys.remote_exec, of CPython 3.14")
tachyon = pytest.mark.skipif(MINOR < 15, reason="needs profiling.sampling, of CPython 3.15")
may_look = pytest.mark.skipif(
    os.geteuid() != 0 and Path("/proc/sys/kernel/yama/ptrace_scope").exists() and Path("/proc/sys/kernel/yama/ptrace_scope").read_text().strip() != "0",
    reason="this user may not look into other processes (kernel.yama.ptrace_scope)",
)
pytestmark = may_look
OWN_GIL = "WSGIPerInterpreterGIL On\n"

SCRIPT = """
import time


def busy_application(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


def application(environ, start_response):
    busy_application(float(environ["QUERY_STRING"] or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]
"""


def serving(gilkeeper: Start, folder: Path, group: str = "%{GLOBAL}", own: str = "") -> tuple[Gilkeeper, int]:
    (folder / "served.py").write_text(SCRIPT)
    conf = f"""{own}WSGIDaemonProcess site threads=3
WSGIScriptAlias / ${{APP}}/served.py process-group=site application-group={group}
"""
    server = gilkeeper([folder], conf)
    [worker] = server.wait_workers(1)
    # Every thread has served, and waits.
    with ThreadPoolExecutor(3) as pool:
        assert {one.body for one in pool.map(lambda _: server.ask("/?0.05"), range(9))} == {b"served"}
    return server, worker


def python() -> str:
    return str(Path(harness.gilkeeper()).parent / "python")


def run(*command: object, told: str = "", seconds: float = 60) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, input=told, timeout=seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def failures(told: str) -> float:
    """Per cent of the samples that CPython's profiler lost."""
    found = re.search(r"Error rate: ([\d.]+)", told)
    assert found, told
    return float(found[1])


def is_documented(command: str) -> None:
    assert command in PAGE.read_text(), f"the page has no `{command}`"


@from_outside
def test_an_idle_worker_takes_a_script(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: `sys.remote_exec` waited until somebody stopped the worker, as its main thread runs no Python."""
    server, worker = serving(gilkeeper, tmp_path)
    answer, script = tmp_path / "answer", tmp_path / "look.py"
    is_documented("python -c \"import sys; sys.remote_exec(PID, '/tmp/look.py')\"")
    script.write_text(
        "import sys, traceback\n"
        f"with open({str(answer) + '.new'!r}, 'w') as file:\n"
        "    for thread, frame in sys._current_frames().items():\n"
        "        print(thread, *traceback.format_stack(frame), sep='\\n', file=file)\n"
        f"import os; os.rename({str(answer) + '.new'!r}, {str(answer)!r})\n"
    )
    run(python(), "-c", f"import sys; sys.remote_exec({worker}, {str(script)!r})")
    until(answer.exists, "the script has run")
    # Three request threads that wait.
    assert answer.read_text().count("in gilkeeper_thread") == 3
    assert server.ask("/").body == b"served"


@from_outside
def test_pdb_is_let_in_and_out(gilkeeper: Start, tmp_path: Path) -> None:
    server, worker = serving(gilkeeper, tmp_path)
    is_documented("python -m pdb -p PID")
    told = run(python(), "-m", "pdb", "-p", worker, told="p 'answer', 6 * 7\nimport sys\np sorted(sys.modules)[:0]\nq\n")
    # What `pdb` does not understand begins with three stars.
    assert "('answer', 42)" in told and "***" not in told, told
    assert server.ask("/").body == b"served"
    assert server.workers() == [worker]


@tachyon
@pytest.mark.parametrize("mode", ["wall", "cpu", "gil"])
def test_the_profiler_of_cpython_samples_a_worker(gilkeeper: Start, tmp_path: Path, mode: str) -> None:
    """Reported: each sample failed, as a thread state without a Python frame spoils it (gh-157605)."""
    server, worker = serving(gilkeeper, tmp_path)
    is_documented(f"python -m profiling.sampling attach --mode {mode} -a -d 10 PID")
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(server.ask, "/?6")
        told = run(python(), "-m", "profiling.sampling", "attach", "--mode", mode, "-a", "-d", "2", "--pstats", worker)
        assert request.result().body == b"served"
    assert "busy_application" in told, told
    # A stack that changes while it is read spoils a sample, too.
    assert failures(told) < 50, told


@tachyon
def test_the_profiler_of_cpython_shows_the_stacks(gilkeeper: Start, tmp_path: Path) -> None:
    server, worker = serving(gilkeeper, tmp_path)
    is_documented("python -m profiling.sampling dump -a PID")

    def shown() -> bool:
        # The process runs on while it is read, so a stack may be in the middle of a change; then there is no dump.
        command = [python(), "-m", "profiling.sampling", "dump", "-a", str(worker)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode == 0 and "busy_application" in done.stdout

    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(server.ask, "/?6")
        until(shown, "the request is shown")
        assert request.result().body == b"served"


@pytest.mark.skipif(NAME.endswith("t"), reason="py-spy 0.4.3 finds no version in a free-threaded build (benfred/py-spy#750)")
def test_py_spy(gilkeeper: Start, tmp_path: Path) -> None:
    server, worker = serving(gilkeeper, tmp_path)
    for command in ("py-spy dump --pid PID", "py-spy record --pid PID --duration 10 --format raw -o stacks.txt", "py-spy record --gil"):
        is_documented(command)
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(server.ask, "/?6")
        until(lambda: "busy_application" in run(PY_SPY, "dump", "--pid", worker), "the request is shown")
        for more in ([], ["--gil"]):
            run(PY_SPY, "record", "--pid", worker, "--duration", "1", "--format", "raw", "-o", tmp_path / "stacks.txt", *more)
            assert "busy_application" in (tmp_path / "stacks.txt").read_text()
        assert request.result().body == b"served"
    assert server.workers() == [worker]


@tachyon
@pytest.mark.skipif(NAME.endswith("t"), reason="about interpreters with a GIL of their own")
def test_what_the_page_says_of_a_gil_of_ones_own(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: the page said that `dump` may fail there; it always does, and `--mode wall` gets no sample without saying so."""
    server, worker = serving(gilkeeper, tmp_path, "one", OWN_GIL)
    row = re.search(r"^\| one with its own GIL \| (.*) \|$", PAGE.read_text(), re.M)
    assert row and row[1].split(" | ") == ["fails", "no sample", "works", "works"]
    profiler = [python(), "-m", "profiling.sampling"]
    dump = subprocess.run([*profiler, "dump", "-a", str(worker)], capture_output=True, text=True, timeout=60)
    assert dump.returncode != 0 and "Failed to parse initial frame in chain" in dump.stderr, dump
    for mode, works in (("wall", False), ("cpu", True), ("gil", True)):
        with ThreadPoolExecutor(1) as pool:
            request = pool.submit(server.ask, "/?6", timeout=60)
            told = run(*profiler, "attach", "--mode", mode, "-a", "-d", "2", "--pstats", worker)
            assert (failures(told) < 50) == works, (mode, told)
            assert ("busy_application" in told) == works, (mode, told)
            assert request.result().body == b"served"


@pytest.mark.skipif(NAME.endswith("t") or MINOR < 12, reason="needs a GIL for each interpreter, and py-spy")
def test_py_spy_reads_an_interpreter_with_its_own_gil(gilkeeper: Start, tmp_path: Path) -> None:
    server, worker = serving(gilkeeper, tmp_path, "one", OWN_GIL)
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(server.ask, "/?6", timeout=60)
        until(lambda: "busy_application" in run(PY_SPY, "dump", "--pid", worker), "the request is shown")
        assert request.result().body == b"served"
