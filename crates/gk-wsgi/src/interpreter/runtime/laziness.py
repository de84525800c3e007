"""Lazy imports (CPython 3.15). First of the files, so that none of the server's own imports waits for a request.

A lazy import is run by whoever uses the name first. With `lazy-imports=eager` it is run where it stands: what cannot be imported is
refused while the old processes still serve, no request pays an import, and no thread waits for one that another thread has begun.
"""

import sys


def import_eagerly():
    """From here on no import of this interpreter is lazy, also none that says so."""
    if hasattr(sys, "set_lazy_imports_filter"):
        sys.set_lazy_imports_filter(lambda importer, name, fromlist: False)


def leave_imports_to_application(before):
    """Gives back the filter that was there before."""
    if not facts["eager_imports"] and hasattr(sys, "set_lazy_imports_filter"):
        sys.set_lazy_imports_filter(before)


filter_before = sys.get_lazy_imports_filter() if hasattr(sys, "get_lazy_imports_filter") else None
import_eagerly()

