"""Says where it was found, and the variables that rules have set."""

NAMES = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI")
OWN = ("HTTP_AUTHORIZATION", "REDIRECT_STATUS", "REDIRECT_URL", "SCRIPT_URL", "branch", "kind", "mark", "REDIRECT_mark", "stage")


def application(environ, start_response):
    parts = [environ.get(name, "") for name in NAMES]
    parts += [f"{name}={environ[name]}" for name in OWN if name in environ]
    body = "|".join(parts).encode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
