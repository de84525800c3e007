"""How each server is started: one function a server, from processes x threads to a command.

What all have in common: loopback, no access log, no TLS, keep-alive on and unlimited, the same application file and the
same CPython. No measuring here.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import harness

HERE = Path(__file__).resolve().parent
APPS = harness.APPS


@dataclass(frozen=True)
class Job:
    """One server on one application: `script` is the application's file."""

    script: Path
    processes: int
    threads: int
    port: int
    folder: Path

    @property
    def module(self) -> str:
        return self.script.stem


def peer(name: str) -> str:
    return str(harness.peers() / "bin" / name)


def gilkeeper(job: Job) -> list[str]:
    return ours(job, f"WSGIScriptAlias / {job.script} process-group=bench application-group=%{{GLOBAL}}")


def ours(job: Job, directives: str, options: str = "", executable: str | None = None, admin: str = "off") -> list[str]:
    conf = job.folder / "gilkeeper.conf"
    conf.write_text(f"""
ServerName localhost
Listen 127.0.0.1:{job.port}
LogLevel warn
ErrorLog {job.folder}/error.log
MaxKeepAliveRequests 0
KeepAliveTimeout 30
WSGIDaemonProcess bench processes={job.processes} threads={job.threads} {options}
{directives}
""")
    server = executable or harness.gilkeeper()
    return [server, "serve", "-c", str(conf), "--server-root", str(job.folder / "root"), "--admin", admin]


def gilkeeper_embedded(job: Job) -> list[str]:
    return ours(job, f"GilkeeperEmbedded On\nWSGIScriptAlias / {job.script} process-group=bench application-group=%{{GLOBAL}}")


def apache(job: Job, mpm: str, wsgi: str) -> list[str]:
    modules = "".join(f"LoadModule {name}_module {harness.modules_folder()}/mod_{name}.so\n" for name in ("mpm_event", "authz_core"))
    user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
    conf = job.folder / "httpd.conf"
    conf.write_text(f"""
ServerRoot {job.folder}
ServerName localhost
PidFile {job.folder}/httpd.pid
{modules}{harness.mod_wsgi_configuration()}
{user}Listen 127.0.0.1:{job.port}
ErrorLog {job.folder}/error.log
LogLevel warn
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 30
WSGISocketPrefix {job.folder}/wsgi
{mpm}
<Directory />
    Require all granted
</Directory>
WSGIApplicationGroup %{{GLOBAL}}
{wsgi}
WSGIScriptAlias / {job.script}
""")
    return [harness.apache(), "-DFOREGROUND", "-f", str(conf)]


def mod_wsgi_daemon(job: Job) -> list[str]:
    wsgi = f"WSGIDaemonProcess bench processes={job.processes} threads={job.threads}\nWSGIProcessGroup bench"
    return apache(job, "", wsgi)


def mod_wsgi_embedded(job: Job) -> list[str]:
    """P Apache children with 64 threads each: with fewer, Apache closes kept-alive connections to serve others."""
    threads = max(job.threads, 64)
    mpm = f"""StartServers {job.processes}
ServerLimit {job.processes}
ThreadsPerChild {threads}
MaxRequestWorkers {job.processes * threads}
MinSpareThreads 1
MaxSpareThreads {job.processes * threads}"""
    return apache(job, mpm, "")


def peer_of_its_own(name: str, program: str) -> str:
    """A program of the environment that scripts/bench has made for one server."""
    found = harness.peers().parent / f"peer-{name}" / "bin" / program
    if not found.exists():
        raise Missing(f"no {found}; scripts/bench says why")
    return str(found)


def newest() -> list[str]:
    """The servers in environments of their own, with their versions."""
    found = []
    for requirement in (HERE / "more_peers.txt").read_text().split("\n"):
        name, _, version = requirement.partition("==")
        if version and (harness.peers().parent / f"peer-{name}" / "bin" / "python").exists():
            found.append(f"{name} {version} (its own environment)")
    return found


def granian_newest(job: Job) -> list[str]:
    return granian(job, peer_of_its_own("granian", "granian"))


def caddysnake(job: Job) -> list[str] | None:
    """Processes only."""
    if job.threads > 1:
        return None
    command = [peer_of_its_own("caddysnake", "caddysnake"), "--server-type", "wsgi", "--listen", f"127.0.0.1:{job.port}"]
    command += ["--workers", str(job.processes), "--working-dir", str(job.script.parent)]
    return [*command, "--venv", str(Path(command[0]).parent.parent), "--app", f"{job.module}:application"]


