#!/usr/bin/env bash
# dulwich 1.2.21: FileSystemBackend("/srv/git") behind its own HTTP application finds no repository: every clone is a 404.
#
# The HTTP application names a repository by its URL, "/site.git", with the slash; the backend joins that to its root, and an absolute
# path replaces the root. What is left lies outside of it and is refused. With the default root "/" the same code works, but then the URL
# is the path on the disk. DictBackend, which takes the names with the slash, serves the repository.
#
# Seen with CPython 3.11.7:  FileSystemBackend -> 404 not inside root    DictBackend -> 200    FileSystemBackend("/") -> 200 at the disk's path
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install dulwich==1.2.21
mkdir -p git/site.git
venv/bin/python - <<'PY'
import os
from wsgiref.util import setup_testing_defaults

from dulwich.repo import Repo
from dulwich.server import DictBackend, FileSystemBackend
from dulwich.web import make_wsgi_chain

root = os.path.abspath("git")
repository = Repo.init_bare(os.path.join(root, "site.git"))


def ask(backend, path):
    environ = {"PATH_INFO": f"{path}/info/refs", "QUERY_STRING": "service=git-upload-pack"}
    setup_testing_defaults(environ)
    told = []
    body = b"".join(make_wsgi_chain(backend)(environ, lambda status, headers, exc_info=None: told.append(status) or told.append))
    return told[0].split()[0], body


of_root = ask(FileSystemBackend(root), "/site.git")
of_dict = ask(DictBackend({"/site.git": repository}), "/site.git")
of_disk = ask(FileSystemBackend(), f"{root}/site.git")
print("FileSystemBackend ->", of_root[0], of_root[1].decode().strip(), "   DictBackend ->", of_dict[0], '   FileSystemBackend("/") ->', of_disk[0])
assert of_root[0] == "404" and b"not inside root" in of_root[1]
assert of_dict[0] == of_disk[0] == "200"
PY
