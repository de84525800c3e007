"""The handler of a kind of files: says which file, how its URL was split, and where it runs."""

KEYS = "SCRIPT_NAME PATH_INFO SCRIPT_FILENAME HTTP_AUTHORIZATION"
OWN = "process_group application_group callable_object request_handler handler_script"


def handle_request(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    values = [environ.get(key, "-") for key in KEYS.split()] + [environ["mod_wsgi." + key] for key in OWN.split()]
    return ["|".join(values).encode("latin-1")]
