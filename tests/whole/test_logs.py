"""The logs: one that nobody reads, and files that are renamed under the server."""

from __future__ import annotations

import grp
import json
import os
import pwd
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from harness import APPS, until
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
CONF = """
WSGIDaemonProcess one threads=2
WSGIScriptAlias / ${APP}/probes.py process-group=one application-group=%{GLOBAL}
"""


# The second one has an error log of its own.
HOSTS = """
<VirtualHost *:${PORT}>
    ServerName localhost
</VirtualHost>
<VirtualHost *:${PORT}>
    ServerName other.example
    ErrorLog ${ROOT}/other.log
</VirtualHost>
"""


class Into(Gilkeeper):
    """Its standard output and standard error are a file of ours, such as a named pipe."""

    target = "/dev/null"

    def command(self) -> list[str]:
        return ["sh", "-c", f'exec "$0" "$@" >{self.target} 2>&1', *super().command()]


def test_a_pipe_that_nobody_reads_stops_nothing() -> None:
    """Reported: with standard output in a pipe that nobody reads, every request timed out. Met with `gilkeeper serve 2>&1 | sleep 1000`,
    and with a service manager or terminal that hangs."""
    conf = f"ErrorLog -\nCustomLog - common\n{CONF}"
    server = Into([APPS / "probes.py"], conf, admin=harness.free_port())
    server.target = f"{server.root}/pipe"
    os.mkfifo(server.root / "pipe")
    # Held open on both sides, and not read.
    pipe = os.open(server.root / "pipe", os.O_RDWR | os.O_NONBLOCK)
    try:
        server.start()
        for number in range(400):
            assert server.ask(f"/errors?text={number}{'x' * 3000}").body == b"logged"
        assert server.ask("/raise").status == 500
        # A new worker starts, and says so to nobody.
        pid = server.ask("/where").json["pid"]
        assert server.tell("reload").returncode == 0
        assert server.ask("/where").json["pid"] != pid
        pages = server.admin
        assert pages

        def lost() -> int:
            text = harness.client.ask(pages, "/metrics", headers={"Host": "localhost"}).body.decode()
            (line,) = [line for line in text.splitlines() if line.startswith('gilkeeper_lost_log_lines_total{log="error"}')]
            return int(float(line.split()[-1]))

        until(lambda: lost() > 100, "lost lines among the metrics")
        # The lines that were kept come when somebody reads, and how many are missing.
        text = b""

        def told() -> bool:
            nonlocal text
            try:
                text += os.read(pipe, 1 << 16)
            except BlockingIOError:
                pass
            return b"lines of the error log could not be written" in text

        until(told, "what was lost is told", 20)
        assert server.stop() == 0
    finally:
        os.close(pipe)
        server.kill()
    assert b"Serving http" in text and b"stderr: 0" in text
    server.clean()


@pytest.mark.parametrize("term", ["", "dumb", "xterm"])
def test_what_an_application_writes_does_nothing_to_a_terminal(term: str) -> None:
    """Reported: bytes that an application writes past Python's streams reach the terminal of whoever runs the server. In a file they stay.
    The colours there are the server's own, where the terminal has any."""
    conf = "ErrorLog -\nCustomLog - common\nWSGIDaemonProcess one\nWSGIScriptAlias / ${APP}/writes.py process-group=one\n"
    server = Into([], conf)
    if term:
        server.extra_environment["TERM"] = term
    raw = "\\x1b]0;title\\x07\\x1b[2Jraw\\n"
    app = f"import os\ndef application(environ, start_response):\n    os.write(2, b'{raw}')\n"
    app += "    print('told', file=environ['wsgi.errors'])\n    start_response('200 OK', [])\n    return [b'']\n"
    (server.root / "app" / "writes.py").write_text(app)
    ours, theirs = os.openpty()
    server.target = os.ttyname(theirs)
    os.set_blocking(ours, False)
    text = b""

    def seen() -> bool:
        nonlocal text
        try:
            text += os.read(ours, 1 << 16)
        except BlockingIOError:
            pass
        return all(word in text for word in (b"raw", b"told", b"HTTP/1.1"))

    try:
        server.start()
        assert server.ask("/").status == 200
        until(seen, "the lines on the terminal")
        assert b"\x1b]" not in text and b"\x1b[2J" not in text and b"\\x1b]0;title\\x07\\x1b[2Jraw" in text
        assert (b"\x1b[31m[wsgi:error]\x1b[0m" in text) == (b"\x1b[32m200\x1b[0m" in text) == (term == "xterm"), text
        assert (b"\x1b" in text) == (term == "xterm"), text
        assert server.stop() == 0
    finally:
        server.kill()
        os.close(ours)
        os.close(theirs)
    server.clean()


