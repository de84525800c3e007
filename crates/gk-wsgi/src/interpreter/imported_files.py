"""Notes which source files this interpreter imports, with each one's modification time when it was read.

Run once in each interpreter of a process group whose imported files are watched. What is loaded later is seen, too.
"""

import os
import sys
from importlib.machinery import SourceFileLoader

# The package's own, kept because an application may put others in its place.
stat, getattribute = os.stat, object.__getattribute__
STANDARD = os.path.dirname(getattr(os, "__file__", "")) + os.sep
path_stats_before = SourceFileLoader.path_stats
read = []
names = set()
state = None


def path_stats(loader, path):
    # The import system asks this right before it reads the file: a change after that is seen as one.
    try:
        read.append((path, stat(path).st_mtime_ns))
    except OSError:
        pass
    return path_stats_before(loader, path)


SourceFileLoader.path_stats = path_stats


def watched(path):
    """Whether it is a source file outside the standard library."""
    if not isinstance(path, str) or not path.endswith(".py"):
        return False
    if STANDARD == os.sep or not path.startswith(STANDARD):
        return True
    return path.startswith(("site-packages", "dist-packages"), len(STANDARD))


def own(name):
    """Scripts are watched for themselves, and the server's files are no matter of the application."""
    return name.startswith("_mod_wsgi_") or name == "__main__" or name.partition(".")[0] == "gilkeeper"


def imported():
    """(file, nanoseconds) of what was imported since the last call; -1 where the time of its reading is not known."""
    global state
    found = read[:]
    del read[: len(found)]
    # New names come last: mostly this says that there are none, without a look at thousands of them.
    before = state
    try:
        state = (len(sys.modules), next(reversed(sys.modules)))
    except RuntimeError:
        # Another thread imports at this moment.
        state = None
    modules = {} if state and state == before else sys.modules.copy()
    for name in modules.keys() - names:
        names.add(name)
        try:
            # Not an ordinary look-up: a module that loads itself when it is touched must not do so now.
            if not own(name):
                found.append((getattribute(modules[name], "__dict__").get("__file__"), -1))
        except (AttributeError, TypeError):
            continue
    return tuple((path, time) for path, time in found if watched(path))
