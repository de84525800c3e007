"""The application in a script: `create_app()`, `create_app('x')` and `web.app` beside a plain name, and a lone `app`.

Workers run this text within their own Python part; `doctor.py` runs this file by its path.
"""


def find_callable(module, expression):
    """The value of NAME, NAME.NAME or NAME(literals) in a module. A script that was already asked keeps its application."""
    kept = module.__dict__
    if expression in kept:
        return kept[expression]
    import ast

    try:
        node = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError:
        raise ValueError(f"`{expression}` is no name and no call such as create_app()") from None
    call = node if isinstance(node, ast.Call) else None
    path = node.func if call else node
    names = []
    while isinstance(path, ast.Attribute):
        names.append(path.attr)
        path = path.value
    if not isinstance(path, ast.Name):
        raise ValueError(f"`{expression}` is no name and no call such as create_app()")
    found = module
    for name in (path.id, *reversed(names)):
        found = getattr(found, name)
    if call:
        try:
            positional = [ast.literal_eval(argument) for argument in call.args]
            named = {argument.arg or "": ast.literal_eval(argument.value) for argument in call.keywords}
        except ValueError:
            raise ValueError(f"the arguments of `{expression}` must be literals such as 'x', 1 or True") from None
        found = found(*positional, **named)
    if not callable(found):
        raise TypeError(f"`{expression}` gives {type(found).__name__!r}, which is no WSGI application")
    kept[expression] = found
    return found


def lone_app(module):
    """Makes the `app` of a module without `application` its application. True if there is one."""
    app = getattr(module, "app", None)
    if not callable(app):
        return False
    module.__dict__["application"] = app
    return True


def speaks_asgi(application):
    """Whether it is an async function, or an object whose call is one: what ASGI servers call. A WSGI application is neither."""
    of_coroutine = 0x80
    calls = (application, getattr(type(application), "__call__", None))
    return any(getattr(getattr(call, "__code__", None), "co_flags", 0) & of_coroutine for call in calls)


def usual_callables(module):
    """Names under which the module may hold its application, in one text. After them the module `wsgi` of a package, with a dot."""
    usual = ("application", "app", "wsgi", "wsgi_app", "wsgi_application", "server", "create_app()", "make_app()")
    import os

    found = [name for name in usual if callable(getattr(module, name.rstrip("()"), None))]
    if any(os.path.isfile(os.path.join(folder, "wsgi.py")) for folder in getattr(module, "__path__", ())):
        found.append(".wsgi")
    return " ".join(found)
