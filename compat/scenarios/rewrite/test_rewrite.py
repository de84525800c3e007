"""The rewriting engine, conditional sections and macros: where a request goes, and what the application sees of it.

What `says.py` answers is SCRIPT_NAME|PATH_INFO|QUERY_STRING|REQUEST_URI and the variables that are set.
"""

from __future__ import annotations

import pytest
from harness import Server, until

REDIRECTS = {
    ("server.example", "/old/a%20b?x=1"): (301, "http://{host}/new/a%20b?x=1"),
    ("server.example", "/temp?b=2"): (302, "http://{host}/new/temp?a=1&b=2"),
    ("server.example", "/raw"): (302, "http://{host}/new?a=%20b"),
    ("server.example", "/a%20blank%25%3Bz"): (302, "http://{host}/new%20space%25;z"),
    ("server.example", "/away/x?y"): (302, "https://other.example/x?y"),
    ("server.example", "/see"): (303, "http://{host}/other"),
    ("server.example", "/own"): (302, "http://{host}/there.html"),
    ("server.example", "/secure/x?y=1"): (301, "https://{host}/secure/x?y=1"),
    ("server.example", "/old/%0d%0aX:y"): (301, "http://{host}/new/%0d%0aX:y"),
    ("unknown.example", "/old/x"): (301, "http://{host}/new/x"),
    ("place.example", "/old/x"): (301, "http://{host}/new/x"),
    ("place.example", "/sub/moved"): (302, "http://{host}/sub/page.html"),
}

REFUSALS = {
    ("server.example", "/forbidden/x"): 403,
    ("server.example", "/gone"): 410,
    ("server.example", "/teapot"): 404,
    ("server.example", "/pass"): 404,
    ("server.example", "/query/a%20b"): 403,
    ("server.example", "/query/%0a"): 403,
    ("server.example", "/pass/a%3Fb"): 403,
    ("server.example", "/no-pt"): 404,
    ("server.example", "/chain/b"): 404,
    ("server.example", "/absolute-variable"): 404,
    ("server.example", "/endless"): 500,
    ("server.example", "/look/behind"): 404,
    ("server.example", "/host"): 404,
    ("server.example", "/either"): 404,
    ("server.example", "/main-only"): 404,
    ("files.example", "/there.html/x"): 404,
    ("place.example", "/gone"): 410,
    ("place.example", "/loop"): 500,
    ("place.example", "/loop/"): 500,
    ("place.example", "/sub/old/x"): 404,
    ("place.example", "/app/closed/x"): 403,
    ("place.example", "/app/denied"): 403,
    ("inherits.example", "/main-only"): 403,
    ("inherits.example", "/own-only"): 410,
}

