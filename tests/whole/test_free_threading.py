"""Processes without a GIL on a free-threaded build, beside other modes and another CPython; the GIL that comes back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import client
import harness
import pytest
from harness import APPS
from parallel import assert_side_by_side
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
FILES = [APPS / "modes.py"]
NAME = os.environ.get("GILKEEPER_PYTHON_NAME", "")
OTHER = os.environ.get("GILKEEPER_OTHER_PYTHON", "")

THREE = f"""
WSGIDaemonProcess free threads=4 free-threading=on
WSGIDaemonProcess own threads=4
WSGIDaemonProcess plain threads=4 python={OTHER} switch-interval=0.002
<WSGIInterpreterOptions process-group=own>
    WSGIPerInterpreterGIL On
    WSGISwitchInterval 0.003
</WSGIInterpreterOptions>
WSGIScriptAlias /free ${{APP}}/modes.py process-group=free application-group=%{{GLOBAL}}
WSGIScriptAlias /free-named ${{APP}}/modes.py process-group=free application-group=named
WSGIScriptAlias /own ${{APP}}/modes.py process-group=own application-group=one
WSGIScriptAlias /own-two ${{APP}}/modes.py process-group=own application-group=two
WSGIScriptAlias /own-main ${{APP}}/modes.py process-group=own application-group=%{{GLOBAL}}
WSGIScriptAlias /plain ${{APP}}/modes.py process-group=plain application-group=%{{GLOBAL}}
"""

# Python, GIL mode, switch interval in seconds, process group, application group.
TOLD = {
    "/free": (NAME, "free-threading", None, "free", ""),
    "/free-named": (NAME, "free-threading", None, "free", "named"),
    "/own": (NAME, "own", 0.003, "own", "one"),
    "/own-two": (NAME, "own", 0.003, "own", "two"),
    "/own-main": (NAME, "shared", 0.003, "own", ""),
    "/plain": ("3.14", "shared", 0.002, "plain", ""),
}


def test_three_modes_and_two_pythons_in_one_server(gilkeeper: Start) -> None:
    server = gilkeeper(FILES, THREE)
    for target, (python, mode, interval, *groups) in TOLD.items():
        seen = server.ask(target).json
        assert (seen["python"], seen["gil_mode"]) == (python, mode), target
        assert seen["switch_interval"] == (interval and pytest.approx(interval)), target
        assert [seen["process_group"], seen["application_group"]] == seen["environ"] == groups
    workers = {one["process_group"]: one["gil_mode"] for one in server.status()["workers"]}
    assert workers == {"free": "free-threading", "own": "own", "plain": "shared"}
    assert_side_by_side(server, ("/free", "/free"), unlike=("/plain", "/plain"))
    assert_side_by_side(server, ("/free", "/free-named"), unlike=("/own-main", "/own-main"))
    assert_side_by_side(server, ("/own", "/own-two"), unlike=("/own", "/own"))


def test_doctor_says_where_threads_have_another_context(tmp_path: Path) -> None:
    """The server's Python keeps a request's context variables in threads that the request starts, and the process group's does not."""
    script = tmp_path / "wsgi.py"
    script.write_text("def application(environ, start_response):\n    start_response('200 OK', [])\n    return []\n")
    for python, wanted in ((OTHER, 1), (str(Path(harness.gilkeeper()).parent / "python"), 0)):
        command = [harness.gilkeeper(), "doctor", str(script), "--python", python, "--format", "json"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        found = [one for one in json.loads(told.stdout)["findings"] if one["what"] == "context"]
        assert len(found) == wanted, told.stdout
        assert all("it keeps them" in one["text"] and "contextvars.copy_context" in one["remedy"] for one in found)


# === what threads wait for ===

# Programs whose answer is known: each request answers how long its thread was neither on CPU nor runnable, as the kernel says.
LOCKS = """
import gc, threading, time
shared, block, much, lock = [], (None,) * 20_000, [[] for _ in range(50_000)], threading.Lock()
rounds, asks, waiter = [0], [0], []
gc.disable()

def blocked():
    with open("/proc/thread-self/schedstat") as file:
        runnable = int(file.read().split()[1]) / 1e9
    return time.monotonic() - time.thread_time() - runnable

def sleeps(thread):
    with open(f"/proc/self/task/{thread}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"

# All begin when the last one has come, and none goes before the last one has ended: what a request waits before and after is not told.
def repeated(work, arrived, ended, all):
    before = blocked()
    arrived.append(None)
    while len(arrived) < all:
        pass
    end = time.monotonic() + 1
    while time.monotonic() < end:
        work()
    ended.append(None)
    while len(ended) < all:
        pass
    return blocked() - before

def append():
    add = shared.append
    for _ in range(200):
        add(None)
    shared.extend(block)
    if len(shared) > 1_000_000:
        shared.clear()

def compute():
    for _ in range(200):
        pass

# The lock is held until the other thread has slept at it for 10 ms.
def hold():
    while not waiter:
        time.sleep(0.001)
    for _ in range(8):
        with lock:
            rounds[0] += 1
            while asks[0] != rounds[0] or not sleeps(waiter[0]):
                time.sleep(0.001)
            time.sleep(0.01)
    rounds[0] = -1
    return 0

def want():
    waiter.append(threading.get_native_id())
    told, seen = 0, 0
    while seen >= 0:
        if seen:
            before = blocked()
            asks[0] = seen
            with lock:
                pass
            told += blocked() - before
        while rounds[0] == seen:
            time.sleep(0.001)
        seen = rounds[0]
    return told

REPEATED, ONCE = {"/append": append, "/compute": compute, "/collect": gc.collect}, {"/hold": hold, "/want": want}
arrivals, ends = {}, {}

def application(environ, start_response):
    path, program = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path in ONCE:
        told = ONCE[path]()
    else:
        arrived, ended = arrivals.setdefault(program, []), ends.setdefault(program, [])
        told = repeated(REPEATED[path], arrived, ended, int(program.partition("=")[2]))
    start_response("200 OK", [])
    return [str(told).encode()]
"""
# Requests side by side; what they wait for.
PROGRAMS = {
    "independent": (["/compute"] * 3, ""),
    "one-list": (["/append"] * 4, "list"),
    "one-lock": (["/hold", "/want"], "lock"),
    "collections": (["/collect", "/compute", "/compute"], "world"),
}
WAITS = "gilkeeper_request_lock_wait_seconds_total"


def test_waits_for_locks_are_what_programs_say_of_themselves(gilkeeper: Start, tmp_path: Path) -> None:
    script = tmp_path / "locks.py"
    script.write_text(LOCKS)
    conf = (
        "WSGIDaemonProcess free threads=4 free-threading=on\n"
        "WSGIScriptAlias / ${APP}/locks.py process-group=free application-group=%{GLOBAL}\n"
    )
    server = gilkeeper([script], conf, admin=0)
    admin = server.status()["admin"].rstrip("/")

    def page(path: str) -> str:
        with urllib.request.urlopen(admin + path, timeout=20) as answer:
            return str(answer.read().decode())

    def counted() -> tuple[int, dict[str, float]]:
        text = page("/metrics")
        finished = re.findall(r"^gilkeeper_requests_total\{.*\} (\S+)$", text, re.M)
        waits = re.findall(rf'^{WAITS}\{{.*for="(\w+)".*\}} (\S+)$', text, re.M)
        return sum(int(float(count)) for count in finished), {kind: float(value) for kind, value in waits}

    noise = 0.0
    with ThreadPoolExecutor(4) as clients:
        for name, (targets, kind) in PROGRAMS.items():
            count, before = counted()
            answers = list(clients.map(server.ask, [f"{target}?{name}={len(targets)}" for target in targets]))
            assert all(answer.status == 200 for answer in answers), name
            harness.until(lambda upto=count + len(targets): counted()[0] >= upto, f"the requests of {name} are counted", 20)
            _, after = counted()
            told = sum(float(answer.body) for answer in answers)
            new = {kind: seconds - before.get(kind, 0.0) for kind, seconds in after.items()}
            print(name, f"told: {told:.4f}", {kind: f"{seconds:.4f}" for kind, seconds in new.items()})
            if not kind:
                # The machine under this one takes time from threads that compute, too.
                assert sum(new.values()) < 0.01, new
                noise = told
                continue
            # What the machine takes from computing threads is in both, but not the same.
            slack = 0.1 * told + (0.0 if kind == "lock" else 2 * noise + 0.01)
            assert abs(new[kind] - told) <= slack, (name, told, new)
            assert sum(new.values()) - new[kind] <= slack, (name, told, new)
    assert all(worker["lock_waits_known"] is True for worker in json.loads(page("/api/v1/status"))["workers"])


# === the GIL that comes back ===

EXTENSION = """
#include <Python.h>
/* Nothing here says that it can do without the GIL. */
static struct PyModuleDef_Slot slots[] = {{0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "needs_gil", NULL, 0, NULL, slots};
PyMODINIT_FUNC PyInit_needs_gil(void) { return PyModuleDef_Init(&definition); }
"""
ASK = "import sysconfig; print(sysconfig.get_path('include'), sysconfig.get_config_var('EXT_SUFFIX'))"


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small extension module that needs the GIL."""
    folder = tmp_path_factory.mktemp("extension")
    source = folder / "needs_gil.c"
    source.write_text(EXTENSION)
    python = str(Path(harness.gilkeeper()).parent / "python")
    include, suffix = subprocess.run([python, "-c", ASK], capture_output=True, text=True, check=True).stdout.split()
    target = folder / f"needs_gil{suffix}"
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(target)], check=True)
    return target


def group(mode: str) -> str:
    mount = "WSGIScriptAlias / ${APP}/modes.py process-group=free application-group=%{GLOBAL}"
    return f"WSGIDaemonProcess free threads=2 free-threading={mode} python-path=${{APP}}\n{mount}\n"


def readyz(server: Gilkeeper) -> client.Response:
    assert server.admin is not None
    return client.ask(server.admin, "/readyz")


def test_a_module_that_turns_the_gil_on_is_named_everywhere(gilkeeper: Start, extension: Path) -> None:
    server = gilkeeper([*FILES, extension], group("on"), admin=harness.free_port())
    assert server.ask("/").json["gil_mode"] == "free-threading"
    harness.until(lambda: readyz(server).body == b"ready\n", "it is ready")
    seen = server.ask("/?import=needs_gil").json
    assert (seen["gil_mode"], seen["switch_interval"]) == ("shared", pytest.approx(0.005))
    server.wait_log(r"GK0011: .*the module 'needs_gil'")
    # It goes on, and the marks stay.
    worker = harness.until(lambda: next((w for w in server.status()["workers"] if w["gil_returned"]), None), "it is marked")
    assert (worker["state"], worker["gil_mode"], worker["gil_returned"]) == ("ready", "shared", "the module 'needs_gil'")
    assert "needs_gil" in server.tell("status").stdout
    answer = harness.until(lambda: "needs_gil" in (answer := readyz(server)).body.decode() and answer, "/readyz tells")
    assert answer.status == 200 and b"process group 'free'" in answer.body
    server.ask("/?import=needs_gil")
    assert server.log().count("GK0011") == 1
    assert server.ask("/").status == 200


def test_required_refuses_a_deploy_that_turns_the_gil_on(gilkeeper: Start, extension: Path) -> None:
    server = gilkeeper([*FILES, extension], group("required"), admin=harness.free_port())
    assert server.ask("/").json["gil_mode"] == "free-threading"
    before = server.workers()
    script = server.root / "app" / "modes.py"
    good = script.read_text()
    script.write_text(good.replace("import json", "import json, needs_gil"))
    told = server.tell("reload")
    assert told.returncode == 1, told
    assert "free-threading=required" in told.stderr and "'needs_gil'" in told.stderr and "Traceback" not in told.stderr
    assert server.workers() == before and server.ask("/").json["gil_mode"] == "free-threading"
    script.write_text(good)
    assert server.tell("reload").returncode == 0
    harness.until(lambda: readyz(server).status == 200, "it is ready")


def test_required_makes_a_worker_not_ready(gilkeeper: Start, extension: Path) -> None:
    server = gilkeeper([*FILES, extension], group("required"), admin=harness.free_port())
    harness.until(lambda: readyz(server).status == 200, "it is ready")
    server.ask("/?import=needs_gil")
    answer = harness.until(lambda: (answer := readyz(server)).status == 503 and answer, "it is not ready")
    assert answer.body.startswith(b"not ready") and b"'needs_gil'" in answer.body
    harness.until(lambda: server.status()["workers"][0]["state"] == "failed", "the supervisor knows it, too")
    # Slower, not wrong: it is the load balancer's to send nobody here.
    assert server.ask("/").status == 200
