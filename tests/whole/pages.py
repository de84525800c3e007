"""The guide's pages as transcripts: their blocks of code, done one after the other in an empty folder.

A block of Python or TOML whose first line is a comment with a name is that file. In a block of `sh`, a line with `gilkeeper serve` or
`gilkeeper dev` starts the server and waits until it serves; it is ended by a line `gilkeeper stop`, else by the next server and the end of
the page. Every other line runs to its end and must succeed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import harness

GUIDE = harness.REPOSITORY / "docs/guide"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """That of a user who has activated the virtual environment of the wheel, with nothing else."""
    commands = Path(harness.gilkeeper()).parent
    return {"PATH": f"{commands}:/usr/bin:/bin", "HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "state"), **more}


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
