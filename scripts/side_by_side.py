"""Runs jobs side by side: which of them wait for which others, how many at once, and how all of them end.

A job's output goes to a file of its own and is printed whole when the job is over. Ctrl-C and SIGTERM end every process
that the jobs have started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

# In the environment of each process of a job; servers that tests start hand it on.
MARK = "GILKEEPER_JOBS"
# pytest reads these: its closing lines then hold whole messages instead of a line of each, also what a case quotes of another pytest.
LEFT_OUT = ("CI", "BUILD_NUMBER")
# After an interrupt: the time for tests to end their servers, before all is killed.
ENDS_SECONDS = 20.0


class Lane(Enum):
    """What a job mostly does, and so beside which others it may run."""

    BUILDS = "builds"  # one at a time: cargo uses every core by itself, and locks its target folder
    WAITS = "waits"  # several at a time, beside the one that builds
    ALONE = "alone"  # after all others, one at a time: it measures


@dataclass
class Job:
    """One command. `needs`: the jobs that must have succeeded before. `nice`: by how much it yields to the others."""

    name: str
    command: list[str]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    needs: list[Job] = field(default_factory=list)
    lane: Lane = Lane.WAITS
    nice: int = 0

    def everything_needed(self) -> list[Job]:
        """The jobs that it needs, directly or not, and itself last; each once."""
        found: list[Job] = []
        for job in self.needs:
            found += [one for one in job.everything_needed() if one not in found]
        return [*found, self]


@dataclass
class Result:
    """How a job ended. `broken`: the needed job without which it could not run."""

    job: Job
    log: Path
    status: int = 0
    seconds: float = 0.0
    broken: Job | None = None

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class SideBySide:
    """Runs `jobs`, earlier ones first where there is a choice; `over` is called with each result, one at a time."""

    def __init__(self, jobs: list[Job], logs: Path, places: int, over: Callable[[Result], None]) -> None:
        self.jobs, self.logs, self.places, self.over = jobs, logs, places, over
        self.results: dict[str, Result] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.changed = threading.Condition()
        self.is_ending = False

    def run(self) -> dict[str, Result]:
        """Returns when every job is over; raises KeyboardInterrupt when it was interrupted, all processes ended."""
        self.logs.mkdir(parents=True, exist_ok=True)
        # Also where a shell has started this in the background, with SIGINT ignored; the jobs would inherit that.
        before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with self.changed:
                while len(self.results) < len(self.jobs):
                    if not self.begin_next():
                        self.changed.wait()
        except BaseException:
            self.end()
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return self.results

    def begin_next(self) -> bool:
        """Begins the first job that may run now; False where none may."""
        for job in self.jobs:
            if job.name in self.results or job.name in self.running:
                continue
            ends = [self.results.get(needed.name) for needed in job.needs]
            broken = next((end.broken or end.job for end in ends if end and (end.status or end.broken)), None)
            if broken:
                self.finish(Result(job, self.log_of(job), broken=broken))
                return True
            if all(ends) and self.has_place(job):
                self.begin(job)
                return True
        return False

    def has_place(self, job: Job) -> bool:
        lanes = [one.lane for one in self.jobs if one.name in self.running]
        if job.lane is Lane.ALONE:
            others = [one for one in self.jobs if one.lane is not Lane.ALONE and one.name not in self.results]
            return not lanes and not others
        if job.lane is Lane.BUILDS:
            return Lane.BUILDS not in lanes
        return lanes.count(Lane.WAITS) < self.places

    def log_of(self, job: Job) -> Path:
        return self.logs / f"{job.name.replace(' ', '-')}.log"

    def begin(self, job: Job) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
        environment = {**inherited, **job.environment, MARK: str(os.getpid())}
        with open(self.log_of(job), "wb") as log:
            try:
                process = subprocess.Popen(
                    ["nice", "-n", str(job.nice), *job.command] if job.nice else job.command,
                    cwd=job.folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # A session of its own: an interrupt reaches it once, by `end`. (`process_group` needs Python 3.11.)
                    start_new_session=True,
                )
            except OSError as problem:
                log.write(f"{job.name} does not start: {problem}\n".encode())
                log.flush()  # `finish` reads it.
                self.finish(Result(job, self.log_of(job), status=127))
                return
        self.running[job.name] = process
        threading.Thread(target=self.wait, args=(job, process, time.monotonic()), daemon=True).start()

    def wait(self, job: Job, process: subprocess.Popen[bytes], begun: float) -> None:
        status = process.wait()
        with self.changed:
            del self.running[job.name]
            # Before `finish`: if that cannot print, `run` must not wait for ever.
            self.changed.notify()
            if not self.is_ending:
                self.finish(Result(job, self.log_of(job), status, time.monotonic() - begun))

    def finish(self, result: Result) -> None:
        self.results[result.job.name] = result
        self.over(result)

    def end(self) -> None:
        """Interrupts the jobs, so that tests end their servers, and kills what is left."""
        self.is_ending = True
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in list(self.running.values()):
            tell(-process.pid, signal.SIGINT)
        with self.changed:
            self.changed.wait_for(lambda: not self.running, ENDS_SECONDS)
        # Again, until none is left: one may have started another meanwhile.
        while left := marked(os.getpid()):
            for pid in left:
                tell(pid, signal.SIGKILL)


def tell(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def marked(runner: int) -> list[int]:
    """The living processes of the jobs that the process `runner` has started, however they are related."""
    mark, found = f"{MARK}={runner}".encode(), []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def show(result: Result) -> None:
    """Prints a job's output whole, under its name."""
    sys.stdout.write(f"\n=== {result.job.name} ===\n")
    text = result.text()
    if result.broken:
        text = f"{result.job.name} cannot run, since this failed: {result.broken.name}\n"
    sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
    sys.stdout.flush()
