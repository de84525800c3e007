#!/usr/bin/env bash
# gunicorn 27.0.1 hands on a chunked body decoded and still says HTTP_TRANSFER_ENCODING: chunked; dulwich and Bottle decode it again.
#
# So a `git push` above http.postBuffer (1 MiB), which git sends chunked, is a 500 in dulwich 1.2.21, while smaller ones work; an upload
# by `curl -T -` to Bottle 0.13.4 is "400 Error while parsing chunked transfer body". Each reads the header as RFC 9112 means it, and both
# come with servers on which it is right: wsgiref, which decodes nothing. waitress takes the header away and sets CONTENT_LENGTH.
#
# Seen with CPython 3.11.7:  gunicorn: with length 200, chunked 400, push 0.1 MB 0, push 2 MB 1    waitress: 200, 200, 0, 0
set -euo pipefail
. "$(dirname "$0")/shared/server.bash"

install gunicorn==27.0.1 waitress==3.0.2 dulwich==1.2.21 bottle==0.13.4
git init --quiet --bare --initial-branch=main site.git
cat >app.py <<'PY'
import bottle
from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import make_wsgi_chain

repositories = make_wsgi_chain(DictBackend({"/site.git": Repo("site.git")}))
uploads = bottle.Bottle()


@uploads.post("/upload")
def upload():
    return str(len(bottle.request.body.read()))


def application(environ, start_response):
    return (uploads if environ["PATH_INFO"] == "/upload" else repositories)(environ, start_response)
PY
cat >ask.py <<'PY'
import os
import subprocess
import sys

from client import ask

HEAD = b"POST /upload HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n"
bodies = (b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
seen = [int(ask(HEAD + rest).split()[1]) for rest in bodies]
GIT = ["git", "-c", "user.name=ann", "-c", "user.email=ann@site.example"]


def git(*words):
    return subprocess.run([*GIT, *words], cwd="work", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


for name, size in (("small", 100_000), ("large", 2_000_000)):
    subprocess.run(["rm", "-rf", "work"], check=True)
    subprocess.run(["git", "init", "--quiet", "--initial-branch", name, "work"], check=True)
    with open("work/noise", "wb") as noise:
        noise.write(os.urandom(size))
    assert git("add", "noise") == git("commit", "--quiet", "--message", name) == 0
    seen.append(git("push", f"http://127.0.0.1:{sys.argv[1]}/site.git", name))
server = os.environ["SERVER"]
print(f"{server}: with length {seen[0]}, chunked {seen[1]}, push 0.1 MB {seen[2]}, push 2 MB {seen[3]}")
assert seen == ([200, 400, 0, 1] if server == "gunicorn" else [200, 200, 0, 0])
PY
export SERVER GIT_CONFIG_GLOBAL=/dev/null
SERVER=gunicorn
observe venv/bin/gunicorn --bind "127.0.0.1:$port" app:application
rm -rf site.git
git init --quiet --bare --initial-branch=main site.git
SERVER=waitress
observe venv/bin/waitress-serve --listen "127.0.0.1:$port" app:application
