"""The application of `gilkeeper dev`: it shows its errors in the browser, and static files of Django are there.

An application that cannot be imported is one that answers with its traceback, so that a broken edit is seen where the developer looks.
"""

import os
import sys

from .callables import find_callable, lone_app, speaks_asgi, usual_callables

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# Seconds after which a source file is old enough for its byte code to be kept.
SETTLED = 2


def develop(script, expression=None):
    """The WSGI application for a file or module, and the name or call of the application in it."""
    # Flask passes exceptions on and looks for changed templates; there is no console in the browser.
    os.environ.setdefault("FLASK_DEBUG", "1")
    keep_no_fresh_byte_code()
    try:
        return WithErrors(with_static_files(load(script, expression)))
    except (Exception, SystemExit) as error:
        shown = Shown(error)
        # In one piece: what `print` writes behind the text would make a message of its own of the last line.
        sys.stderr.write(f"{script} cannot be imported; its traceback is shown until it can\n{shown.text()}\n")
        sys.stderr.flush()
        return Broken(shown)


def load(script, expression):
    module = run(script) if os.path.isabs(script) else import_module(script)
    name = expression or "application"
    if name.isidentifier() and not callable(getattr(module, name, None)) and (expression or not lone_app(module)):
        usual = usual_callables(module).partition(" ")[0]
        hint = f"; it has `{usual}`, which {script}:{usual} names" if usual else ""
        hint = f"; did you mean its module {script}.wsgi?" if usual == ".wsgi" else hint
        raise LookupError(f"{script} has no callable named '{name}'{hint}")
    application = find_callable(module, name)
    if speaks_asgi(application):
        raise TypeError(f"{script} has an ASGI application, and only WSGI is served here; a2wsgi.ASGIMiddleware makes one of the other")
    return application


def keep_no_fresh_byte_code():
    """Python compares the second and the length of a source file with those of its byte code. A file that is saved and formatted within
    a second may have both in common with its version before, and would be served as it was."""
    import time
    from importlib.machinery import SourceFileLoader
    from importlib.util import source_from_cache

    keep = SourceFileLoader.set_data

    def set_data(loader, path, data, **more):
        try:
            if time.time() - os.stat(source_from_cache(path)).st_mtime < SETTLED:
                return
        except (OSError, ValueError):
            pass
        keep(loader, path, data, **more)

    SourceFileLoader.set_data = set_data


def import_module(name):
    import importlib

    return importlib.import_module(name)


def run(path):
    """The module that a file makes, by its own name in `sys.modules` for what looks there."""
    import hashlib
    import types

    name = "_mod_wsgi_" + hashlib.md5(os.fsencode(path), usedforsecurity=False).hexdigest()
    module = types.ModuleType(name)
    module.__file__ = path
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    sys.modules[name] = module
    exec(code, module.__dict__)
    return module


def with_static_files(application):
    """As Django's `runserver`: files of `STATIC_URL`, while DEBUG is on."""
    conf = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return application
    settings = conf.settings
    if "django.contrib.staticfiles" not in settings.INSTALLED_APPS or not settings.STATIC_URL:
        return application
    if not settings.DEBUG:
        print("DEBUG is False, so Django's static files are not served here", file=sys.stderr, flush=True)
        return application
    from django.contrib.staticfiles.handlers import StaticFilesHandler

    return StaticFilesHandler(application)


# === answers ===


class Broken:
    """In place of an application that cannot be imported."""

    def __init__(self, shown):
        self.shown = shown

    def __call__(self, environ, start_response):
        return answer(environ, start_response, self.shown)


class WithErrors:
    """An application whose exceptions become pages."""

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        try:
            result = self.application(environ, start_response)
        except (Exception, SystemExit) as error:
            return failed(environ, start_response, error)
        if isinstance(result, (list, tuple)) or type(result).__name__ == "FileWrapper":
            return result
        return Result(environ, start_response, result)


class Result:
    """The iterable of an application, with a page in place of an exception before the first block."""

    def __init__(self, environ, start_response, result):
        self.environ = environ
        self.start_response = start_response
        self.result = result
        self.blocks = None

    def __iter__(self):
        return self

    def __next__(self):
        try:
            if self.blocks is None:
                self.blocks = iter(self.result)
            return next(self.blocks)
        except StopIteration:
            raise
        except (Exception, SystemExit) as error:
            page = failed(self.environ, self.start_response, error)
            self.blocks = iter(page)
            return next(self.blocks)

    def close(self):
        if hasattr(self.result, "close"):
            self.result.close()


