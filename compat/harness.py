"""Starts the server under test with a scenario's configuration, and ends it so that nothing is left.

`UNDER_TEST=ours|mod_wsgi` chooses the server: the installed `gilkeeper`, or mod_wsgi 6.1.1 under Apache. Both get the
same site.conf, included from a configuration that names the port, the folder and the logs. No test logic here.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import client

REPOSITORY = Path(__file__).resolve().parent.parent
APPS = REPOSITORY / "apps"
UNDER_TEST = os.environ.get("UNDER_TEST", "ours")
# `embedded`: ours runs the scenarios in embedded mode that have no more than one process group.
ENGINE = os.environ.get("ENGINE", "daemon")
# A site that stays in daemon mode: embedded processes have the server's user and root, and GilkeeperEmbedded has said which mode it is.
OF_DAEMON_MODE = re.compile(r"WSGIDaemonProcess\b(?:\\\n|.)*\s(user|group|supplementary-groups|chroot)=|GilkeeperEmbedded")
# One with `threads=0` runs a service script and no requests.
GROUP = re.compile(r"^\s*WSGIDaemonProcess\s+(\S+)(?!.*\sthreads=0\b)", re.M)
MARK = "GILKEEPER_TEST_RUN"
# By this one scripts/test finds every process that it has started.
HANDED_ON = ("GILKEEPER_JOBS",)
START_SECONDS = 30.0
STOP_SECONDS = 20.0
MODULES = (
    "mpm_event unixd authz_core authz_host authz_user authz_groupfile access_compat authn_core authn_file auth_basic auth_digest"
    " alias env setenvif log_config remoteip rewrite macro mime dir autoindex headers expires filter deflate brotli http2"
)


class Unusable(Exception):
    """The server under test is missing or did not start; the text says what to do."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """The first true value of `condition`; fails with `what` when there is none in time: long, as a machine may have much else to do."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return value


def processes_of(run: str) -> list[int]:
    """The living processes that were started with `run` in their environment, however they are related."""
    mark, found = f"{MARK}={run}".encode(), []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if mark in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                found.append(int(entry))
        except OSError:
            continue
    return found