SAYS = {
    ("server.example", "/pass/x/y?z=1"): "/app|/x/y|z=1|/pass/x/y?z=1|SCRIPT_URL=/pass/x/y",
    ("server.example", "/pass/x//y/../z"): "/app|/x/z||/pass/x//y/../z|SCRIPT_URL=/pass/x/z",
    ("server.example", "/query/a?z=1"): "/app||q=a&z=1|/query/a?z=1|SCRIPT_URL=/query/a",
    ("server.example", "/query/a%3Fb"): "/app||q=a?b|/query/a%3Fb|SCRIPT_URL=/query/a?b",
    ("server.example", "/escaped/a%20b%26c%3F"): "/app||q=a+b%26c%3f|/escaped/a%20b%26c%3F|SCRIPT_URL=/escaped/a b&c?",
    ("server.example", "/drop?x=1"): "/app|||/drop?x=1|SCRIPT_URL=/drop",
    ("server.example", "/discard?x=1"): "/app|||/discard?x=1|SCRIPT_URL=/discard",
    ("server.example", "/upper/ABC"): "/app|/abc||/upper/ABC|SCRIPT_URL=/upper/ABC",
    ("server.example", "/chain/a"): "/app|/chained||/chain/a|SCRIPT_URL=/chain/a",
    ("server.example", "/skip"): "/app|/skipped||/skip|SCRIPT_URL=/skip",
    ("server.example", "/dash/a-b-c"): "/app|/a_b_c||/dash/a-b-c|SCRIPT_URL=/dash/a-b-c",
    ("server.example", "/CASE"): "/app|/case||/CASE|SCRIPT_URL=/CASE",
    ("server.example", "/look/x"): "/app|/looked/x||/look/x|SCRIPT_URL=/look/x",
    ("alias.example", "/host"): "/app|/example||/host|SCRIPT_URL=/host",
    ("server.example", "/either?id=42"): "/app|/either/42||/either?id=42|SCRIPT_URL=/either",
    ("server.example", "/number?7"): "/app|/seven||/number?7|SCRIPT_URL=/number",
    ("server.example", "/handled.txt/x"): "/handled.txt|/x||/handled.txt/x|HTTP_AUTHORIZATION=|SCRIPT_URL=/handled.txt/x",
    ("server.example", "/last-of-all"): "/app|/end||/last-of-all|SCRIPT_URL=/last-of-all",
    ("server.example", "/tests"): "/app|/tests||/tests|SCRIPT_URL=/tests",
    ("server.example", "/the-request?x=1"): "/app|/1||/the-request?x=1|SCRIPT_URL=/the-request",
    ("server.example", "/app/x"): "/app|/x||/app/x|HTTP_AUTHORIZATION=|SCRIPT_URL=/app/x",
    ("files.example", "/"): "/site.wsgi|/||/|REDIRECT_STATUS=200|REDIRECT_URL=/|SCRIPT_URL=/",
    ("files.example", "/x/y?z=1"): "/site.wsgi|/x/y|z=1|/x/y?z=1|REDIRECT_STATUS=200|REDIRECT_URL=/x/y|SCRIPT_URL=/x/y",
    ("files.example", "/sub/"): "/site.wsgi|/sub/||/sub/|REDIRECT_STATUS=200|REDIRECT_URL=/sub/|SCRIPT_URL=/sub/",
    ("files.example", "/a%20b"): "/site.wsgi|/a b||/a%20b|REDIRECT_STATUS=200|REDIRECT_URL=/a b|SCRIPT_URL=/a b",
    ("files.example", "/site.wsgi"): "/site.wsgi|||/site.wsgi|SCRIPT_URL=/site.wsgi",
    ("files.example", "/site.wsgi/direct"): "/site.wsgi|/direct||/site.wsgi/direct|SCRIPT_URL=/site.wsgi/direct",
    ("place.example", "/to-app/x/y?z=2"): (
        "/app|/x/y|x=1&z=2|/to-app/x/y?z=2|REDIRECT_STATUS=200|REDIRECT_URL=/to-app/x/y|SCRIPT_URL=/to-app/x/y|REDIRECT_mark=1"
    ),
    ("place.example", "/app/off/x"): "/app|/off/x||/app/off/x",
    ("place.example", "/app/marked/z"): "/app|/marked/z||/app/marked/z|SCRIPT_URL=/app/marked/z|mark=/marked/z",
    ("place.example", "/app/x"): "/app|/x||/app/x|SCRIPT_URL=/app/x",
    ("plain.example", "/main-only"): "|/main-only||/main-only",
    ("inherits.example", "/x"): "|/x||/x|SCRIPT_URL=/x",
    ("if.example", "/one"): "|/one||/one|branch=one|stage=if",
    ("if.example", "/two"): "|/two||/two|branch=other|stage=if",
    ("if.example", "/inner"): "|/inner||/inner|branch=other|stage=if",
    ("if.example", "/inner?x"): "|/inner|x|/inner?x|branch=other|mark=query|stage=if",
    ("if.example", "/inner?deep"): "|/inner|deep|/inner?deep|branch=other|mark=deep|stage=if",
    ("macro-one.example", "/"): "|/||/|kind=red",
    ("macro-two.example", "/"): "|/||/|kind=dark blue",
    ("there.example", "/"): "|/||/",
}

FILES = {
    ("server.example", "/page"): "there",
    ("server.example", "/there.html"): "there",
    ("server.example", "/typed"): "there",
    ("server.example", "/absolute"): "other",
    ("files.example", "/there.html"): "there",
    ("files.example", "/sub/page.html"): "sub",
    ("place.example", "/relative"): "there",
    ("place.example", "/sub/inside"): "sub",
    ("place.example", "/other/alias"): "other",
}


@pytest.mark.parametrize(("host", "target"), REDIRECTS)
def test_redirects(server: Server, host: str, target: str) -> None:
    name = f"{host}:{server.port}"
    answer = server.ask(target, host=name)
    status, location = REDIRECTS[host, target]
    assert (answer.status, answer.get("Location")) == (status, location.format(host=name))


