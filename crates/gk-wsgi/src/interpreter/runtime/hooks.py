"""Scripts of access control and dispatch. The front asks one of their functions as it asks an application: environ holds the arguments,
and a header of the response holds the answer as JSON."""

hook_modules = {}
hook_load = threading.Lock()


class HookFailure(Exception):
    """The function gave no answer; the log says why."""


def hook_module(path):
    """The module of a script: loaded at its first use, and again when the file has changed."""
    import hashlib
    import os

    changed = os.stat(path).st_mtime_ns
    with hook_load:
        known = hook_modules.get(path)
        if known is None or known[0] != changed:
            name = "_mod_wsgi_" + hashlib.md5(os.fsencode(path), usedforsecurity=False).hexdigest()
            module = run_script(compile_script(path), path, name, changed // 1000)
            known = hook_modules[path] = changed, module
        return known[1]


def hook_environ(environ, kept):
    """A copy of environ for a function: without the body's entries, the server's own, and the arguments."""
    inner = ("wsgi.", "mod_wsgi.", "gilkeeper.")
    return {key: value for key, value in environ.items() if key in kept or not key.startswith(inner)}


ACCESS_ENTRIES = ("wsgi.errors", "mod_wsgi.version", "mod_wsgi.process_group", "mod_wsgi.application_group")
DISPATCH_ENTRIES = ACCESS_ENTRIES + (
    "mod_wsgi.handler_script",
    "mod_wsgi.listener_host",
    "mod_wsgi.listener_port",
    "mod_wsgi.path_info",
    "mod_wsgi.request_handler",
    "mod_wsgi.request_id",
    "mod_wsgi.script_name",
    "mod_wsgi.server_pid",
)


def text_of_bytes(text):
    """Text whose characters are bytes, as environ has it, as the text that the bytes are."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


class HookScript:
    """A script whose functions the front asks. Each method is a WSGI application."""

    def __init__(self, path):
        self.path = path

    def function(self, name, missing):
        try:
            module = hook_module(self.path)
        except OSError as error:
            host.log("error", f"Script '{self.path}' cannot be read: {error}", "WSGI0105")
            raise HookFailure from None
        function = getattr(module, name, None)
        if function is None:
            host.log("error", f"'{self.path}' has no function named '{name}'", missing)
            raise HookFailure
        return function

    def fail(self, code, text):
        host.log("error", f"{text} ('{self.path}')", code)
        raise HookFailure

    def answer(self, start_response, answer):
        import json

        start_response("200 OK", [("Gilkeeper-Hook", json.dumps(answer)), ("Content-Length", "0")])
        return [b""]

    def guard(self, start_response, ask):
        try:
            answer = ask()
        except HookFailure:
            start_response("500 Internal Server Error", [("Content-Length", "0")])
            return [b""]
        return self.answer(start_response, answer)

    def allow_access(self, environ, start_response):
        def ask():
            function = self.function("allow_access", "WSGI0056")
            result = function(hook_environ(environ, ACCESS_ENTRIES), environ.get("REMOTE_HOST") or environ["REMOTE_ADDR"])
            if result is not None and not isinstance(result, bool):
                self.fail("WSGI0055", f"allow_access must return a bool or None, not {type(result).__name__}")
            return result

        return self.guard(start_response, ask)

    def check_password(self, environ, start_response):
        def ask():
            function = self.function("check_password", "WSGI0043")
            user, password = environ.pop("gilkeeper.hook.user"), environ.pop("gilkeeper.hook.password")
            result = function(hook_environ(environ, ACCESS_ENTRIES), user, password)
            if result is None or isinstance(result, bool):
                return result
            if not isinstance(result, str):
                self.fail("WSGI0177", f"check_password must return a bool, None or a name, not {type(result).__name__}")
            if not result:
                self.fail("WSGI0176", "check_password returned an empty name")
            return text_of_bytes(result)

        return self.guard(start_response, ask)

    def get_realm_hash(self, environ, start_response):
        def ask():
            function = self.function("get_realm_hash", "WSGI0046")
            user, realm = environ.pop("gilkeeper.hook.user"), environ.pop("gilkeeper.hook.realm")
            result = function(hook_environ(environ, ACCESS_ENTRIES), user, realm)
            if result is None:
                return None
            if isinstance(result, bytes):
                result = result.decode("latin-1")
            if not isinstance(result, str):
                self.fail("WSGI0179", f"get_realm_hash must return str, bytes or None, not {type(result).__name__}")
            if not result:
                self.fail("WSGI0178", "get_realm_hash returned nothing")
            return result

        return self.guard(start_response, ask)

    def groups_for_user(self, environ, start_response):
        def ask():
            import json

            function = self.function("groups_for_user", "WSGI0052")
            user = environ.pop("gilkeeper.hook.user")
            wanted = json.loads(environ.pop("gilkeeper.hook.groups").encode("latin-1"))
            result = function(hook_environ(environ, ACCESS_ENTRIES), user)
            try:
                groups = iter(result)
            except TypeError:
                self.fail("WSGI0051", f"the result of groups_for_user cannot be iterated: {type(result).__name__}")
            names = []
            for group in groups:
                if isinstance(group, bytes):
                    group = group.decode("latin-1")
                if not isinstance(group, str):
                    self.fail("WSGI0050", f"groups_for_user must name groups by str or bytes, not {type(group).__name__}")
                names.append(text_of_bytes(group))
            if not names:
                host.log("error", f"user '{user}' belongs to no group, says '{self.path}'", "WSGI0059")
            elif not set(names) & set(wanted):
                host.log("error", f"user '{user}' belongs to none of the required groups, says '{self.path}'", "WSGI0060")
            return [name for name in wanted if name in names]

        return self.guard(start_response, ask)

    def dispatch(self, environ, start_response):
        def ask():
            chosen = {}
            for name in ("process_group", "application_group", "callable_object"):
                try:
                    function = getattr(hook_module(self.path), name, None)
                except OSError as error:
                    self.fail("WSGI0105", f"the dispatch script cannot be read: {error}")
                if function is None:
                    continue
                value = function(hook_environ(environ, DISPATCH_ENTRIES))
                if isinstance(value, bytes):
                    value = value.decode("latin-1")
                if value is None:
                    continue
                if not isinstance(value, str):
                    raise TypeError(f"{name} must return str, bytes or None, not {type(value).__name__}")
                chosen[name] = text_of_bytes(value)
            return chosen

        return self.guard(start_response, ask)
