"""Parts of a deployment as processes of this machine: each has a loopback address in place of a container's, and the environment
that an image gives. And visitors, who keep their connections."""

from __future__ import annotations

import http.client
import os
import random
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import harness

DEPLOY = harness.REPOSITORY / "deploy"
SITE = DEPLOY / "site"


class Network:
    """Names of services, each with a loopback address."""

    def __init__(self) -> None:
        self.base = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}"
        self.names: dict[str, str] = {}

    def address(self, name: str) -> str:
        return self.names.setdefault(name, f"{self.base}.{len(self.names) + 2}")

    def translate(self, text: str, own: str) -> str:
        """`text` with addresses in place of names before a port, and the address of `own` in place of all addresses."""
        for name, address in self.names.items():
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?=:\d)", address, text)
        return text.replace("0.0.0.0", self.address(own))


class Part:
    """A running process with its log."""

    def __init__(self, name: str, command: list[str], folder: Path, environment: dict[str, str], cwd: Path) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        self.environment, self.cwd = environment, cwd
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def run(self, command: list[str], seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Runs a command beside the process, as `exec` does in a container."""
        return subprocess.run(command, cwd=self.cwd, env=self.environment, capture_output=True, text=True, timeout=seconds)

    def end(self, grace: float) -> float:
        """TERM, and after `grace` seconds it would be KILL: fails then. Returns the seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(grace)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} would be killed after {grace} s\n{self.text()[-3000:]}") from None
        assert status == 0, f"{self.name} ended with {status}\n{self.text()[-3000:]}"
        return time.monotonic() - begun

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """The last resort: the process and everything it has started."""
        if self.process.poll() is None:
            # A supervisor takes its children along.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)


def environment(root: Path) -> dict[str, str]:
    """The environment of the image: no HOME, nothing of this machine."""
    commands = Path(harness.gilkeeper()).parent
    return {"PATH": f"{commands}:/usr/local/bin:/usr/bin:/bin", "GILKEEPER_ROOT": str(root), "PYTHONDONTWRITEBYTECODE": "1"}


def state(folder: Path, token: str = "a token that somebody has made") -> Path:
    """A state folder with the token of the admin pages, as a secret is mounted."""
    folder.mkdir(mode=0o700)
    (folder / "admin.token").write_text(token)
    return folder


def serve(network: Network, name: str, arguments: list[str], folder: Path) -> Part:
    """`gilkeeper serve` with a container's arguments."""
    own = network.address(name)
    given = [network.translate(argument, name) for argument in arguments]
    # The address is a loopback one, where nobody needs the token unless the configuration says so.
    always = ["--set", f"GilkeeperAdmin {own}:8001 token=always"]
    command = [harness.gilkeeper(), "serve", *given, "--host", own, *always]
    return Part(name, command, folder, environment(state(folder / name)), SITE)


def asked(url: str, headers: dict[str, str] | None = None, patience: float = 20) -> tuple[int, str]:
    """Status and body; 0 where nobody answers, with why."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=patience) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


class Visitors:
    """Clients that send one request after the other and keep their connections as long as the server does. `choose` gives the
    address for a new connection. Nobody tries anything again."""

    def __init__(self, choose: Callable[[], tuple[str, int]], number: int = 4) -> None:
        self.choose, self.over = choose, threading.Event()
        self.answered, self.failed = 0, list[str]()
        self.threads = [threading.Thread(target=self.visit, args=("POST" if index % 2 else "GET",)) for index in range(number)]
        for thread in self.threads:
            thread.start()

    def visit(self, method: str) -> None:
        connection, served = None, 0
        while not self.over.wait(0.003):
            if connection is None:
                host, port = self.choose()
                connection, served = http.client.HTTPConnection(host, port, timeout=20), 0
            try:
                connection.request(method, "/", body=b"x" * 100 if method == "POST" else None)
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{method} {served} of {connection.host}: {error!r}")
                connection = None
                continue
            served += 1
            if response.status == 200:
                self.answered += 1
            else:
                self.failed.append(f"{method} {served} of {connection.host}: {response.status}")
            if response.will_close:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def end(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(30)
