"""Records source files that this interpreter imports, with their modification times when they were read.

Run once in each interpreter of a process group with watched imports. Later imports are recorded, too.
"""

import os
import sys
from importlib.machinery import SourceFileLoader

# Kept here, as an application may replace them.
stat, getattribute = os.stat, object.__getattribute__
STANDARD = os.path.dirname(getattr(os, "__file__", "")) + os.sep
path_stats_before = SourceFileLoader.path_stats
read = []
names = set()
state = None


def path_stats(loader, path):
    # The import system calls this right before it reads the file, so a later change is noticed.
    try:
        read.append((path, stat(path).st_mtime_ns))
    except OSError:
        pass
    return path_stats_before(loader, path)


SourceFileLoader.path_stats = path_stats


def watched(path):
    """True for a source file outside the standard library."""
    if not isinstance(path, str) or not path.endswith(".py"):
        return False
    if STANDARD == os.sep or not path.startswith(STANDARD):
        return True
    return path.startswith(("site-packages", "dist-packages"), len(STANDARD))


def own(name):
    """True for modules that are not reported: scripts, which are watched separately, and the server's own."""
    return name.startswith("_mod_wsgi_") or name == "__main__" or name.partition(".")[0] == "gilkeeper"


def imported():
    """(file, nanoseconds) of imports since the last call; -1 if the time when the file was read is unknown."""
    global state
    found = read[:]
    del read[: len(found)]
    # New names are at the end, so length and last name mostly show that there are none, without a loop over thousands.
    before = state
    try:
        state = (len(sys.modules), next(reversed(sys.modules)))
    except RuntimeError:
        # Another thread is importing.
        state = None
    modules = {} if state and state == before else sys.modules.copy()
    for name in modules.keys() - names:
        names.add(name)
        try:
            # Not an ordinary attribute access, which would load a lazy module.
            if not own(name):
                found.append((getattribute(modules[name], "__dict__").get("__file__"), -1))
        except (AttributeError, TypeError):
            continue
    return tuple((path, time) for path, time in found if watched(path))
