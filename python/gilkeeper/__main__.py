"""The command: `gilkeeper` and `python -m gilkeeper`."""

import _signal  # as `signal`, which every server would keep loaded
import sys


def main():
    try:
        from . import _native
    except ImportError as error:
        version = "{}.{}{}".format(*sys.version_info[:2], "t" if "t" in sys.abiflags else "")
        supported = "CPython 3.11 to 3.15 (free-threaded builds from 3.14t on)"
        print(f"gilkeeper: this is {sys.implementation.name} {version}, and its extension module cannot be loaded "
              f"({error}); Gilkeeper runs on {supported}: install it there again", file=sys.stderr)
        return 2
    # Python's handler of Ctrl+C would only take note of it until the command has ended.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    package_dir = __file__.rpartition("/")[0]
    return _native.main(["gilkeeper", *sys.argv[1:]], sys.executable, package_dir)


if __name__ == "__main__":
    sys.exit(main())
