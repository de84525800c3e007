"""The guide's pages as transcripts: their blocks of code, done one after the other in an empty folder.

A block of Python or TOML whose first line is a comment with a name is that file. In a block of `sh`, a line with `gilkeeper serve` or
`gilkeeper dev` starts the server and waits until it serves; it is ended by a line `gilkeeper stop`, else by the next server and the end of
the page. Every other line runs to its end and must succeed.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import client
import harness
from running import readable_by_others

GUIDE = harness.REPOSITORY / "docs/guide"
FACTORY = "def create_app(name='x'):\n    def app(environ, start_response):\n        start_response('200 OK', [])\n        return [name.encode()]\n    return app\n"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def commands() -> Path:
    """The folder of the server's command, of its Python and of what else is installed there."""
    return Path(harness.gilkeeper()).parent


def environment(folder: Path, **more: str) -> dict[str, str]:
    """That of a user who has activated the virtual environment of the wheel, with nothing else but patience: other tests share the cores."""
    told = {"HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "state"), "GILKEEPER_STARTUP_TIMEOUT": "60"}
    return {"PATH": f"{commands()}:/usr/bin:/bin", **told, **more}


@dataclass
class Transcript:
    """What a page says, done in `folder`."""

    folder: Path
    environment: dict[str, str]
    port: int = field(default_factory=harness.free_port)
    said: list[str] = field(default_factory=list)
    server: subprocess.Popen[str] | None = None

    def run(self, page: Path) -> str:
        """All blocks of a page; everything that was said."""
        try:
            for kind, text in BLOCK.findall(page.read_text()):
                # The port of the page may be taken on this machine.
                text = text.replace("8000", str(self.port))
                if kind in ("python", "toml") and text.startswith("# "):
                    (self.folder / text.splitlines()[0].removeprefix("# ")).write_text(text)
                elif kind == "sh":
                    for line in text.splitlines():
                        self.line(line)
        finally:
            self.end()
        return "\n".join(self.said)

    def line(self, line: str) -> None:
        self.said.append(f"$ {line}")
        if "gilkeeper serve" in line or "gilkeeper dev" in line:
            self.end()
            self.serve(line)
            return
        done = subprocess.run(["bash", "-c", line], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60)
        self.said.append(done.stdout + done.stderr)
        assert done.returncode == 0, "\n".join(self.said)
        if line == "gilkeeper stop" and self.server is not None:
            self.server.wait(timeout=30)

    def serve(self, line: str) -> None:
        # The admin pages of other tests may have the usual port.
        words = ["bash", "-c", f"exec {self.plain(line)} --host 127.0.0.1 --admin off"]
        with (self.folder / "server.log").open("a") as log:
            self.server = subprocess.Popen(words, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.server.stdout is not None
        first = self.server.stdout.readline()
        self.said.append(first)
        assert first.startswith(f"Serving http://127.0.0.1:{self.port}/"), (self.said, (self.folder / "server.log").read_text())

    @staticmethod
    def plain(line: str) -> str:
        """The command with its variables set by `env`, so that it can be the shell's last."""
        variables = [word for word in shlex.split(line) if re.match(r"[A-Z_]+=", word)]
        rest = line.split(variables[-1], 1)[1] if variables else line
        return " ".join(["env", *variables, rest]) if variables else line

    def end(self) -> None:
        """The server ends, by TERM if nobody told it to stop."""
        if self.server is None:
            return
        if self.server.poll() is None:
            self.server.terminate()
        assert self.server.wait(timeout=30) == 0, (self.folder / "server.log").read_text()
        if self.server.stdout is not None:
            self.server.stdout.close()
        self.server = None


def newcomer(page: Path, folder: Path, **more: str) -> None:
    """Does what a page says, in an empty folder below `folder`, and looks at what is said and left. `more` of the environment."""
    project = folder / "project"
    project.mkdir()
    said = Transcript(project, environment(folder, **more)).run(page)
    wanted = {
        "README.md": ["reload done: generation 2 serves"],
        "django.md": ["The install worked successfully", "processes: 2 from processes in gilkeeper.toml"],
        "flask.md": ["Good morning"],
    }
    for text in wanted.get(page.name, ["Hello"]):
        assert text in said, said
    # Reported: the state of the server lay in the project.
    assert not (project / "gilkeeper-root").exists()
    states = list((folder / "state/gilkeeper").iterdir())
    assert [state.name.rpartition("-")[0] for state in states] == ["project"]


def without_a_home() -> None:
    """Serves as in a container: another user without a name, no HOME, no command but those beside the server's, and one folder that can
    be written to."""
    holder = harness.Server([], "")
    root = holder.root
    project, state = root / "project", root / "state"
    project.mkdir()
    state.mkdir()
    (project / "app.py").write_text(FACTORY)
    project.chmod(0o555)
    needed = [harness.gilkeeper(), str(commands() / "python")]
    nobody = os.geteuid() == 0 and all(map(readable_by_others, needed))
    if nobody:
        os.chown(state, 54321, 54321)
    as_user = ["/usr/bin/setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups"] if nobody else []
    variables = {
        "PATH": str(commands()),
        "GILKEEPER_ROOT": str(state),
        "GILKEEPER_PORT": str(harness.free_port()),
        "GILKEEPER_ADMIN": "off",
        "GILKEEPER_SCRIPT": "app:create_app('no home')",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    before = sorted(root.rglob("*"))
    with (root / "log").open("w") as log:
        command = [*as_user, harness.gilkeeper(), "serve"]
        server = subprocess.Popen(command, cwd=project, env=variables, stdout=subprocess.PIPE, stderr=log, text=True)
        assert server.stdout is not None
        first = server.stdout.readline()
        try:
            assert first.startswith("Serving http://127.0.0.1:"), (root / "log").read_text()
            answer = client.ask(int(variables["GILKEEPER_PORT"]), "/")
            assert (answer.status, answer.body) == (200, b"no home")
            told = subprocess.run([*as_user, harness.gilkeeper(), "status"], cwd=project, env=variables, capture_output=True, text=True, timeout=30)
            assert told.returncode == 0, told
            new = [path for path in sorted(root.rglob("*")) if path not in before and path != root / "log"]
            assert new and all(path.is_relative_to(state) for path in new), new
        finally:
            server.terminate()
            assert server.wait(timeout=30) == 0
            server.stdout.close()
    holder.clean()
