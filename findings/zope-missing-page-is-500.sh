#!/usr/bin/env bash
# Zope 6.3, composed in Python as its documentation shows (make_wsgi_app): a missing page is a 500, and so is every other 4xx but 401.
#
# The publisher answers Unauthorized itself and lets every other exception without a view out of the application, NotFound and
# BadRequest too. In zope.ini that is the work of a filter with an unsuspicious name, egg:Zope#httpexceptions; who leaves the ini file for
# a wsgi.py, as servers other than waitress want it, leaves it behind. Pages work, and so do logins; links that lead nowhere look like
# faults of the server, with a traceback each. Wrapped in ZPublisher.httpexceptions.HTTPExceptionHandler it is a 404.
#
# Seen with CPython 3.11.7:  bare: / 200, /nothing NotFound raised, /manage_main 401    wrapped: / 200, /nothing 404, /manage_main 401
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install Zope==6.3
mkdir -p instance/var
cat >instance/zope.conf <<E2
instancehome $work/instance
<zodb_db main>
    mount-point /
    <mappingstorage>
    </mappingstorage>
</zodb_db>
E2
venv/bin/python - <<'PY'
from wsgiref.util import setup_testing_defaults

from Zope2.Startup.run import make_wsgi_app
from ZPublisher.httpexceptions import HTTPExceptionHandler

bare = make_wsgi_app({}, "instance/zope.conf")


def ask(application, path):
    environ = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    told = []
    try:
        list(application(environ, lambda status, headers, exc_info=None: told.append(status.split()[0])))
    except Exception as problem:
        return f"{type(problem).__name__} raised"
    return told[0]


PATHS = ("/", "/nothing", "/manage_main")
seen = [[ask(application, path) for path in PATHS] for application in (bare, HTTPExceptionHandler(bare))]
for name, answers in zip(("bare:", "wrapped:"), seen):
    print(name, ", ".join(f"{path} {answer}" for path, answer in zip(PATHS, answers)))
assert seen == [["200", "NotFound raised", "401"], ["200", "404", "401"]]
PY
