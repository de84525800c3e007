"""Loading of scripts and modules, and their search path."""


def compile_script(path):
    with open(path, "rb") as file:
        return compile(file.read(), path, "exec", dont_inherit=True)


def run_script(code, path, name, mtime):
    module = types.ModuleType(name)
    module.__file__ = path
    module.__mtime__ = mtime
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    notice_another_filter(path)
    return module


def import_module(name):
    import importlib

    module = importlib.import_module(name)
    notice_another_filter(name)
    return module


def add_paths(paths):
    """Calls `site.addsitedir` for each path and moves new entries to the front of `sys.path`."""
    import site

    before = list(sys.path)
    for path in paths:
        site.addsitedir(path)
    new = [entry for entry in sys.path if entry not in before]
    sys.path[:] = new + before


def insert_home(path):
    sys.path.insert(0, path)


def set_locale(name):
    import locale

    locale.setlocale(locale.LC_ALL, name)


def watch_imports():
    """Reports each extension module that is loaded, so that the server can name one that turns the GIL back on."""
    import _imp

    original = _imp.create_dynamic

    def create_dynamic(spec, file=None):
        host.import_began()
        try:
            return original(spec) if file is None else original(spec, file)
        finally:
            host.import_ended(spec.name)

    create_dynamic.__doc__ = original.__doc__
    _imp.create_dynamic = create_dynamic