class Server:
    """One running server on a folder of its own: `root` holds app/ (the scenario's files), logs and sockets."""

    modules = MODULES

    def __init__(self, files: list[Path], conf: str | Path, name: str = "scenario", under_test: str = UNDER_TEST) -> None:
        self.under_test = under_test
        self.run = uuid.uuid4().hex
        # Apache's user must be able to read it, so not below pytest's own folders, which are closed to others.
        self.root = Path(tempfile.mkdtemp(prefix=f"gilkeeper-{name}-"))
        self.root.chmod(0o755)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.logged_before = 0  # characters of the error log at this start
        self.extra_environment: dict[str, str] = {}
        self.keep_trying = True  # as Apache does, when a script cannot be imported
        app = self.root / "app"
        app.mkdir()
        for source in files:
            if source.is_dir():
                shutil.copytree(source, app, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "test_*.py"))
            else:
                shutil.copy(source, app)
            if source == APPS / "probes.py":
                shutil.copytree(APPS / "probing", app / "probing", ignore=shutil.ignore_patterns("__pycache__"))
        (self.root / "data").mkdir(mode=0o777)
        (self.root / "data").chmod(0o777)
        (self.root / "site.conf").write_text(conf.read_text() if isinstance(conf, Path) else conf)
        self.error_log, self.access_log = self.root / "error.log", self.root / "access.log"
        self.read_from = 0

    # === start and stop ===

    def configuration(self) -> str:
        common = f"""
ServerName localhost
Define ROOT {self.root}
Define APP {self.root}/app
Define PORT {self.port}
Define OWNER {pwd.getpwuid(os.getuid()).pw_name}
Define OWNER_GROUP {grp.getgrgid(os.getgid()).gr_name}
Listen 127.0.0.1:{self.port}
ErrorLog {self.error_log}
LogLevel info
LogFormat "%m %U%q %>s %b" compat
CustomLog {self.access_log} compat
Include {self.root}/site.conf
"""
        if self.under_test == "ours":
            return common + self.engine()
        return self.apache_head() + common

    def engine(self) -> str:
        """What ENGINE adds to the configuration."""
        if self.is_embedded():
            return "GilkeeperEmbedded On\n"
        several = ENGINE == "fronts" and "GilkeeperEmbedded" not in (self.root / "site.conf").read_text()
        return "GilkeeperFronts 2\n" if several else ""

    def is_embedded(self) -> bool:
        """Whether this server runs in embedded mode because of ENGINE."""
        site = (self.root / "site.conf").read_text()
        # `On` is for a site with one process group; of scenarios with several, `scenario` makes such sites.
        one = len(GROUP.findall(site)) <= 1
        return self.under_test == "ours" and ENGINE == "embedded" and one and not OF_DAEMON_MODE.search(site)

    def apache_head(self) -> str:
        """What Apache needs before a site: the modules, where its state is, and that files are not closed."""
        modules = "".join(
            f"LoadModule {name}_module {modules_folder()}/mod_{name}.so\n" for name in self.modules.split() if module_exists(name)
        )
        user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
        return f"""
ServerRoot {self.root}
PidFile {self.root}/httpd.pid
{modules}{mod_wsgi_configuration()}
TypesConfig /etc/mime.types
DocumentRoot {self.root}/no-documents
{user}WSGISocketPrefix {self.root}/run-wsgi
<Directory />
    Require all granted
</Directory>
"""

    def command(self) -> list[str]:
        file = str(self.root / "server.conf")
        if self.under_test == "ours":
            command = [gilkeeper(), "serve", "-c", file, "--server-root", str(self.root / "server-root"), "--admin", "off"]
            return [*command, "--keep-trying"] if self.keep_trying else command
        return [apache(), "-DFOREGROUND", "-f", file]

    def start(self) -> Server:
        """Starts the server and waits until it takes connections."""
        (self.root / "server.conf").write_text(self.configuration())
        # Debian's Apache serves /var/www/html where no site says otherwise, which some packages make. Apache wants to see a folder, and
        # finds none later.
        documents = self.root / "no-documents"
        documents.mkdir()
        environment = {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            MARK: self.run,
            **{name: os.environ[name] for name in HANDED_ON if name in os.environ},
            **self.extra_environment,
        }
        self.logged_before = len(self.log())
        with open(self.root / "console.log", "ab") as console:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.root / "data",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        try:
            until(self.accepts, f"{self.under_test} takes connections", START_SECONDS)
        except BaseException:
            self.kill()
            raise
        finally:
            documents.rmdir()
        return self

    def accepts(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise Unusable(f"{self.under_test} ended with {self.process.returncode} at its start:\n{self.console()}\n{self.log()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1.0).close()
        except OSError:
            return False
        # Apache listens before it knows whether it can start.
        return self.under_test == "ours" or "resuming normal operations" in self.log()[self.logged_before :]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends the server and returns its exit status; fails when a process of it is left."""
        assert self.process is not None
        self.process.send_signal(number)
        try:
            status = self.process.wait(STOP_SECONDS)
            until(lambda: not processes_of(self.run), "every process has ended", STOP_SECONDS)
        except (subprocess.TimeoutExpired, AssertionError):
            left = {pid: command_of(pid) for pid in processes_of(self.run)}
            self.kill()
            raise AssertionError(f"left after the stop: {left}\n{self.log()[-3000:]}") from None
        return status

    def kill(self) -> None:
        """The last resort, for a server that would not end."""
        for pid in processes_of(self.run):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self.process is not None:
            self.process.wait(STOP_SECONDS)

    def clean(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    # === asking ===

    def ask(self, target: str, method: str = "GET", **given: Any) -> client.Response:
        return client.ask(self.port, target, method, **given)

    def connect(self, timeout: float = client.TIMEOUT) -> client.Connection:
        return client.Connection(self.port, timeout)

    def raw(self, data: bytes, **given: Any) -> bytes:
        return client.raw(self.port, data, **given)

    # === logs ===

    def log(self) -> str:
        return self.error_log.read_text(errors="replace") if self.error_log.exists() else ""

    def console(self) -> str:
        return (self.root / "console.log").read_text(errors="replace")

    def alarms(self) -> list[str]:
        """Lines of the logs that no test may leave unseen."""
        text = self.log() + self.console()
        return [line for line in text.splitlines() if "panicked at" in line or "Fatal Python error" in line]

    def mark_log(self) -> None:
        """From here on, `wait_log` looks."""
        self.read_from = len(self.log())

    def wait_log(self, pattern: str, seconds: float = 30.0) -> re.Match[str]:
        """Waits for `pattern` in the error log, since the last `mark_log`."""
        found = until(lambda: re.search(pattern, self.log()[self.read_from :]), f"{pattern!r} in the error log", seconds)
        assert isinstance(found, re.Match)
        return found

    def access(self) -> list[str]:
        return self.access_log.read_text(errors="replace").splitlines() if self.access_log.exists() else []

    def pids(self) -> list[int]:
        return processes_of(self.run)


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "(gone)"


# === the servers ===


def gilkeeper() -> str:
    """$GILKEEPER, or the one `make build` installed."""
    found = os.environ.get("GILKEEPER", str(REPOSITORY / ".venv" / "bin" / "gilkeeper"))
    if not os.access(found, os.X_OK):
        raise Unusable(f"there is no {found}; run `make build`, or set GILKEEPER to the installed command.")
    return found


def apache() -> str:
    found = shutil.which("apache2", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
    if found is None:
        raise Unusable("there is no apache2; run `make peers`.")
    return found


def peers() -> Path:
    """The virtual environment of `make peers`."""
    made = subprocess.run([REPOSITORY / "scripts" / "cache-dir"], capture_output=True, text=True, check=True)
    folder = Path(os.environ.get("PEERS", made.stdout.strip() + "/peers"))
    if not (folder / "bin" / "mod_wsgi-express").exists():
        raise Unusable(f"there is no mod_wsgi in {folder}; run `make peers`.")
    return folder


def modules_folder() -> Path:
    for folder in ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules"):
        if Path(folder).is_dir():
            return Path(folder)
    raise Unusable("Apache's modules are not where they are looked for; run `make peers`.")


def module_exists(name: str) -> bool:
    return (modules_folder() / f"mod_{name}.so").exists()


def mod_wsgi_configuration() -> str:
    command = [str(peers() / "bin" / "mod_wsgi-express"), "module-config"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def with_one_group(site: str, group: str | None) -> str:
    """The site with this process group, or with its first one: lines and sections that name another are left out. Handlers stay, as other
    lines name them, and run in the one group."""
    groups = GROUP.findall(site)
    if len(groups) < 2:
        return site
    kept = group or groups[0]
    others = "|".join(re.escape(one) for one in groups if one != kept)
    site = re.sub(rf"^(\s*WSGIHandlerScript\b.*\bprocess-group=)(?:{others})(?=\s|$)", rf"\g<1>{kept}", site, flags=re.M)
    names = rf"WSGIDaemonProcess\s+(?:{others})(?=\s|$)|WSGIProcessGroup\s+(?:{others})(?=\s|$)|.*\bprocess-group=(?:{others})(?=[\s>]|$)"
    site = re.sub(rf"^\s*<WSGIInterpreterOptions\b.*\bprocess-group=(?:{others})(?=[\s>])[^<]*</WSGIInterpreterOptions>\n", "", site, flags=re.M)
    return re.sub(rf"^\s*(?:{names}).*\n", "", site, flags=re.M)


def scenario(folder: Path, extra: list[Path] | None = None, group: str | None = None) -> Iterator[Server]:
    """The server on a scenario's folder, with the shared probes beside it; ended and looked over afterwards. `group`: the one process
    group of the site that counts in embedded mode, the first if it is not given."""
    site = (folder / "site.conf").read_text()
    if UNDER_TEST == "ours" and ENGINE == "embedded":
        site = with_one_group(site, group)
    server = Server([APPS / "probes.py", folder, *(extra or [])], site, folder.name)
    server.start()
    try:
        yield server
    except BaseException:
        server.kill()
        raise
    # One that a test has ended by itself is looked over all the same.
    status = server.stop() if server.process and server.process.poll() is None else 0
    if server.under_test == "ours":
        # How Apache ends is not ours to judge.
        assert (status, server.alarms()) == (0, []), f"it ended with {status}\n{server.log()[-3000:]}"
    server.clean()
