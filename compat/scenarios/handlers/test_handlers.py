"""Which file a URL leads to, whether it is a script, and how the URL splits: handlers, targets with a rest, ends of aliases."""

from __future__ import annotations

import pytest
from differs import differs
from harness import Server

SAYS = {
    "/koji": "wsgi.py|/koji|",
    "/koji/": "wsgi.py|/koji|/",
    "/koji/x": "wsgi.py|/koji|/x",
    "/wiki": "wsgi.py|/wiki|/",
    "/wiki/": "wsgi.py|/wiki|/",
    "/wiki/q": "wsgi.py|/wiki|/q",
    "/sub": "a.wsgi|/sub|/prefix",
    "/sub/a": "a.wsgi|/sub|/prefix/a",
    "/t": "a.wsgi||/t",
    "/t/q": "a.wsgi||/t/q",
    "/t/": "a.wsgi||/t/",
    "/tt/": "wsgi.py|/tt/|",
    "/folder/one.py": "one.py|/folder/one.py|",
    "/folder/one.py/x": "one.py|/folder/one.py|/x",
    "/folders/sub/two.py/y": "two.py|/folders/sub/two.py|/y",
    "/fol/one.py": "one.py|/fol/one.py|",
    "/fed/a/b/auth": "a.wsgi||/fed/a/b/auth",
    "/m/": "wsgi.py|/m/|",
    "/all": "wsgi.py|/all|",
    "/all/x/y": "wsgi.py|/all|/x/y",
    "/any/one": "one.py|/any/one|",
    "/any/one/x": "one.py|/any/one|/x",
    "/before/any/one": "one.py|/before/any/one|",
    "/none": "wsgi.py|/none|",
    "/none/x": "wsgi.py|/none|/x",
    "/strict": "wsgi.py|/strict|",
    "/x.py": "x.py|/x.py|",
    "/x.py/": "x.py|/x.py|/",
    "/x.py/a/b": "x.py|/x.py|/a/b",
    "/x.wsgi.html": "x.wsgi.html|/x.wsgi.html|",
    "/x.html.WSGI": "x.html.WSGI|/x.html.WSGI|",
    "/x..py": "x..py|/x..py|",
    "/dir/": "index.py|/dir/index.py|",
    "/dir/?a=b": "index.py|/dir/index.py|",
    "/dir/index.py/z": "index.py|/dir/index.py|/z",
    "/dir//y.py//q": "y.py|/dir/y.py|/q",
    "/idx/": "go.py|/idx/go.py|",
    "/noext": "noext|/noext|",
    "/x.typed/y": "x.typed|/x.typed|/y",
    "/noext/1": "noext|/noext|/1",
    "/": "root\n",
    "/both/": "html\n",
    "/plain.txt": "plain\n",
    "/static/f.txt": "static\n",
    "/target/f.txt": "static\n",
    "/odd/a/": "statica\n",
    "/~static/f.txt": "static\n",
}


@pytest.mark.parametrize("target", SAYS)
def test_says(server: Server, target: str) -> None:
    answer = server.ask(target)
    assert (answer.status, answer.body.decode("latin-1")) == (200, SAYS[target])


def test_what_stands_for_itself_in_a_pattern(server: Server) -> None:
    assert server.ask("/amp/x").body == b"wsgi.py|/amp/x|/&$1"


REFUSED = {
    "/static": 404,
    "/static/": 403,
    "/static/none": 404,
    "/odd/f.txt": 404,
    "/odd/a": 301,
    "/target": 301,
    "/target/": 403,
    "/tt": 404,
    "/tt/x": 404,
    "/gone": 404,
    "/gone/x": 404,
    "/folder": 301,
    "/folder/": 403,
    "/folders/sub": 301,
    "/folders/sub/": 403,
    "/fol": 404,
    "/m": 404,
    "/m/x": 404,
    "/any/onex": 404,
    "/strict/x": 404,
    "/dir": 301,
    "/dir/nope": 404,
    "/open/": 403,
    "/open/z.py": 403,
    "/open/none.py": 403,
    "/plain.txt/x": 404,
    "/nope.py": 404,
    "/nope.py/x": 404,
    "/closed": 403,
    "/closed/one.py": 403,
    "/closed/none.py": 403,
    "/closed/sub": 403,
}


@pytest.mark.parametrize("target", REFUSED)
def test_refused(server: Server, target: str) -> None:
    assert server.ask(target).status == REFUSED[target]


LOGGED = {"/open/z.py": "WSGI0134", "/nope.py": "WSGI0135", "/folder/": "WSGI0136", "/strict/x": "WSGI0137", "/static/": "AH01276"}


@pytest.mark.parametrize("target", LOGGED)
def test_refusals_are_logged(server: Server, target: str) -> None:
    server.mark_log()
    server.ask(target)
    server.wait_log(LOGGED[target])


def test_a_redirect_names_the_path_with_its_slash(server: Server) -> None:
    assert (server.ask("/dir?a=b").get("Location") or "").endswith("/dir/?a=b")


@pytest.mark.parametrize("target", ["/removed/z.py", "/plainly/p.py"])
def test_a_file_whose_handler_was_taken_away(server: Server, target: str) -> None:
    assert server.ask(target).body.startswith(b'"""Says')


@pytest.mark.parametrize("target", ["/served", "/~scripts/one.py"])
def test_what_is_a_script_somewhere_is_no_file(server: Server, target: str) -> None:
    assert server.ask(target).status == differs("Secrets and scripts as files", ours=403, mod_wsgi=200)


def test_a_handler_that_is_not_there(server: Server) -> None:
    assert server.ask("/x.cgi").status == differs("Handlers that are not built", ours=403, mod_wsgi=200)


HANDLED = {
    "/pages/a.bob": "/pages/a.bob||{app}/pages/a.bob|Basic YTpi|handlers||handle_request|bob",
    "/pages/a.bob/x": "/pages/a.bob|/x|{app}/pages/a.bob|Basic YTpi|handlers||handle_request|bob",
    "/pages/none.bob": "/pages/none.bob||{app}/pages/none.bob|Basic YTpi|handlers||handle_request|bob",
    "/pages/none.bob/y": "/pages/none.bob|/y|{app}/pages/none.bob|Basic YTpi|handlers||handle_request|bob",
    "/pages/sub/": "/pages/sub/||{app}/pages/sub/|-|main|ann|handle_request|ann",
    "/pages/sub/c.html": "/pages/sub/c.html||{app}/pages/sub/c.html|-|main|ann|handle_request|ann",
    "/virtual/x": "/virtual|/x|{app}/www/virtual|Basic YTpi|handlers||handle_request|bob",
}


def handled(target: str) -> object:
    """A case of the process group that the handler's script runs in."""
    return pytest.param(target, marks=pytest.mark.group(HANDLED[target].split("|")[4]))


@pytest.mark.parametrize("target", [handled(target) for target in HANDLED])
def test_a_script_answers_for_a_kind_of_files(server: Server, target: str) -> None:
    answer = server.ask(target, headers={"Authorization": "Basic YTpi"})
    app = f"{server.root}/app"
    assert (answer.status, answer.body.decode()) == (200, HANDLED[target].format(app=app) + f"|{app}/handler.py")


def test_files_beside_those_of_a_handler(server: Server) -> None:
    assert server.ask("/pages/b.txt").body == b"text\n"
    assert server.ask("/pages/sub").status == 301