def failed(environ, start_response, error):
    shown = Shown(error)
    # When the head is sent, this raises the exception again, and the server writes it to the log.
    page = answer(environ, start_response, shown, (type(error), error, error.__traceback__))
    what = f"{environ['REQUEST_METHOD']} {environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    environ["wsgi.errors"].write(f"{what} failed\n{shown.text()}\n")
    return page


def answer(environ, start_response, shown, exception=None):
    kind = "text/plain"
    if not is_developer(environ):
        text = "The application failed. Its traceback is in the terminal of gilkeeper dev; browsers on that machine see it here.\n"
    elif "text/html" in environ.get("HTTP_ACCEPT", ""):
        kind, text = "text/html", shown.page()
    else:
        text = shown.text() + "\n"
    body = text.encode("utf-8", "replace")
    headers = [
        ("Content-Type", f"{kind}; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    start_response("500 Internal Server Error", headers, exception)
    return [body]


def is_developer(environ):
    """Source code is shown to clients of this machine only, and to none that a proxy brings."""
    if any(name in environ for name in ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")):
        return False
    address = environ.get("REMOTE_ADDR", "")
    return address.startswith(("127.", "::ffff:127.")) or address in ("", "::1")


# === tracebacks ===


class Shown:
    """An exception with its causes, without the frames of Gilkeeper and of the import system."""

    def __init__(self, error):
        import traceback

        self.exception = traceback.TracebackException.from_exception(error)
        self.own = list(self.fold(self.exception))

    def fold(self, exception):
        """Takes the frames out that tell nothing about the application. All exceptions, the first cause first."""
        import traceback

        before = exception.__cause__ or (None if exception.__suppress_context__ else exception.__context__)
        if before is not None:
            yield from self.fold(before)
        frames = [frame for frame in exception.stack or () if not is_ours(frame.filename)]
        exception.stack = traceback.StackSummary.from_list(frames)
        yield exception

    def text(self):
        return "".join(self.exception.format()).rstrip("\n")

    def page(self):
        from html import escape

        summary = escape("".join(self.exception.format_exception_only()).rstrip("\n"))
        title = summary.strip().rpartition("\n")[2]
        parts = []
        for exception in self.own:
            if exception is not self.exception:
                only = escape("".join(exception.format_exception_only()).rstrip("\n"))
                parts.append(f"<h2>First</h2><pre class=error>{only}</pre>")
            elif len(self.own) > 1:
                parts.append("<h2>Then</h2>")
            parts.extend(frame_of(frame) for frame in exception.stack)
        text = escape(self.text())
        return PAGE.format(title=title, summary=summary, frames="\n".join(parts), text=text)


def is_ours(filename):
    imports = os.path.join("importlib", "__init__.py")
    return filename.startswith((HERE, "<frozen importlib", "<frozen runpy")) or filename == "<gilkeeper>" or filename.endswith(imports)


def is_of_project(filename):
    """No installed package and not the standard library."""
    parts = filename.split(os.sep)
    standard = os.path.dirname(os.__file__) + os.sep
    return "site-packages" not in parts and "dist-packages" not in parts and not filename.startswith((standard, "<"))


def frame_of(frame):
    """A frame with the lines around it; open where it is the project's own."""
    import linecache
    from html import escape

    lines, middle = [], frame.lineno or 1
    for number in range(max(1, middle - 5), middle + 6):
        line = linecache.getline(frame.filename, number)
        if line:
            mark = " class=here" if number == middle else ""
            lines.append(f"<span{mark}>{number:5}  {escape(line.rstrip())}</span>")
    code = "\n".join(lines)
    opened = " open" if is_of_project(frame.filename) else ""
    where = f"{escape(frame.filename)}:{middle} <b>{escape(frame.name)}</b>"
    return f"<details{opened}><summary>{where}</summary><pre>{code}</pre></details>"


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
pre {{ font: 14px/1.4 ui-monospace, monospace; overflow-x: auto; padding: .75rem; background: #8881; border-radius: .4rem; }}
pre.error {{ border-left: .3rem solid #c33; white-space: pre-wrap; }}
summary {{ cursor: pointer; overflow-wrap: anywhere; }}
.here {{ background: #c333; display: inline-block; min-width: 100%; }}
</style>
<h1>The application failed</h1>
<pre class="error">{summary}</pre>
{frames}
<h2>As text</h2>
<pre>{text}</pre>
<p>Shown by gilkeeper dev to browsers on this machine. When a file of the project changes, load this page again.</p>
</html>
"""
