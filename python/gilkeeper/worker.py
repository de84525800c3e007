"""Started by the supervisor as a worker process, by the process group's own Python.

That Python may be another one than Gilkeeper is installed in. The extension module beside this file is used when its ABI is
that of this Python; otherwise this Python must have its own gilkeeper.
"""

import sys

NO_PACKAGE = 78  # known to the supervisor: the next attempt would fail in the same way


def load():
    here = __file__.rpartition("/")[0]
    # Applications must not find modules named `front` or `worker` in this directory.
    if sys.path and sys.path[0] == here:
        del sys.path[0]
    from importlib.machinery import EXTENSION_SUFFIXES
    from os.path import exists

    # A bare ".so" says nothing about the ABI.
    if any(suffix != ".so" and exists(f"{here}/_native{suffix}") for suffix in EXTENSION_SUFFIXES):
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location("gilkeeper", f"{here}/__init__.py", submodule_search_locations=[here])
        package = sys.modules["gilkeeper"] = module_from_spec(spec)
        spec.loader.exec_module(package)
    from gilkeeper import _native

    return _native


def refuse(error):
    version = "{}.{}{}".format(*sys.version_info[:2], "t" if "t" in sys.abiflags else "")
    print(f"gilkeeper: the Python of this process group ({sys.executable}, {version}) has no usable gilkeeper ({error}); "
          f"install it there: {sys.executable} -m pip install gilkeeper", file=sys.stderr, flush=True)
    return NO_PACKAGE


if __name__ == "__main__":
    try:
        native = load()
    except ImportError as error:
        sys.exit(refuse(error))
    sys.exit(native.worker())
