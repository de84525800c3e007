"""A script in a folder of scripts."""


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["|".join(["one", environ["SCRIPT_NAME"], environ["PATH_INFO"]]).encode("latin-1")]
