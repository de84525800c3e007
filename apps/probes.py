"""Probes of PEP 3333: each path does one thing a server must get right, and tells what it saw.

The scenarios of compat/ and the checks of tests/whole/ ask for these by path; `?…` gives the numbers. Nothing here is
lenient on purpose: where a server misbehaves, the answer differs. This is the script that servers mount; it holds the probe
that tells about the script itself, the others are in the package beside it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable

# A script's folder is not on sys.path by itself, and /where tells the path as the server has set it.
FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)
try:
    # Each of these registers its probes.
    import probing.body
    import probing.failure
    import probing.head
    import probing.request
    import probing.waiting
    from probing import PROBES, Environ, Start, answer, text
finally:
    sys.path.remove(FOLDER)


def where(environ: Environ, start: Start) -> Iterable[bytes]:
    """Where this request runs."""
    current = sys.modules.get("mod_wsgi")
    return answer(
        start,
        {
            "pid": os.getpid(),
            "thread": threading.get_ident(),
            "process_group": environ.get("mod_wsgi.process_group"),
            "application_group": environ.get("mod_wsgi.application_group"),
            "module_process_group": getattr(current, "process_group", None),
            "module_application_group": getattr(current, "application_group", None),
            "name": __name__,
            "registered": getattr(sys.modules.get(__name__), "__file__", None),
            "file": __file__,
            "cwd": os.getcwd(),
            "umask": read_umask(),
            "uid": os.getuid(),
            "gid": os.getgid(),
            "lang": os.environ.get("LANG"),
            "lc_all": os.environ.get("LC_ALL"),
            "home": os.environ.get("HOME"),
            "argv": getattr(sys, "argv", None),
            "path": sys.path,
            "prefix": sys.prefix,
            "optimize": sys.flags.optimize,
            "dont_write_bytecode": sys.dont_write_bytecode,
            "hash_seed": os.environ.get("PYTHONHASHSEED"),
            "threads": threading.active_count(),
        },
    )


def read_umask() -> int:
    """This process's umask, read without changing it."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return -1


def application(environ: Environ, start_response: Start) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    # Not in the registry, which all scripts of an interpreter share.
    found = where if path == "/where" else PROBES.get(path)
    if found is None:
        return text(start_response, b"no such probe", status="404 Not Found", headers=[("Content-Length", "13")])
    return found(environ, start_response)
