"""Behind the proxies that sites have: Debian's HAProxy with the PROXY protocol, its nginx with header fields."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import client
import harness
from harness import APPS, until
from running import Gilkeeper

Start = Callable[..., Gilkeeper]
# The client is another address than the proxy: the whole of 127.0.0.0/8 is there.
CLIENT = "127.0.0.9"

CONF = """
WSGIDaemonProcess main threads=2
WSGIScriptAlias /restricted ${APP}/probes.py process-group=main application-group=%{GLOBAL}
WSGIScriptAlias / ${APP}/probes.py process-group=main application-group=%{GLOBAL}
LogFormat "%{Host}i %m %a %{c}a %>s" seen
CustomLog ${ROOT}/seen.log seen
<Location /restricted>
    Require ip CLIENT
</Location>
Listen 127.0.0.1:PROXIED
Listen unix:${ROOT}/web.sock
RemoteIPProxyProtocol On
<VirtualHost 127.0.0.1:${PORT}>
    ServerName remote.example
    RemoteIPProxyProtocol Off
    RemoteIPHeader X-Forwarded-For
    RemoteIPInternalProxy 127.0.0.1
</VirtualHost>
<VirtualHost 127.0.0.1:${PORT}>
    ServerName trusted.example
    WSGITrustedProxies 127.0.0.1
    WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Proto Forwarded
</VirtualHost>
""".replace("CLIENT", CLIENT)

HAPROXY = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    default-server inter 200ms
listen first
    bind 127.0.0.1:{first}
    server one 127.0.0.1:{proxied} send-proxy
listen second
    bind 127.0.0.1:{second}
    option httpchk HEAD /environ
    server one 127.0.0.1:{proxied} send-proxy-v2 check check-send-proxy
listen files
    bind 127.0.0.1:{files}
    server one unix@{socket} send-proxy-v2
listen plain
    bind 127.0.0.1:{plain}
    server one 127.0.0.1:{proxied} check
"""

SECOND = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
listen second
    bind 127.0.0.1:{second}
    server one 127.0.0.1:{secure} send-proxy-v2
"""

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{server};
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto https;
        }}
        location /forwarded/ {{
            proxy_pass http://127.0.0.1:{server}/;
            proxy_set_header Host $host;
            proxy_set_header Forwarded "$http_forwarded, for=$remote_addr;proto=https;host=www.example";
        }}
    }}
}}
"""


@contextmanager
def running(name: str, arguments: list[str], port: int, log: Path) -> Iterator[None]:
    """A proxy that takes connections."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin")
    assert found, f"{name} is missing; scripts/packages {name} installs it"
    with open(log, "wb") as written:
        process = subprocess.Popen([found, *arguments], stdout=written, stderr=written, stdin=subprocess.DEVNULL)

    def accepts() -> bool:
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(accepts, f"{name} takes connections")
        yield
    finally:
        process.terminate()
        process.wait(20)


def ask(port: int, target: str, host: str, **fields: str) -> tuple[int, bytes]:
    """Status and body; (0, b""): the connection was closed."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    with socket.create_connection(("127.0.0.1", port), 20, (CLIENT, 0)) as connection:
        connection.sendall(client.message("GET", target, {**headers, "Connection": "close"}, host=host))
        answer = b""
        try:
            while block := connection.recv(1 << 16):
                answer += block
        except ConnectionResetError:
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]), body) if head else (0, b"")


def values(port: int, target: str, host: str, **fields: str) -> dict[str, Any]:
    status, body = ask(port, target, host, **fields)
    assert status == 200, (status, body)
    found: dict[str, Any] = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])["values"]
    return found


