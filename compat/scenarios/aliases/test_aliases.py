"""Which script answers a URL, and what becomes SCRIPT_NAME and PATH_INFO."""

from __future__ import annotations

import pytest
from differs import differs
from harness import Server

SAYS = {
    "/early/special": "say|/early/special|",
    "/early/special/": "say|/early/special|/",
    "/early/special/more": "say|/early/special|/more",
    "//early//special///more": "say|/early/special|/more",
    "/scripts/one.py": "one|/scripts/one.py|",
    "/scripts/one.py/deep/er": "one|/scripts/one.py|/deep/er",
    "/scripts/two.py/": "two|/scripts/two.py|/",
    "/pattern/one.page": "one|/pattern/one.page|",
    "/pattern/two.page/x": "two|/pattern/two.page|/x",
    "/other-callable/x": "other|/other-callable|/x",
    "/callable/x": "other|/callable|/x",
    "/callable-by-variable": "other|/callable-by-variable|",
    "/callable-unset": "say|/callable-unset|",
    "/early/special/a%20b": "say|/early/special|/a b",
    "/early/special/%e4%f6": "say|/early/special|/\xe4\xf6",
    "/early/special/caf%C3%A9": "say|/early/special|/caf\xc3\xa9",
    "/early/special/a%2Bb+c;d=e%3f~:@": "say|/early/special|/a+b+c;d=e?~:@",
    "/%65arly/sp%65cial/x": "say|/early/special|/x",
    "/early/./special/x": "say|/early/special|/x",
    "/late/../early/special/x": "say|/early/special|/x",
    "/early/special/x/../y": "say|/early/special|/y",
}


@pytest.mark.parametrize("target", SAYS)
def test_says(server: Server, target: str) -> None:
    answer = server.ask(target)
    assert (answer.status, answer.body.decode("latin-1")) == (200, SAYS[target])


PROBES = {"/early/where": "/early", "/late/where": "/late", "/a/b/where": "/a/b"}


@pytest.mark.parametrize("target", PROBES)
def test_probes(server: Server, target: str) -> None:
    assert server.ask(target).status == 200
    values = server.ask(target.replace("where", "environ")).json["values"]
    assert (values["SCRIPT_NAME"], values["PATH_INFO"]) == (PROBES[target], "/environ")


def test_the_first_that_matches_wins_not_the_longest(server: Server) -> None:
    assert server.ask("/late/special/x").body == b"no such probe"


@pytest.mark.parametrize("target", ["/earlyx", "/early-special", "/a", "/a/bc", "/nothing", "/", "/pattern/1.page"])
def test_matches_whole_components_only(server: Server, target: str) -> None:
    answer = server.ask(target)
    assert answer.status == 404 and answer.body != b"no such probe"


def test_the_callable_that_is_missing(server: Server) -> None:
    server.mark_log()
    assert server.ask("/no-callable").status == 500
    server.wait_log("WSGI0089")


def test_the_script_that_is_missing(server: Server) -> None:
    server.mark_log()
    assert server.ask("/gone").status == 404
    server.wait_log("WSGI0135")


def test_the_script_in_the_folder_that_is_missing(server: Server) -> None:
    assert server.ask("/scripts/three.py").status == 404


def test_the_folder_without_a_slash(server: Server) -> None:
    server.mark_log()
    assert server.ask("/folder").status == 301
    assert server.ask("/folder/").status == 403
    server.wait_log("WSGI0136")


def test_a_static_file_beside_the_scripts(server: Server) -> None:
    answer = server.ask("/static/file.txt")
    assert (answer.status, answer.body, answer.get("Content-Length")) == (200, b"a static file", "13")
    assert server.ask("/static/none.txt").status == 404
    assert server.ask("/static/../say.py").status in (400, 403, 404)
    assert server.ask("/static/%2e%2e/say.py").status in (400, 403, 404)
    assert server.ask("/static/file.txt", "HEAD").get("Content-Length") == "13"
    assert server.ask("/static/file.txt", headers={"If-Modified-Since": answer.get("Last-Modified") or ""}).status == 304


@pytest.mark.parametrize("target", ["/early/../../etc", "/../x"])
def test_dots_above_the_root(server: Server, target: str) -> None:
    assert server.ask(target).status in (400, 404)


def test_an_encoded_slash_is_no_slash(server: Server) -> None:
    assert server.ask("/early/special/a%2Fb").status == 404


def test_an_encoded_nul(server: Server) -> None:
    assert server.ask("/early/special/a%00b").status in (400, 404)


def test_a_broken_escape(server: Server) -> None:
    assert server.ask("/early/special/a%zz").status == 400


def test_the_innermost_scope_wins(server: Server) -> None:
    values = server.ask("/env/environ").json["values"]
    assert (values["SCOPE"], values["OUTER"]) == ("inner", "yes")
    assert "SCOPE" not in server.ask("/late/environ").json["values"]


def test_originals_are_kept(server: Server) -> None:
    values = server.ask("//late//environ").json["values"]
    assert (values["SCRIPT_NAME"], values["PATH_INFO"], values["REQUEST_URI"]) == ("/late", "/environ", "//late//environ")
    assert (values["mod_wsgi.script_name"], values["mod_wsgi.path_info"]) == ("/late", "/environ")


@pytest.mark.parametrize("target", ["/static/.env", "/sources/one.py"])
def test_secrets_and_sources_are_no_files(server: Server, target: str) -> None:
    assert server.ask(target).status == differs("Secrets and scripts as files", ours=403, mod_wsgi=200)
