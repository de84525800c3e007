"""One client's visit to one server: requests and programs, and a transcript of what came back, to be compared with another's."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import subprocess
from pathlib import Path
from typing import Any

import client
import harness
from http2_wire import Wire

# Each server's own business.
OF_THE_SERVER = {"connection", "date", "keep-alive", "server", "transfer-encoding", "via"}
LONGEST_SHOWN = 200_000


class Visitor:
    """What a client does on one server. `lines` is the transcript; ports, folders and what `varies` was told are hidden in it."""

    def __init__(
        self, server: harness.Server, url: str, home: Path, folder: Path, http2: bool = False, certificate: Path | None = None
    ) -> None:
        self.server, self.home, self.folder, self.http2, self.certificate = server, home, folder, http2, certificate
        self.prefix = url.rstrip("/")
        self.scheme = "http"
        self.context: ssl.SSLContext | None = None
        self.lines: list[str] = []
        self.hidden: list[tuple[str, str]] = [(rf":{server.port}\b", ":PORT"), (re.escape(str(folder)), "FOLDER")]
        if certificate is not None:
            self.scheme, self.context = "https", ssl.create_default_context(cafile=str(certificate))
            if http2:
                self.context.set_alpn_protocols(["h2"])
            self.hidden.append(("https://", "http://"))
        self.url = f"{self.scheme}://127.0.0.1:{server.port}{self.prefix}"

    def varies(self, pattern: str, word: str) -> None:
        """From here on, what fits `pattern` is different each time and stands as `word` in the transcript."""
        self.hidden.append((pattern, word))

    # === asking ===

    def ask(self, target: str, method: str = "GET", **given: Any) -> client.Response:
        """One request below the site's URL, on a connection of its own."""
        # The port's name stays the same, so that absolute links can be compared.
        ask = self.ask_http2 if self.http2 else client.ask
        answer = ask(self.server.port, self.prefix + target, method, context=self.context, **given)
        self.note(f"{method} {target}", answer)
        return answer

    def ask_http2(
        self,
        port: int,
        target: str,
        method: str = "GET",
        headers: Any = (),
        body: bytes | None = None,
        context: ssl.SSLContext | None = None,
    ) -> client.Response:
        """The same over HTTP/2, which has no reasons."""
        given = dict(headers)
        host = next((value for name, value in given.items() if name.lower() == "host"), "localhost")
        fields = [(":method", method), (":scheme", self.scheme), (":authority", host), (":path", target)]
        fields += [(name.lower(), value) for name, value in given.items() if name.lower() not in ("host", "connection")]
        if body is not None:
            fields.append(("content-length", str(len(body))))
        with Wire(("127.0.0.1", port), context=context) as wire:
            found, content = wire.exchange(1, fields, body)
        return client.Response("HTTP/2", int(found[0][1]), "", found[1:], content)

    def curl(self, target: str, *arguments: str) -> client.Response:
        """One request by curl, with its own way of sending a body."""
        head, body = self.folder / "curl.head", self.folder / "curl.body"
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "60", "-D", str(head), "-o", str(body)]
        if self.certificate is not None:
            command += ["--cacert", str(self.certificate), "--http2" if self.http2 else "--http1.1"]
        elif self.http2:
            command.append("--http2-prior-knowledge")
        body.unlink(missing_ok=True)
        subprocess.run([*command, *arguments, self.url + target], check=True, timeout=90, env=self.environment(), stdin=subprocess.DEVNULL)
        # The last head is that of the answer; those before it are interim.
        *_, last = head.read_bytes().decode("latin-1").strip().split("\r\n\r\n")
        status, *fields = last.split("\r\n")
        version, number, *reason = status.split(" ", 2)
        headers = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
        answer = client.Response(version, int(number), " ".join(reason), headers, body.read_bytes() if body.exists() else b"")
        self.note(f"curl {' '.join(arguments)} {target}", answer)
        return answer

    def note(self, what: str, answer: client.Response) -> None:
        assert answer.complete, f"{what}: the answer broke off"
        headers = {name.lower(): value for name, value in answer.headers}
        if headers.get("content-length") == str(len(answer.body)):
            # Whether a block without a length gets one is a server's own business, too; the body itself is compared.
            del headers["content-length"]
        told = sorted(f"{name}: {value}" for name, value in headers.items() if name not in OF_THE_SERVER)
        self.write(f"> {what}", f"{answer.status} {answer.reason}", *told, "", *shown(answer.body))

    # === programs ===

    def environment(self) -> dict[str, str]:
        """A home folder that is empty, so that nobody's settings count."""
        return {
            "PATH": f"{self.home / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            **{name: os.environ[name] for name in harness.HANDED_ON if name in os.environ},
        }

    def run(self, *command: str | Path, where: Path | None = None) -> str:
        """A program that must succeed; its output goes into the transcript."""
        words = [str(word) for word in command]
        done = subprocess.run(
            words, cwd=where or self.folder, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        self.write(f"> {' '.join(words)}", *done.stdout.splitlines())
        return done.stdout

    # === the transcript ===

    def write(self, *lines: str) -> None:
        for line in lines:
            for pattern, word in self.hidden:
                line = re.sub(pattern, word, line)
            self.lines.append(line)


def shown(body: bytes) -> list[str]:
    """A body as lines, an element of markup on each; a long or binary one as its size and digest."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = ""
    if len(body) <= LONGEST_SHOWN and (text or not body):
        return text.replace("><", ">\n<").splitlines()
    return [f"{len(body)} bytes, {hashlib.sha256(body).hexdigest()}"]
