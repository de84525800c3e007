"""The scripts of access control: what they are given, what their answers mean, and how failures close. The dispatch script."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from typing import Any

import pytest
from client import Response
from differs import differs
from harness import Server


def given(server: Server, name: str) -> Any:
    """What a hook was given last."""
    return json.loads((server.root / "data" / name).read_text())


def basic(server: Server, target: str, user: str, password: str) -> Response:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return server.ask(target, headers=[("Authorization", f"Basic {pair}")])


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/access/x?true", 200),
        ("/access/x?none", 200),
        ("/access/x?false", 403),
        ("/access/x?number", 403),
        ("/access/x?text", 403),
        ("/access/x?raises", 403),
        ("/access/denied?true", 403),
        ("/access/any?true", 200),
        ("/access/any?false", 403),
        ("/access/missing?true", 403),
        ("/access/empty?true", 403),
        ("/access/broken?true", 403),
        ("/file?true", 200),
        ("/file?false", 403),
    ],
)
def test_allow_access(server: Server, target: str, status: int) -> None:
    assert server.ask(target).status == status


def test_what_the_access_script_is_given(server: Server) -> None:
    assert server.ask("/access/a%20b?true", headers=[("Authorization", "Basic x")]).status == 200
    environ, host = given(server, "allow_access")
    assert host == environ["REMOTE_ADDR"] == "127.0.0.1"
    assert (environ["REQUEST_METHOD"], environ["REQUEST_URI"]) == ("GET", "/access/a%20b?true")
    assert environ["SCRIPT_NAME"] + environ["PATH_INFO"] == "/access/a b"
    absent = "HTTP_AUTHORIZATION", "CONFIGURED", "wsgi.input", "gilkeeper.hook.password"
    assert [environ[name] for name in absent] == [None] * 4
    assert (environ["mod_wsgi.application_group"], environ["types"]) == ("", ["str"])


@pytest.mark.parametrize(
    ("user", "password", "status", "name"),
    [
        ("bob", "true", 200, "bob"),
        ("bob", "other", 200, "somebody"),
        ("bob", "false", 401, None),
        ("bob", "none", 401, None),
        ("bob", "empty", 500, None),
        ("bob", "number", 500, None),
        ("bob", "bytes", 500, None),
        ("bob", "raises", 500, None),
    ],
)
def test_check_password(server: Server, user: str, password: str, status: int, name: str | None) -> None:
    answer = basic(server, "/user/x", user, password)
    assert answer.status == status
    if name:
        assert (answer.json["REMOTE_USER"], answer.json["AUTH_TYPE"]) == (name, "Basic")
    if status == 401:
        assert answer.get("www-authenticate") == 'Basic realm="user"'


@pytest.mark.parametrize(
    ("target", "group"), [("/user/x", ""), ("/user/named", "named"), ("/user/server", r"localhost(:\d+)?")]
)
def test_what_the_user_script_is_given(server: Server, target: str, group: str) -> None:
    assert basic(server, target, "b\u00f6b", "true").status == 200
    environ, user, password = given(server, "check_password")
    assert (user.encode("latin-1").decode(), password) == ("b\u00f6b", "true")
    assert re.fullmatch(group, environ["mod_wsgi.application_group"])
    assert environ["HTTP_AUTHORIZATION"] is environ["gilkeeper.hook.password"] is environ["CONFIGURED"] is None


@pytest.mark.parametrize(
    ("target", "user", "password", "status"),
    [
        ("/user/group", "bob", "true", 200),
        ("/user/group", "al", "true", 200),
        ("/user/group", "eve", "true", 401),
        ("/user/group", "eve", "other", 200),
        ("/user/group", "none", "true", 401),
        ("/user/group", "number", "true", 401),
        ("/user/group", "empty", "true", 401),
        ("/user/both", "file", "secret", 200),
        ("/user/both", "file", "true", 401),
        ("/user/both", "bob", "true", 200),
        ("/user/empty", "bob", "true", 500),
        ("/no-script", "bob", "true", 500),
        ("/no-group-script", "bob", "true", 401),
    ],
)
def test_groups_and_providers(server: Server, target: str, user: str, password: str, status: int) -> None:
    assert basic(server, target, user, password).status == status


def test_no_password_is_logged_or_shown(server: Server) -> None:
    password = "a-password-nobody-may-read"
    server.mark_log()
    assert basic(server, "/user/x", "bob", password).status == 500
    server.wait_log("WSGI0174")
    # The KeyError of the hook itself shows what it looked for.
    text = re.sub(r"KeyError: .*", "", server.log() + server.console()) + "".join(server.access())
    assert password not in text


def test_a_changed_script_counts_at_once(server: Server) -> None:
    script = server.root / "app" / "hooks.py"
    before, times = script.read_text(), script.stat()
    assert server.ask("/access/x?true").status == 200
    try:
        script.write_text("def allow_access(environ, host):\n    return False\n")
        os.utime(script, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))
        assert server.ask("/access/x?true").status == 403
    finally:
        script.write_text(before)
        os.utime(script, ns=(times.st_atime_ns, times.st_mtime_ns + 2 * 10**9))
    assert server.ask("/access/x?true").status == 200


def test_the_index_of_a_folder_is_not_asked_about_again(server: Server) -> None:
    server.mark_log()
    assert server.ask("/folder/").body == b"the index\n"
    assert server.ask("/folder/last").status == 404
    server.wait_log("asked about /folder/last")
    assert len(re.findall("asked about /folder/$", server.log()[server.read_from :], re.M)) == 1


def digest(challenge: str, target: str, user: str, password: str) -> str:
    nonce = re.search(r'nonce="([^"]*)"', challenge)[1]  # type: ignore[index]
    first, second = (hashlib.md5(text.encode()).hexdigest() for text in (f"{user}:digest:{password}", f"GET:{target}"))
    response = hashlib.md5(f"{first}:{nonce}:00000001:abc:auth:{second}".encode()).hexdigest()
    return (
        f'Digest username="{user}", realm="digest", nonce="{nonce}", uri="{target}", qop=auth, nc=00000001, cnonce="abc", '
        f'response="{response}"'
    )


@pytest.mark.parametrize(
    ("user", "password", "status"),
    [("bob", "secret", 200), ("bob", "wrong", 401), ("bytes", "secret", 200), ("nobody", "secret", 401), ("number", "secret", 500)],
)
def test_get_realm_hash(server: Server, user: str, password: str, status: int) -> None:
    challenge = server.ask("/digest/x").get("www-authenticate")
    assert challenge
    answer = server.ask("/digest/x", headers=[("Authorization", digest(challenge, "/digest/x", user, password))])
    assert answer.status == status
    if status == 200:
        assert (answer.json["REMOTE_USER"], answer.json["AUTH_TYPE"]) == (user, "Digest")
        info = answer.get("authentication-info") or ""
        assert re.fullmatch(r'rspauth="[0-9a-f]{32}", cnonce="abc", nc=00000001, qop=auth', info), info


SEVERAL = pytest.mark.of_daemon_mode("the script chooses another process group")


@pytest.mark.parametrize(
    ("query", "status", "process", "application"),
    [
        ("", 200, "g", ""),
        pytest.param("process_group=h", 200, "h", "", marks=SEVERAL),
        ("process_group=nowhere", 500, None, None),
        ("application_group=mine", 200, "g", "mine"),
        ("application_group=%25{SERVER}", 200, "g", r"localhost(:\d+)?"),
        pytest.param("process_group=h&application_group=mine", 200, "h", "mine", marks=SEVERAL),
        ("application_group=number", 500, None, None),
    ],
)
def test_dispatch_groups(server: Server, query: str, status: int, process: str | None, application: str | None) -> None:
    answer = server.ask(f"/dispatch/x?{query}")
    assert answer.status == status
    if process is not None:
        assert answer.json["mod_wsgi.process_group"] == process
        assert re.fullmatch(application or "", answer.json["mod_wsgi.application_group"])


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/dispatch/x?callable_object=other", 200, b"other"),
        ("/dispatch/x?callable_object=bytes", 200, b"other"),
        ("/dispatch/x?callable_object=nothing", 500, None),
        pytest.param("/dispatch/restricted?process_group=h", 500, None, marks=SEVERAL),
        ("/dispatch/named?callable_object=other", 200, b"other"),
    ],
)
def test_dispatch(server: Server, target: str, status: int, body: bytes | None) -> None:
    answer = server.ask(target)
    assert answer.status == status
    assert body is None or answer.body == body


def test_the_dispatch_script_sees_the_configuration(server: Server) -> None:
    server.mark_log()
    assert server.ask("/dispatch/named?callable_object=other").status == 200
    server.wait_log("asked for callable_object in 'chooser' with yes")


def test_scripts_run_in_a_worker(server: Server) -> None:
    assert server.ask("/access/x?true").status == 200
    environ, _ = given(server, "allow_access")
    assert environ["mod_wsgi.process_group"] == differs("Access scripts run in workers", ours="g", mod_wsgi="")