@pytest.mark.parametrize(("host", "target"), REFUSALS)
def test_refuses(server: Server, host: str, target: str) -> None:
    assert server.ask(target, host=f"{host}:{server.port}").status == REFUSALS[host, target]


@pytest.mark.parametrize(("host", "target"), SAYS)
def test_says(server: Server, host: str, target: str) -> None:
    answer = server.ask(target, host=f"{host}:{server.port}")
    assert (answer.status, answer.body.decode("latin-1")) == (200, SAYS[host, target])


@pytest.mark.parametrize(("host", "target"), FILES)
def test_serves_a_file(server: Server, host: str, target: str) -> None:
    answer = server.ask(target, host=f"{host}:{server.port}")
    assert (answer.status, answer.body.decode().strip()) == (200, FILES[host, target])


def test_a_redirect_names_the_server_as_it_was_asked_for(server: Server) -> None:
    assert server.ask("/old/x", host="server.example").get("Location") == "http://server.example/new/x"


def test_headers_and_methods_decide(server: Server) -> None:
    def ask(target: str, method: str = "GET", host: str = "server.example", **headers: str) -> str:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = server.ask(target, method, host=f"{host}:{server.port}", headers=given)
        return answer.body.decode("latin-1") if answer.status == 200 else str(answer.status)

    assert ask("/secure", X_Forwarded_Proto="https") == "404"
    assert ask("/either", "POST") == "/app|/either/||/either|SCRIPT_URL=/either"
    assert ask("/kind", X_Kind="BLUE") == "/app|/blue||/kind|SCRIPT_URL=/kind|kind=BLUE"
    assert ask("/expr/q", X_Kind="a") == "/app|/expr-q||/expr/q|SCRIPT_URL=/expr/q"
    assert ask("/app/x", Authorization="Basic eDp5") == "/app|/x||/app/x|HTTP_AUTHORIZATION=Basic eDp5|SCRIPT_URL=/app/x"
    assert ask("/two", host="if.example", X_Kind="blue") == "|/two||/two|branch=blue|stage=if"
    assert ask("/one", "PUT", host="if.example") == "403"


def test_a_directory_gets_its_slash_before_the_rules_of_its_section(server: Server) -> None:
    answer = server.ask("/sub?x=1", host=f"files.example:{server.port}")
    assert answer.status == 301 and (answer.get("Location") or "").endswith("/sub/?x=1")


def test_a_rule_sets_type_and_cookie(server: Server) -> None:
    name = f"server.example:{server.port}"
    assert server.ask("/typed", host=name).get("Content-Type") == "text/x-other"
    assert server.ask("/cookie", host=name).all("Set-Cookie") == ["c=1; path=/; domain=.example.org"]
    cookie = server.ask("/cookie-redirect", host=name).get("Set-Cookie") or ""
    assert cookie.startswith("c=1; path=/p; domain=.example.org; expires=") and cookie.endswith(" GMT; secure; HttpOnly")


def test_caches_are_told_of_the_headers_that_decided(server: Server) -> None:
    def vary(host: str, target: str) -> str | None:
        return server.ask(target, host=f"{host}:{server.port}", headers={"X-Kind": "BLUE"}).get("Vary")

    assert vary("server.example", "/kind") == "X-Kind"
    assert (vary("if.example", "/two"), vary("if.example", "/one")) == ("X-Kind", None)


def test_variables_and_headers_by_expression(server: Server) -> None:
    def ask(target: str) -> tuple[str, str | None]:
        answer = server.ask(target, host=f"plain.example:{server.port}")
        return answer.body.decode("latin-1"), answer.get("X-Expr")

    assert ask("/expr/abc") == ("|/expr/abc||/expr/abc|mark=abc", "GET /expr/abc")
    assert ask("/other") == ("|/other||/other", None)


def test_a_variable_decides_whether_a_request_is_logged(server: Server) -> None:
    name = f"server.example:{server.port}"
    for target in ("/gone", "/teapot"):
        server.ask(target, host=name)
    logs = {path: server.root / f"{path}.log" for path in ("loud", "quiet")}
    until(lambda: all(log.exists() and log.read_text() for log in logs.values()), "both logs have lines")
    until(lambda: "GET /teapot" in logs["loud"].read_text(), "the request is logged")
    assert "GET /gone" not in logs["loud"].read_text()
    assert set(logs["quiet"].read_text().splitlines()) == {"GET /gone"}
