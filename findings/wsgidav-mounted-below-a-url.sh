#!/usr/bin/env bash
# WsgiDAV 4.4.0 below a URL (SCRIPT_NAME /dav): listings lead outside of it, and COPY and MOVE go to the wrong folder or fail.
#
# It finds files by PATH_INFO, as WSGI has it, so GET and PUT work, and nobody looks further. Hrefs of PROPFIND are made without SCRIPT_NAME
# (the client then asks /page.txt, which is another site), and the Destination, a whole URL, is looked up with the mount's /dav as a folder: where
# such a folder exists, MOVE /dav/page.txt to /dav/new.txt answers 201 and puts the file into it. The setting mount_path repeats what the
# server says in each request anyway.
#
# Seen with CPython 3.11.7:  without mount_path: hrefs /page.txt, MOVE 201 to files/dav/new.txt    with: /dav/page.txt, files/new.txt
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install WsgiDAV==4.4.0
venv/bin/python - <<'PY'
import io
import os
import re
from wsgiref.util import setup_testing_defaults

from wsgidav.wsgidav_app import WsgiDAVApp


def look(**settings):
    """The hrefs of a listing, the status of the MOVE, and the files afterwards."""
    folder = f"files{len(settings)}"
    os.makedirs(f"{folder}/dav")
    open(f"{folder}/page.txt", "w").close()
    application = WsgiDAVApp(
        {"provider_mapping": {"/": folder}, "simple_dc": {"user_mapping": {"*": True}}, "logging": {"enable": False}, **settings}
    )

    def ask(method, path, **headers):
        environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "/dav", "PATH_INFO": path, "wsgi.input": io.BytesIO(), "HTTP_HOST": "site.example", **headers}
        setup_testing_defaults(environ)
        told = []
        body = b"".join(application(environ, lambda status, headers, exc_info=None: told.append(status)))
        return int(told[0].split()[0]), body

    hrefs = re.findall(rb"href>([^<]*page.txt)<", ask("PROPFIND", "/", HTTP_DEPTH="1")[1])
    moved = ask("MOVE", "/page.txt", HTTP_DESTINATION="http://site.example/dav/new.txt")[0]
    files = [os.path.relpath(os.path.join(place, name), folder) for place, _, names in os.walk(folder) for name in names]
    return [href.decode() for href in hrefs], moved, files


without, given = look(), look(mount_path="/dav")
print("without mount_path:", *without, "   with:", *given)
assert without == (["/page.txt"], 201, ["dav/new.txt"])
assert given == (["/dav/page.txt"], 201, ["new.txt"])
PY
