"""Unix sockets for a proxy on the same machine: the permissions of their files, and trust in their peers."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import client
from harness import APPS, until
from running import Gilkeeper

Start = Callable[..., Gilkeeper]

CONF = """
WSGIDaemonProcess main threads=2
WSGIScriptAlias /listed ${APP}/probes.py process-group=main application-group=%{GLOBAL}
WSGIScriptAlias /other ${APP}/probes.py process-group=main application-group=%{GLOBAL}
WSGITrustedProxyHeaders X-Forwarded-For
<Location /listed>
    WSGITrustedProxies 192.0.2.1 unix:
</Location>
<Location /other>
    WSGITrustedProxies 192.0.2.1
</Location>
Listen unix:${ROOT}/web.sock mode=640 owner=OWNED_BY group=IN_GROUP
"""


def environ(path: Path, target: str) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(client.message("GET", target, {"X-Forwarded-For": "203.0.113.9", "Connection": "close"}))
        answer = b""
        while block := connection.recv(1 << 16):
            answer += block
    values: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])["values"]
    return values


def test_the_file_is_closed_to_others_and_its_peers_are_trusted_where_they_are_listed(gilkeeper: Start) -> None:
    """Reported: the file was open to everybody, and its peers were trusted whatever WSGITrustedProxies said."""
    root = os.geteuid() == 0
    owner, group = ("#65534", "#65533") if root else (f"#{os.getuid()}", f"#{os.getgid()}")
    server = gilkeeper([APPS / "probes.py"], CONF.replace("OWNED_BY", owner).replace("IN_GROUP", group))
    path = server.root / "web.sock"
    until(path.exists, "the socket is there")
    made = path.stat()
    assert stat.S_IMODE(made.st_mode) == 0o640
    assert (f"#{made.st_uid}", f"#{made.st_gid}") == (owner, group)
    assert environ(path, "/listed/environ")["REMOTE_ADDR"] == "203.0.113.9"
    seen = environ(path, "/other/environ")
    assert (seen["REMOTE_ADDR"], seen.get("HTTP_X_FORWARDED_FOR")) == ("", None)
