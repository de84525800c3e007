"""TLS as OpenSSL's command and curl see it, with nginx beside it on the same files; sessions over the front's end; memory of idle clients."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import pytest
from client import message
from harness import until
from running import Gilkeeper, memory

Start = Callable[..., Gilkeeper]
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
SETTINGS = """
[ca]
default_ca = d
[d]
database = index
serial = serial
crlnumber = crlnumber
new_certs_dir = .
default_md = sha256
default_crl_days = 30
policy = any
unique_subject = no
copy_extensions = copy
x509_extensions = issued
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[issued]
authorityKeyIdentifier = keyid
"""
APPLICATION = """
def application(environ, start_response):
    names = ("wsgi.url_scheme", "SSL_PROTOCOL", "SSL_CLIENT_VERIFY", "SSL_SESSION_RESUMED", "SSL_CLIENT_S_DN")
    body = "".join(f"{name}={environ.get(name)}\\n" for name in names).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
CONF = """
WSGIDaemonProcess site processes=1 threads=4
WSGIScriptAlias / ${APP}/told.py process-group=site application-group=%%{GLOBAL}
SSLEngine On
SSLCertificateFile %(pki)s/main.pem
SSLCertificateKeyFile %(pki)s/main.key
SSLOptions +StdEnvVars
<VirtualHost *:${PORT}>
    ServerName open.org
    ServerAlias *.wild.org
    SSLEngine On
    SSLCertificateFile %(pki)s/open.pem
    SSLCertificateKeyFile %(pki)s/open.key
    GilkeeperStaplingFile %(pki)s/open.der
</VirtualHost>
<VirtualHost *:${PORT}>
    ServerName closed.org
    SSLEngine On
    SSLCertificateFile %(pki)s/closed.pem
    SSLCertificateKeyFile %(pki)s/closed.key
    SSLCACertificateFile %(pki)s/ca.pem
    SSLCARevocationFile %(pki)s/ca.crl
    SSLCARevocationCheck leaf
    SSLVerifyClient require
</VirtualHost>
<VirtualHost *:${PORT}>
    ServerName new.org
    SSLEngine On
    SSLProtocol TLSv1.3
    SSLCertificateFile %(pki)s/open.pem
    SSLCertificateKeyFile %(pki)s/open.key
</VirtualHost>
"""
NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log nginx.log; events { }
http {
    access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
    server { listen 127.0.0.1:%(port)d ssl default_server; server_name open.org *.wild.org; ssl_protocols TLSv1.2 TLSv1.3;
             ssl_certificate %(pki)s/open.pem; ssl_certificate_key %(pki)s/open.key; ssl_stapling on; ssl_stapling_file %(pki)s/open.der;
             location / { return 200 "done"; } }
    server { listen 127.0.0.1:%(port)d ssl; server_name closed.org; ssl_protocols TLSv1.2 TLSv1.3;
             ssl_certificate %(pki)s/closed.pem; ssl_certificate_key %(pki)s/closed.key; ssl_client_certificate %(pki)s/ca.pem;
             ssl_crl %(pki)s/ca.crl; ssl_verify_client on; location / { return 200 "done"; } }
}
"""


def issue(folder: Path, by: str, name: str, names: str, dates: list[str] | None = None) -> None:
    """A certificate with a key of its own, signed by an authority."""
    dates = dates or ["-startdate", "20200101000000Z", "-enddate", "20980101000000Z"]
    request = ["-config", "settings", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"]
    openssl(folder, "req", *request, "-addext", f"subjectAltName={names}")
    authority = ["-config", "settings", "-batch", "-notext", "-cert", f"{by}.pem", "-keyfile", f"{by}.key"]
    openssl(folder, "ca", *authority, "-in", f"{name}.csr", "-out", f"{name}.pem", *dates)


def openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"openssl {arguments}: {done.stderr}"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority with certificates of each kind, and another one that nobody knows."""
    folder = tmp_path_factory.mktemp("pki")
    (folder / "settings").write_text(SETTINGS)
    (folder / "index").write_text("")
    (folder / "serial").write_text("1001\n")
    (folder / "crlnumber").write_text("01\n")
    for name in ("ca", "other"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}"]
        openssl(folder, "req", "-x509", "-config", "settings", "-extensions", "authority", *KEY, *files)
    past = ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"]
    issue(folder, "ca", "main", "DNS:main.org")
    issue(folder, "ca", "open", "DNS:open.org,DNS:*.wild.org,DNS:new.org")
    issue(folder, "ca", "closed", "DNS:closed.org")
    issue(folder, "ca", "good", "DNS:good")
    issue(folder, "ca", "revoked", "DNS:revoked")
    issue(folder, "ca", "expired", "DNS:expired", past)
    issue(folder, "other", "untrusted", "DNS:untrusted")
    own = ["-config", "settings", "-cert", "ca.pem", "-keyfile", "ca.key"]
    openssl(folder, "ca", *own, "-revoke", "revoked.pem")
    openssl(folder, "ca", *own, "-gencrl", "-out", "ca.crl")
    responder = ["-index", "index", "-CA", "ca.pem", "-issuer", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key"]
    openssl(folder, "ocsp", *responder, "-cert", "open.pem", "-ndays", "7", "-respout", "open.der")
    return folder


@pytest.fixture
def started(gilkeeper: Start, pki: Path, tmp_path: Path) -> Gilkeeper:
    file = tmp_path / "told.py"
    file.write_text(APPLICATION)
    return gilkeeper([file], CONF % {"pki": pki})


@pytest.fixture
def nginx(pki: Path, tmp_path: Path) -> Iterator[int]:
    """nginx on the same files; its port."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    port, folder = harness.free_port(), tmp_path / "nginx"
    folder.mkdir()
    # Started by root, it takes another user, who has to get at its folders.
    for part in (folder, *folder.parents[:2]):
        part.chmod(0o755)
    (folder / "nginx.conf").write_text(NGINX % {"port": port, "pki": pki})
    process = subprocess.Popen([program, "-p", str(folder), "-c", "nginx.conf"], stderr=subprocess.DEVNULL)
    until(lambda: subprocess.run(["curl", "-sk", f"https://127.0.0.1:{port}/"], capture_output=True).returncode == 0, "nginx serves")
    yield port
    process.send_signal(signal.SIGQUIT)
    process.wait(10)


def curl(port: int, pki: Path, name: str, *arguments: str) -> tuple[str, str]:
    """What curl gets: the status, or `refused`; and the body."""
    known = ["--cacert", str(pki / "ca.pem"), "--resolve", f"{name}:{port}:127.0.0.1"]
    command = ["curl", "-s", "-w", "\n%{http_code}", *known, *arguments, f"https://{name}:{port}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    body, status = done.stdout.rsplit("\n", 1)
    return (status, body) if done.returncode == 0 else ("refused", done.stderr)


def s_client(port: int, name: str, *arguments: str, request: str | None = None) -> str:
    """What `openssl s_client` says about a connection."""
    text = request or f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, "-ign_eof", *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, errors="replace")
    return done.stdout + done.stderr


def test_each_client_gets_what_the_host_allows(started: Gilkeeper, nginx: int, pki: Path) -> None:
    certificate = lambda name: ["--cert", str(pki / f"{name}.pem"), "--key", str(pki / f"{name}.key")]
    # What nginx answers 400 it has let in first; here, as with Apache, the handshake fails.
    table = [
        ("TLS 1.2", "open.org", ["--tls-max", "1.2"], "200", "200"),
        ("TLS 1.3", "open.org", ["--tlsv1.3"], "200", "200"),
        ("TLS 1.1", "open.org", ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"], "refused", "refused"),
        ("a host for TLS 1.3, asked with 1.2", "new.org", ["--tls-max", "1.2"], "refused", None),
        ("a host for TLS 1.3", "new.org", [], "200", None),
        ("a wildcard", "x.wild.org", [], "200", "200"),
        ("an unknown name, with the default host's certificate", "unknown.org", [], "refused", "refused"),
        ("the same, unverified", "unknown.org", ["-k"], "200", "200"),
        ("a request for another host", "open.org", ["-H", "Host: closed.org"], "421", "421"),
        ("client certificate: good", "closed.org", certificate("good"), "200", "200"),
        ("missing", "closed.org", [], "refused", "400"),
        ("revoked", "closed.org", certificate("revoked"), "refused", "400"),
        ("expired", "closed.org", certificate("expired"), "refused", "400"),
        ("untrusted", "closed.org", certificate("untrusted"), "refused", "400"),
    ]
    found = []
    for what, name, arguments, ours, theirs in table:
        found.append((what, curl(started.port, pki, name, *arguments)[0], ours))
        if theirs:
            found.append((f"{what}, nginx", curl(nginx, pki, name, *arguments)[0], theirs))
    assert not [row for row in found if row[1] != row[2]], found
    told = curl(started.port, pki, "closed.org", *certificate("good"))[1]
    assert told == (
        "wsgi.url_scheme=https\nSSL_PROTOCOL=TLSv1.3\nSSL_CLIENT_VERIFY=SUCCESS\nSSL_SESSION_RESUMED=Initial\nSSL_CLIENT_S_DN=CN=good\n"
    )
    plain = subprocess.run(["curl", "-s", f"http://127.0.0.1:{started.port}/"], capture_output=True, text=True)
    assert "speaking plain HTTP to an SSL-enabled server port" in plain.stdout
    # A client of TLS 1.1 names no signatures, and is refused for that.
    for alert, arguments in (("handshake failure", ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]), ("certificate required", [])):
        assert f"alert {alert}" in s_client(started.port, "closed.org", *arguments), alert


def test_an_ocsp_response_is_stapled_where_the_client_asks(started: Gilkeeper, nginx: int, pki: Path) -> None:
    verified = ("-CAfile", str(pki / "ca.pem"), "-verify_return_error")
    for server, port in (("ours", started.port), ("nginx", nginx)):
        for version in ("-tls1_2", "-tls1_3"):
            said = s_client(port, "open.org", "-status", version, *verified)
            assert "OCSP Response Status: successful" in said and "Cert Status: good" in said, (server, version, said)
            assert "OCSP response: no response sent" in s_client(port, "closed.org", "-status", version, *verified), (server, version)
            assert "OCSP" not in s_client(port, "open.org", version, *verified), (server, version)


def test_a_session_is_taken_up_again_after_the_front_was_killed(started: Gilkeeper, tmp_path: Path) -> None:
    for version in ("-tls1_2", "-tls1_3"):
        file = str(tmp_path / f"session{version}")
        assert "\nNew, " in s_client(started.port, "open.org", version, "-sess_out", file)
        again = s_client(started.port, "open.org", version, "-sess_in", file)
        assert "\nReused, " in again and "SSL_SESSION_RESUMED=Resumed" in again, version
        front = started.front()
        os.kill(front, signal.SIGKILL)
        until(lambda: (there := started.status()["front"]) and there["pid"] != front, "another front serves", 20)  # noqa: B023
        again = s_client(started.port, "open.org", version, "-sess_in", file)
        assert "\nReused, " in again and "SSL_SESSION_RESUMED=Resumed" in again, f"{version} after the front's end: {again}"


def hello(name: str) -> bytes:
    """What a client sends first."""
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(received, sent, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


STORM = """
Listen 127.0.0.1:%(port)d
WSGIDaemonProcess site
WSGIScriptAlias /app ${APP}/told.py process-group=site application-group=%%{GLOBAL}
Alias /file ${APP}/told.py.txt
<VirtualHost *:%(port)d>
    SSLEngine On
    SSLCertificateFile %(folder)s/rsa.pem
    SSLCertificateKeyFile %(folder)s/rsa.key
</VirtualHost>
"""


def test_a_storm_of_handshakes_is_served_beside_requests(gilkeeper: Start, tmp_path: Path) -> None:
    """Reported: handshakes are made on the thread that serves requests, which waited for all that came before them."""
    for name in ("told.py", "told.py.txt"):
        (tmp_path / name).write_text(APPLICATION)
    files = ["-keyout", "rsa.key", "-out", "rsa.pem"]
    openssl(tmp_path, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a", "-days", "2", *files)
    port, number, first = harness.free_port(), 200, hello("a")
    server = gilkeeper([tmp_path / "told.py", tmp_path / "told.py.txt"], STORM % {"port": port, "folder": tmp_path})
    parts = []
    for _ in range(5):
        with server.connect() as plain:
            clients = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(number)]
            until(lambda: server.status()["front"]["connections"] == number + 1, "all are accepted")
            assert server.ask("/file").status == 200
            begun = time.monotonic()
            for one in clients:
                one.sendall(first)
            plain.send(message("GET", "/file"))
            answer = plain.response()
            waited = time.monotonic() - begun
            assert (answer.status, answer.body) == (200, APPLICATION.encode())
            # 0x16: a handshake.
            assert all(one.recv(1) == b"\x16" for one in clients)
            parts.append(waited / (time.monotonic() - begun))
            for one in clients:
                one.close()
    assert min(parts) < 0.5, parts


def test_idle_clients_keep_little_memory(started: Gilkeeper, pki: Path) -> None:
    number, each = 400, 32
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    front = started.front()

    def client() -> ssl.SSLSocket:
        own = context.wrap_socket(socket.create_connection(("127.0.0.1", started.port)), server_hostname="open.org")
        own.sendall(b"GET / HTTP/1.1\r\nHost: open.org\r\n\r\n")
        assert own.recv(4096).startswith(b"HTTP/1.1 200")
        return own

    some = [client() for _ in range(20)]
    before = memory(front)
    many = [client() for _ in range(number)]
    # hyper's buffers go once they sleep.
    grown = lambda: (memory(front) - before) // number
    print(f"{until(lambda: grown() if grown() <= each * 1024 else None, 'idle clients keep little')} bytes for each idle client")
    for own in (*some, *many):
        own.close()
