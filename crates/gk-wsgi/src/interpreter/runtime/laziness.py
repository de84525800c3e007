"""Lazy imports (CPython 3.15). First of the files, so that none of the server's own imports waits for a request.

A lazy import is run by whoever uses the name first. With `lazy-imports=eager` it is run where it stands: what cannot be imported is
refused while the old processes still serve, no request pays an import, and no thread waits for one that another thread has begun.
"""

import sys


def none_is_lazy(importer, name, fromlist):
    return False


def import_eagerly():
    """From here on no import of this interpreter is lazy, also none that says so."""
    if hasattr(sys, "set_lazy_imports_filter"):
        sys.set_lazy_imports_filter(none_is_lazy)


def notice_another_filter(script):
    """Says once that the application has replaced the filter. The server does not set it again: the application may need its own."""
    if not filters_seen and facts["eager_imports"] and hasattr(sys, "get_lazy_imports_filter"):
        if sys.get_lazy_imports_filter() is not none_is_lazy:
            filters_seen.append(script)
            host.log("warn", f"{script} or a module that it imports has called sys.set_lazy_imports_filter(): lazy-imports=eager does not hold from there on")


def leave_imports_to_application(before):
    """Gives back the filter that was there before."""
    if not facts["eager_imports"] and hasattr(sys, "set_lazy_imports_filter"):
        # What a stack is written with. Later, an import of ours would wait for the lock that it is to tell about.
        import linecache  # noqa: F401
        import tokenize  # noqa: F401
        import traceback  # noqa: F401

        from opcode import opname

        opcodes.extend(opname)
        sys.set_lazy_imports_filter(before)


def import_under_way(frame):
    """What a request with this stack imports, or which import it waits for. Only where imports may be lazy: there an import holds the
    lock of all imports, and the others wait. Not in a process without a GIL: a frame may change there while it is read."""
    if not opcodes or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None
    name = lazy_name(frame)
    if name:
        # It has no frame of its own yet: an import of another thread comes first.
        return f"waits for the import lock, to import {name} lazily"
    waits = frame.f_code.co_name in ("acquire", "_get_module_lock", "__enter__") and of_importlib(frame)
    within, lazily = False, False
    while frame is not None:
        if of_importlib(frame):
            within = True
            if frame.f_code.co_name == "_find_and_load":
                # The outermost: what the application asked for.
                name = frame.f_locals.get("name", name)
        elif within:
            within, lazily = False, lazy_name(frame) is not None
        frame = frame.f_back
    if name is None:
        return None
    return f"{'waits for the import lock, to import' if waits else 'imports'} {name}{' lazily' if lazily else ''}"


def of_importlib(frame):
    return frame.f_code.co_filename.startswith("<frozen importlib._bootstrap")


def lazy_name(frame):
    """The module behind the global name that a frame reads just now, if it is imported lazily and not yet there."""
    code, at = frame.f_code.co_code, frame.f_lasti
    if at < 0 or opcodes[code[at]] != "LOAD_GLOBAL":
        return None
    number, before, shift = code[at + 1], at - 2, 8
    while before >= 0 and opcodes[code[before]] == "EXTENDED_ARG":
        number, before, shift = number | code[before + 1] << shift, before - 2, shift + 8
    # Not an ordinary look into the dictionary of a module, which would run the import.
    value = dict.get(frame.f_globals, frame.f_code.co_names[number >> 1])
    return repr(value).strip("<>").partition(" ")[2].strip("'") if type(value).__name__ == "lazy_import" else None


# Whose filter has taken the place of ours.
filters_seen = []
# The names of CPython's instructions; empty where no import is lazy.
opcodes = []
filter_before = sys.get_lazy_imports_filter() if hasattr(sys, "get_lazy_imports_filter") else None
import_eagerly()