def test_a_long_text_without_a_line_break_is_written_in_pieces(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: one write of 40 MB without a line break held its request for half a minute, as the rest was copied with every piece of it. Met
    where an application prints a large answer of a service."""
    app = "TEXT = ''.join(f'{number:07x}.' for number in range(20_000))\ndef application(environ, start_response):\n"
    app += "    errors = environ['wsgi.errors']\n    errors.write('begin:' + TEXT)\n    errors.write(':end')\n    errors.flush()\n"
    app += "    start_response('200 OK', [])\n    return [b'']\n"
    (tmp_path / "writes.py").write_text(app)
    server = gilkeeper([tmp_path / "writes.py"], "WSGIDaemonProcess one\nWSGIScriptAlias / ${APP}/writes.py process-group=one\n")
    assert server.ask("/").status == 200
    server.wait_log(":end")
    lines = [line.rsplit("] ", 1)[1] for line in server.log().splitlines() if "[wsgi:error]" in line]
    assert len(lines) == 20 and {len(line) for line in lines[:-1]} == {8192}
    assert "".join(lines) == "begin:" + "".join(f"{number:07x}." for number in range(20_000)) + ":end"


def test_records_keep_their_level_by_our_handler(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: whatever the application's logging wrote had the level `error` in the log. A stream has no levels; our handler has."""
    conf = "ErrorLogFormat json\nGilkeeperLogConfig ${APP}/logging.json\nWSGIDaemonProcess one\nWSGIScriptAlias / ${APP}/writes.py process-group=one\n"
    handlers = {"ours": {"class": "gilkeeper.LogHandler"}, "stream": {"class": "logging.StreamHandler"}}
    loggers = {name: {"level": "DEBUG", "handlers": [name]} for name in handlers}
    (tmp_path / "logging.json").write_text(json.dumps({"version": 1, "handlers": handlers, "loggers": loggers}))
    app = "import logging\ndef application(environ, start_response):\n    for name in 'ours', 'stream':\n        log = logging.getLogger(name)\n"
    app += "        for level in 'critical', 'warning', 'info', 'debug':\n            getattr(log, level)('%s says %s', name, level)\n"
    app += "    start_response('200 OK', [])\n    return [b'']\n"
    (tmp_path / "writes.py").write_text(app)
    server = gilkeeper([tmp_path / "writes.py", tmp_path / "logging.json"], conf)
    assert server.ask("/").status == 200
    server.wait_log("stream says debug")
    said = [json.loads(line) for line in server.log().splitlines() if " says " in line]
    ours = [("crit", "ours says critical"), ("warn", "ours says warning"), ("info", "ours says info")]
    stream = [("error", f"stream says {level}") for level in ("critical", "warning", "info", "debug")]
    assert [(line["level"], line["message"]) for line in said] == ours + stream


@pytest.mark.parametrize("how", ["HUP", "USR1", "USR2", "reload", "logrotate"])
def test_renamed_logs_are_opened_again(gilkeeper: Start, how: str) -> None:
    """Reported: after a rotation the access log went on in the new file and the error log in the old one."""
    server = gilkeeper([APPS / "probes.py"], CONF + HOSTS)
    other = server.root / "other.log"
    assert server.ask("/errors?text=before").body == b"logged"
    assert server.ask("/errors?text=early", host="other.example").body == b"logged"
    until(lambda: server.access() and "stderr: before" in server.log() and "stderr: early" in other.read_text(), "the logs have lines")
    process = server.process
    assert process
    if how == "logrotate":
        rotate(server)
    else:
        for log in (server.error_log, server.access_log, other):
            log.rename(f"{log}.1")
        if how == "reload":
            assert server.tell("reload").returncode == 0
        else:
            process.send_signal(getattr(signal, f"SIG{how}"))
    until(lambda: server.error_log.exists() and server.access_log.exists() and other.exists(), "the logs are there again")
    assert server.ask("/errors?text=after").body == b"logged"
    assert server.ask("/errors?text=late", host="other.example").body == b"logged"
    until(lambda: "stderr: after" in server.log() and "/errors?text=after" in "".join(server.access()), "the new files have the new lines")
    until(lambda: "stderr: late" in other.read_text(), "the new file of the host has the new line")
    assert "stderr: early" not in other.read_text() and "stderr: late" not in server.log()
    old = server.error_log.with_name("error.log.1").read_text()
    assert "stderr: before" in old and "stderr: after" not in old
    if how == "logrotate":
        assert server.error_log.stat().st_mode & 0o777 == 0o640


def rotate(server: Gilkeeper) -> None:
    """The recipe of docs/guide/logging.md."""
    guide = (harness.REPOSITORY / "docs" / "guide" / "logging.md").read_text()
    recipe = guide.split("```logrotate\n")[1].split("```")[0]
    owner = f"{pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name}"
    changes = {"/var/log/site": str(server.root), "/run/site": str(server.server_root), "root adm": owner}
    for old, new in changes.items():
        assert old in recipe
        recipe = recipe.replace(old, new)
    (server.root / "rotate.conf").write_text(recipe)
    (server.root / "rotate.conf").chmod(0o644)
    command = ["logrotate", "--force", "--state", str(server.root / "rotated"), str(server.root / "rotate.conf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
