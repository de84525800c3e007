#!/usr/bin/env bash
# WsgiDAV 4.4.0 with LockStorageShelve: from CPython 3.13 on only the thread that loaded it can lock or write; in others it is a 500.
#
# Its locks in a file are what a site with several processes would choose. shelve takes the first of dbm's modules that is there, and
# since 3.13 that is dbm.sqlite3, whose connection refuses every thread but the one that opened it; dbm.gnu, dbm.ndbm and dbm.dumb never
# cared. Nothing fails when the application is loaded, and nothing in a server with one thread. Any shelve that a threaded site
# opens at import has the same fate after the update of Python.
#
# Seen with CPython 3.14.7:  LOCK, PUT and GET in the thread that loaded it: 200 204 200    in another: 500 500 200
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.14)" WsgiDAV==4.4.0
mkdir files
echo text >files/page.txt
venv/bin/python - <<'PY'
import dbm
import io
import sys
import threading
from wsgiref.util import setup_testing_defaults

from wsgidav.wsgidav_app import WsgiDAVApp

application = WsgiDAVApp(
    {
        "provider_mapping": {"/": "files"},
        "simple_dc": {"user_mapping": {"*": True}},
        "logging": {"enable": False},
        "lock_storage": {"class": "wsgidav.lock_man.lock_storage.LockStorageShelve", "kwargs": {"storage_path": "locks"}},
    }
)
LOCK = b"""<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:shared/></D:lockscope>
<D:locktype><D:write/></D:locktype><D:owner>ann</D:owner></D:lockinfo>"""


def ask(method, path, body=b"", **more):
    environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), **more}
    setup_testing_defaults(environ)
    told = []
    answer = application(environ, lambda status, headers, exc_info=None: told.append(status))
    list(answer)
    getattr(answer, "close", lambda: None)()
    return int(told[0].split()[0])


def client():
    return [ask("LOCK", "/page.txt", LOCK, CONTENT_TYPE="application/xml"), ask("PUT", "/other.txt", b"x"), ask("GET", "/page.txt")]


ask("PUT", "/other.txt", b"x")
seen = [client()]
other = threading.Thread(target=lambda: seen.append(client()))
other.start()
other.join()
print(sys.version.split()[0], dbm.whichdb("locks"), "in the thread that loaded it:", *seen[0], "   in another:", *seen[1])
assert dbm.whichdb("locks") == "dbm.sqlite3"
assert seen == [[200, 204, 200], [500, 500, 200]]
PY
