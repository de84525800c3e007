"""The profile of request threads: on the command line, over the admin port, and in the files of speedscope and pprof as their own
readers see them."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
from running import Gilkeeper

HERE = Path(__file__).resolve().parent
# Two functions that use the processor 3:1 by its own clock.
APP = """
import time

def use(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(100):
            pass

def heavy():
    use(0.09)

def light():
    use(0.03)

def application(environ, start_response):
    if environ["PATH_INFO"] == "/work":
        heavy()
        light()
    start_response("200 OK", [])
    return [b"ok"]
"""
HEAVY = 1 + APP.splitlines().index("    use(0.09)")
READER = """
const { Profile } = require("pprof-format");
const { readFileSync } = require("fs");
const { gunzipSync } = require("zlib");
const profile = Profile.decode(gunzipSync(readFileSync(process.argv[2])));
const text = (index) => profile.stringTable.strings[Number(index)];
const location = new Map(profile.location.map((one) => [String(one.id), one]));
const fn = new Map(profile.function.map((one) => [String(one.id), one]));
const stack = (sample) => sample.locationId.map((id) => {
  const line = location.get(String(id)).line[0];
  const known = fn.get(String(line.functionId));
  return [text(known.name), text(known.filename), Number(line.line)];
});
console.log(JSON.stringify({
  types: profile.sampleType.map((one) => [text(one.type), text(one.unit)]),
  samples: profile.sample.map((one) => ({ stack: stack(one), value: one.value.map(Number) })),
}));
"""


@contextmanager
def worked(server: Gilkeeper) -> Iterator[None]:
    """Requests for /work all the time."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            server.ask("/work")

    clients = [threading.Thread(target=work) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        over.set()
        for client in clients:
            client.join(60)


def readers() -> Path:
    """The folder in which the readers of both formats are."""
    if not (shutil.which("node") and shutil.which("npm")):
        subprocess.run([harness.REPOSITORY / "scripts" / "packages", "nodejs", "npm"], check=True)
    home = HERE / ".readers"
    home.mkdir(exist_ok=True)
    shutil.copy(HERE / "package.json", home)
    if not (home / "node_modules/pprof-format").exists():
        install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        subprocess.run(install, cwd=home, check=True, stdin=subprocess.DEVNULL)
    return home


def share(stacks: list[tuple[list[str], int]]) -> float:
    """Part of heavy's and light's time that is heavy's."""
    sums = {name: sum(weight for names, weight in stacks if name in names) for name in ("heavy", "light")}
    assert sums["heavy"] > 0 and sums["light"] > 0, stacks
    return sums["heavy"] / sum(sums.values())


def test_a_profile_shows_where_the_time_goes(gilkeeper: Callable[..., Gilkeeper], tmp_path: Path) -> None:
    script = tmp_path / "profiled.py"
    script.write_text(APP)
    server = gilkeeper([script], arguments=["{app}/profiled.py", "--threads", "2"], admin=0)
    admin = server.status()["admin"].rstrip("/")
    file = tmp_path / "profile.pb.gz"
    with worked(server):
        told = server.tell("profile", "--seconds", "4", "-o", str(file))
    assert told.returncode == 0, told.stderr
    unknown = server.tell("profile", "--process-group", "nope", "--seconds", "1")
    assert unknown.returncode == 1 and "no process group 'nope' has a worker" in unknown.stderr, unknown

    def last(form: str) -> bytes:
        with urllib.request.urlopen(f"{admin}/api/v1/profile/last?format={form}", timeout=20) as answer:
            return bytes(answer.read())

    # A profile of a request that computes all the time; how much of it the processor gives is the machine's affair.
    whole: dict[str, Any] = json.loads(last("json"))
    assert whole["why"] == [] and whole["workers"] == 1 and whole["samples"] >= 10, whole
    assert 0.2 <= whole["cpu_seconds"] <= 9, whole["cpu_seconds"]
    # speedscope: stacks refer to frames, weights add up.
    speedscope = json.loads(last("speedscope"))
    frames, profile = speedscope["shared"]["frames"], speedscope["profiles"][0]
    assert profile["endValue"] == sum(profile["weights"])
    named = [([frames[index]["name"] for index in stack], weight) for stack, weight in zip(profile["samples"], profile["weights"], strict=True)]
    assert 0.55 < share(named) < 0.9
    deepest = max(named, key=lambda one: len(one[0]))[0]
    assert deepest[:2] == ["/work", "application"] and deepest[-1] == "use", deepest
    assert any(frame.get("line") == HEAVY and frame["file"].endswith("/profiled.py") for frame in frames), frames
    # The other forms say the same.
    folded = [line.rsplit(" ", 1) for line in last("folded").decode().splitlines()]
    assert sum(int(weight) for _, weight in folded) * 1000 <= profile["endValue"] and len(folded) == len(named)
    assert b"heavy" in last("svg")
    # As another project's reader sees the file of pprof.
    home = readers()
    (home / "read.js").write_text(READER)
    read = subprocess.run(["node", home / "read.js", file], capture_output=True, text=True, check=True, timeout=60)
    pprof = json.loads(read.stdout)
    assert pprof["types"] == [["samples", "count"], ["cpu", "nanoseconds"]]
    assert sum(one["value"][1] for one in pprof["samples"]) == profile["endValue"]
    # The innermost first.
    stacks = [([name for name, _, _ in one["stack"]][::-1], one["value"][1]) for one in pprof["samples"]]
    assert sorted(stacks) == sorted(named)
    assert gzip.decompress(file.read_bytes())
    # speedscope's own schema.
    schema = json.loads((home / "node_modules/speedscope/dist/release/file-format-schema.json").read_text())
    required = schema["definitions"]["FileFormat.File"]["required"]
    assert set(required) <= set(speedscope), required


def test_a_profile_of_nothing_and_bad_questions(gilkeeper: Callable[..., Gilkeeper], tmp_path: Path) -> None:
    script = tmp_path / "profiled.py"
    script.write_text(APP)
    server = gilkeeper([script], arguments=["{app}/profiled.py"], admin=0)
    admin = server.status()["admin"].rstrip("/")
    told = server.tell("profile", "--seconds", "1")
    assert told.returncode == 0 and "no request thread of 1 workers used 20 ms" in told.stdout, (told.stdout, told.stderr)
    assert server.tell("profile", "--seconds", "0").returncode == 2
    for path, headers, status in [
        ("/api/v1/profile?seconds=1000", {}, 400),
        ("/api/v1/profile?format=gif", {}, 400),
        ("/api/v1/profile?seconds=1", {"Sec-Fetch-Site": "cross-site"}, 403),
    ]:
        try:
            with urllib.request.urlopen(urllib.request.Request(admin + path, headers=headers), timeout=20) as answer:
                found = answer.status
        except urllib.error.HTTPError as error:
            with error:
                found = error.code
        assert found == status, path


def test_an_interrupted_command_ends_at_once(gilkeeper: Callable[..., Gilkeeper], tmp_path: Path) -> None:
    """Reported of Ctrl+C in `gilkeeper profile --seconds 300`: it ended after 300 seconds, with a traceback."""
    (tmp_path / "wsgi.py").write_text("def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'x']\n")
    server = gilkeeper([tmp_path / "wsgi.py"], arguments=["{app}/wsgi.py"], admin=harness.free_port())
    server.wait_workers(1)
    command = [harness.gilkeeper(), "profile", "--seconds", "300", "--server-root", str(server.server_root)]
    asking = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    harness.until(lambda: "socket:" in descriptors_of(asking.pid), "it has asked the server", 20)
    asking.send_signal(signal.SIGINT)
    told, _ = asking.communicate(timeout=60)
    assert (asking.returncode, told) == (-signal.SIGINT, "")
    assert server.ask("/").status == 200


def descriptors_of(pid: int) -> str:
    """What the descriptors of a process are."""
    found = []
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(os.readlink(one))
    return " ".join(found)
