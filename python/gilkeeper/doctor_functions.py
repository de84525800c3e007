"""Modules that functions of the application import, which a request loads and the import of the application does not. `doctor.py` runs this
file by its path, after it has imported the application.

Reads the application's source. Its own modules that only functions import are read as well and not run; installed ones are imported.
"""

import sys

# An application of more modules than this is judged by these.
MOST = 2000


def later(job, kind, tell, one_line):
    """Imports all of them, and then fails as the first one did that failed. In the first trial it finds out which there are."""
    import importlib

    failed = None
    for name in job["later"] or ():
        try:
            importlib.import_module(name)
        except BaseException as error:
            tell("failed", name=name, error=one_line(error))
            failed = failed or error
    if failed:
        raise failed
    if job["later"] is None:
        for values in imports(kind):
            tell("later", **values)


def imports(kind):
    """Imports each; yields those that there were: name, and by, kind, file, line of what asked. `kind(file)`: origin of a file."""
    import importlib

    for name, members, place in named(kind):
        for one in [name, *(f"{name}.{member}" for member in members)]:
            if one in sys.modules:
                continue
            package, _, member = one.rpartition(".")
            if one != name and hasattr(sys.modules.get(package), member):
                continue
            try:
                importlib.import_module(one)
            except BaseException:
                # One that this machine does not have, perhaps for a branch that is never taken, is no fault of another interpreter.
                if one == name:
                    break
                continue
            yield {"name": one, "kind": "application", **place}


def named(kind):
    """What functions import of installed packages: module, names from it, place."""
    origins, read = {}, set()
    # `__main__` is the doctor's own.
    own = [(name, getattr(module, "__file__", None)) for name, module in list(sys.modules.items()) if name != "__main__"]
    waiting = [(name, file, True) for name, file in own if file and file.endswith(".py") and kind(file) == "application"]
    while waiting and len(read) < MOST:
        by, file, functions = waiting.pop(0)
        if file in read:
            continue
        read.add(file)
        package = by if file.endswith("/__init__.py") else by.rpartition(".")[0]
        for name, members, line in statements(file, package, functions):
            top = name.partition(".")[0]
            if top not in origins:
                origins[top] = origin(top, kind)
            where, folder = origins[top]
            if where == "installed":
                yield name, members, {"by": by, "file": file, "line": line}
            elif where == "application":
                later = [name, *(f"{name}.{member}" for member in members)]
                found = [(one, source(one, folder)) for one in later if one not in sys.modules]
                waiting += [(one, path, False) for one, path in found if path]


def origin(top, kind):
    """Origin of a top-level module, and the folder it lies in."""
    import importlib.util
    import os

    module = sys.modules.get(top)
    try:
        spec = getattr(module, "__spec__", None) or importlib.util.find_spec(top)
    except Exception:
        return None, None
    places = list(getattr(spec, "submodule_search_locations", None) or ())
    file = getattr(spec, "origin", None) or (places and places[0] + "/")
    if not file or file in ("built-in", "frozen"):
        return "standard", None
    return kind(file), os.path.dirname(places[0]) if places else os.path.dirname(file)


def source(name, folder):
    """The file of a module of the application that lies below a folder."""
    import os

    path = os.path.join(folder, *name.split("."))
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if os.path.isfile(file)), None)


def statements(file, package, functions):
    """Imports of a file, or only those inside its functions: module, names from it, line."""
    import ast

    try:
        with open(file, "rb") as opened:
            tree = ast.parse(opened.read(), file)
    except (OSError, SyntaxError, ValueError):
        return
    waiting = [(tree, not functions)]
    while waiting:
        node, counts = waiting.pop()
        if counts and isinstance(node, ast.Import):
            yield from ((alias.name, (), node.lineno) for alias in node.names)
        elif counts and isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = parents[: len(parents) + 1 - node.level] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            if name and not (node.level and not package):
                yield name, tuple(alias.name for alias in node.names if alias.name != "*"), node.lineno
        elif counts and isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            name = node.args[0].value
            if called in ("import_module", "__import__") and isinstance(name, str) and name and not name.startswith("."):
                yield name, (), node.lineno
        skipped = isinstance(node, ast.If) and getattr(node.test, "attr", getattr(node.test, "id", "")) == "TYPE_CHECKING"
        inside = counts or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        children = node.orelse if skipped else list(ast.iter_child_nodes(node))
        waiting += [(child, inside) for child in reversed(children)]