def test_haproxy_and_nginx_name_the_client(gilkeeper: Start, tmp_path: Path) -> None:
    ports = {name: harness.free_port() for name in ("first", "second", "files", "plain", "proxied", "nginx", "admin")}
    conf = CONF.replace("PROXIED", str(ports["proxied"]))
    server = gilkeeper([APPS / "probes.py"], conf, admin=ports["admin"])
    (tmp_path / "haproxy.cfg").write_text(HAPROXY.format(socket=server.root / "web.sock", **ports))
    with running("haproxy", ["-db", "-f", str(tmp_path / "haproxy.cfg")], ports["first"], tmp_path / "haproxy.log"):
        for name in ("first", "second", "files"):
            until(lambda: ask(ports[name], "/environ", "proxied.example")[0] == 200, f"{name} has found its server", 20)  # noqa: B023
            found = values(ports[name], "/environ", "proxied.example")
            assert found["REMOTE_ADDR"] == CLIENT, name
            assert ask(ports[name], "/restricted/environ", "proxied.example")[0] == 200, name
        # Its own checks come from itself, and are served.
        log = server.root / "seen.log"
        check = until(lambda: re.search(r"^\S+ HEAD .*", log.read_text(), re.M), "a health check is in the log")
        assert re.fullmatch(r"\S+ HEAD 127\.0\.0\.1 127\.0\.0\.1 \d+", check.group()), check.group()
        until(lambda: f"proxied.example GET {CLIENT} 127.0.0.1 200" in log.read_text(), "a request is in the log")
        # A proxy that forgets the header is found at once; that it looks whether the port is open is no trouble.
        assert ask(ports["plain"], "/environ", "proxied.example") == (0, b"")
        server.wait_log(r"GK0035.*begins with something else.*; 1 were so far")
        metrics = client.ask(ports["admin"], "/metrics").body.decode()
        until(
            lambda: "gilkeeper_unproxied_connections_total 1" in client.ask(ports["admin"], "/metrics").body.decode(),
            f"the closed connection is counted\n{metrics}",
        )
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=ports["nginx"], server=server.port))
    with running("nginx", ["-c", str(tmp_path / "nginx.conf")], ports["nginx"], tmp_path / "nginx.log"):
        found = values(ports["nginx"], "/environ", "remote.example", X_Forwarded_For="203.0.113.9")
        assert (found["REMOTE_ADDR"], found["HTTP_X_FORWARDED_FOR"]) == (CLIENT, "203.0.113.9")
        assert ask(ports["nginx"], "/restricted/environ", "remote.example")[0] == 200
        found = values(ports["nginx"], "/environ", "trusted.example", X_Forwarded_For="203.0.113.9")
        assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) == (CLIENT, "https")
        # A client that adds an element of its own, also one that would swallow the proxy's.
        for forged, client_seen in (("for=203.0.113.9;host=evil", CLIENT), ('for="203.0.113.9', "unknown")):
            found = values(ports["nginx"], "/forwarded/environ", "trusted.example", Forwarded=forged)
            assert found["REMOTE_ADDR"] == client_seen, forged
        found = values(ports["nginx"], "/forwarded/environ", "trusted.example")
        assert (found["REMOTE_ADDR"], found["HTTP_HOST"], found["wsgi.url_scheme"]) == (CLIENT, "www.example", "https")
        assert ask(server.port, "/restricted/environ", "remote.example", X_Forwarded_For="127.0.0.8")[0] == 200, "no proxy, believed as itself"


SECURE = """
WSGIDaemonProcess main threads=2
WSGIScriptAlias / ${APP}/probes.py process-group=main application-group=%{GLOBAL}
Listen 127.0.0.1:SECURE
<VirtualHost 127.0.0.1:SECURE>
    ServerName secure.example
    SSLEngine On
    SSLCertificateFile ${ROOT}/certificate.pem
    SSLCertificateKeyFile ${ROOT}/key.pem
    RemoteIPProxyProtocol On
</VirtualHost>
"""


def test_the_header_comes_before_tls(gilkeeper: Start, tmp_path: Path) -> None:
    ports = {name: harness.free_port() for name in ("second", "secure")}
    files = {name: tmp_path / f"{name}.pem" for name in ("certificate", "key")}
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=secure.example", "-addext", "subjectAltName=DNS:secure.example"]
    subprocess.run([*made, "-out", files["certificate"], "-keyout", files["key"]], check=True, capture_output=True, timeout=60)
    conf = SECURE.replace("SECURE", str(ports["secure"])).replace("${ROOT}", str(tmp_path))
    gilkeeper([APPS / "probes.py"], conf)

    def curl(port: int, *more: str) -> subprocess.CompletedProcess[str]:
        command = ["curl", "-sS", "-m", "20", "--cacert", str(files["certificate"]), "--interface", CLIENT, *more]
        command += ["--connect-to", f"secure.example:443:127.0.0.1:{port}", "https://secure.example/environ"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    (tmp_path / "haproxy.cfg").write_text(SECOND.format(**ports))
    with running("haproxy", ["-db", "-f", str(tmp_path / "haproxy.cfg")], ports["second"], tmp_path / "haproxy.log"):
        for told in (curl(ports["second"]), curl(ports["secure"], "--haproxy-protocol")):
            assert told.returncode == 0, told.stderr
            found = json.loads(told.stdout)["values"]
            assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) == (CLIENT, "https")
        assert curl(ports["secure"]).returncode != 0, "TLS without the header"


def test_serve_takes_the_proxy_protocol_as_an_option(gilkeeper: Start) -> None:
    server = gilkeeper([APPS / "probes.py"], arguments=["{app}/probes.py", "--proxy-protocol", "--trust-proxy-header", "X-Forwarded-Proto"])
    answer = server.raw(b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\nGET /environ HTTP/1.0\r\nX-Forwarded-Proto: https\r\n\r\n")
    assert b'"REMOTE_ADDR": "203.0.113.9"' in answer and b'"wsgi.url_scheme": "https"' in answer