def fastpysgi(job: Job) -> list[str] | None:
    """One thread a process."""
    if job.threads > 1 and job.processes == 1:
        return None
    return [peer_of_its_own("fastpysgi", "python"), str(HERE / "fastpysgi_server.py"), str(job.script), str(job.port), str(job.processes)]


def granian(job: Job, program: str | None = None) -> list[str]:
    command = [program or peer("granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(job.port), "--no-ws", "--log-level", "error"]
    command += ["--workers", str(job.processes), "--blocking-threads", str(job.threads), "--runtime-threads", "1"]
    # Without it the server ends with its first worker.
    command += ["--respawn-failed-workers"]
    return [*command, "--working-dir", str(job.script.parent), f"{job.module}:application"]


def gunicorn(job: Job) -> list[str]:
    command = [peer("gunicorn"), "-b", f"127.0.0.1:{job.port}", "-w", str(job.processes), "--threads", str(job.threads)]
    command += ["-k", "gthread", "--keep-alive", "30", "--log-level", "error", "--chdir", str(job.script.parent)]
    return [*command, f"{job.module}:application"]


def uwsgi(job: Job) -> list[str]:
    """Its HTTP router in front, as that is what keeps connections alive."""
    command = [peer("uwsgi"), "--http", f"127.0.0.1:{job.port}", "--http-keepalive=30", "--add-header", "Connection: keep-alive"]
    command += ["--http-auto-chunked"]
    command += ["--master", "--die-on-term", "--disable-logging", "--need-app", "--enable-threads", "--listen", "100"]
    command += ["--processes", str(job.processes), "--threads", str(job.threads), "--virtualenv", str(harness.peers())]
    return [*command, "--chdir", str(job.script.parent), "--module", f"{job.module}:application"]


def waitress(job: Job) -> list[str] | None:
    """Threads only: there is no second process to ask for."""
    if job.processes > 1:
        return None
    command = [peer("waitress-serve"), "--listen", f"127.0.0.1:{job.port}", "--threads", str(job.threads)]
    return [*command, f"{job.module}:application"]


def bjoern(job: Job) -> list[str] | None:
    """One thread a process."""
    if job.threads > 1 and job.processes == 1:
        return None
    return [peer("python"), str(HERE / "bjoern_server.py"), str(job.script), str(job.port), str(job.processes)]


SERVERS: dict[str, Callable[[Job], list[str] | None]] = {
    "gilkeeper": gilkeeper,
    "gilkeeper-embedded": gilkeeper_embedded,
    "mod_wsgi-daemon": mod_wsgi_daemon,
    "mod_wsgi-embedded": mod_wsgi_embedded,
    "granian": granian,
    "granian-newest": granian_newest,
    "gunicorn-gthread": gunicorn,
    "uwsgi": uwsgi,
    "waitress": waitress,
    "bjoern": bjoern,
    "fastpysgi": fastpysgi,
    "caddysnake": caddysnake,
}

HELLO = "WSGIScriptAlias / {} process-group=bench application-group=%{{GLOBAL}}"
TWO = "WSGIScriptAlias /one {0} process-group=bench application-group={1}\nWSGIScriptAlias /two {0} process-group=bench application-group={2}"
OWN = "<WSGIInterpreterOptions process-group=bench>\n    WSGIPerInterpreterGIL On\n</WSGIInterpreterOptions>\n"


def free_threaded(job: Job, directives: str) -> list[str] | None:
    """On the free-threaded build; GILKEEPER_FREE_THREADED names its command."""
    if not (executable := os.environ.get("GILKEEPER_FREE_THREADED")):
        return None
    return ours(job, directives, "free-threading=on", executable)


# Forms of ours that are measured against each other.
FORMS: dict[str, Callable[[Job], list[str] | None]] = {
    "measurements off": lambda job: ours(job, "GilkeeperMeasurements Off\n" + HELLO.format(job.script)),
    "measurements on": lambda job: ours(job, "GilkeeperMeasurements On\n" + HELLO.format(job.script), admin="127.0.0.1:0"),
    "holders on": lambda job: ours(job, "GilkeeperHolders On\n" + HELLO.format(job.script), admin="127.0.0.1:0"),
    "holders off": lambda job: ours(job, "GilkeeperHolders Off\n" + HELLO.format(job.script), admin="127.0.0.1:0"),
    "shared GIL": lambda job: ours(job, TWO.format(job.script, "%{GLOBAL}", "%{GLOBAL}")),
    "own GIL, two application groups": lambda job: ours(job, OWN + TWO.format(job.script, "one", "two")),
    "interpreters=2": lambda job: ours(job, TWO.format(job.script, "both", "both"), "interpreters=2"),
    "free-threading": lambda job: free_threaded(job, TWO.format(job.script, "%{GLOBAL}", "%{GLOBAL}")),
    "without a GIL": lambda job: free_threaded(job, HELLO.format(job.script)),
    "without a GIL, embedded": lambda job: free_threaded(job, "GilkeeperEmbedded On\n" + HELLO.format(job.script)),
}


def loud(name: str, command: list[str], job: Job) -> list[str]:
    """The same with its error log and an access log on the terminal."""
    if name in ("gilkeeper", "gilkeeper-embedded"):
        conf = job.folder / "gilkeeper.conf"
        quiet = f"LogLevel warn\nErrorLog {job.folder}/error.log\n"
        conf.write_text(conf.read_text().replace(quiet, "LogLevel info\nCustomLog - combined\n"))
        return command
    more = {"granian": ["--access-log", "--log-level", "info"], "gunicorn-gthread": ["--access-logfile", "-", "--log-level", "info"]}
    if name not in more:
        raise NoSuchForm
    # The application stays last.
    return [*command[:-1], *more[name], command[-1]]


class Missing(Exception):
    """The server is not installed; the text says where it should be."""


class NoSuchForm(Exception):
    """The server has no such combination of processes and threads."""


class Running:
    """A server while it runs; ends it by pid, and whatever it started."""

    def __init__(self, name: str, script: Path, processes: int, threads: int, console: int | None = None) -> None:
        """`console`: a descriptor that gets all logs and the output, in place of files."""
        self.name, self.run = name, uuid.uuid4().hex
        # A space in a path would have to be quoted in every server's configuration.
        self.folder = Path(tempfile.mkdtemp(prefix="gilkeeper-bench-" + re.sub(r"[^\w-]+", "-", name)))
        self.folder.chmod(0o755)
        # Apache's user reads the application from here, whoever owns the checkout.
        app = shutil.copytree(script.parent, self.folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
        data = self.folder / "data"
        data.mkdir()
        data.chmod(0o777)
        self.port = harness.free_port()
        job = Job(Path(app) / script.name, processes, threads, self.port, self.folder)
        try:
            command = {**SERVERS, **FORMS}[name](job)
            if command is None:
                raise NoSuchForm
        except (Missing, NoSuchForm):
            shutil.rmtree(self.folder)
            raise
        if console is not None:
            command = loud(name, command, job)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONPATH": str(app),
            "READING_ROOM_DB": str(data / "reading-room.db"),
            harness.MARK: self.run,
        }
        with open(self.folder / "console.log", "wb") as file:
            output = file.fileno() if console is None else console
            self.process = subprocess.Popen(
                command, cwd=data, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is not None:
            return
        try:
            # The whole group: bjoern's processes have no parent that would end them.
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(15)
            harness.until(lambda: not harness.processes_of(self.run), "the server has ended", 10)
        except (subprocess.TimeoutExpired, AssertionError):
            print(f"bench: {self.name} did not end and was killed", file=sys.stderr)
            for pid in harness.processes_of(self.run):
                os.kill(pid, signal.SIGKILL)
            self.process.wait(15)
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """Ends it at once: for one that a fault has left in no state to end by itself."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(15)
        harness.until(lambda: not self.pids(), "the server has ended", 10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def words(self) -> str:
        """The end of its output, for a server that does not answer."""
        text = ""
        for name in ("console.log", "error.log"):
            if (self.folder / name).exists():
                text += (self.folder / name).read_text(errors="replace")[-1500:]
        return text

    def pids(self) -> list[int]:
        return harness.processes_of(self.run)

    def keep_on(self, cpu: int) -> None:
        """All threads that it has by now, and those that they start, run on this CPU only."""
        for pid in self.pids():
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(thread), {cpu})
