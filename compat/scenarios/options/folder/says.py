"""Says what a .htaccess file beside it set; answers with a header of any length."""


def application(environ, start_response):
    size = int(environ["QUERY_STRING"] or 1)
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Long", "v" * size)])
    return [environ.get("FROM_HTACCESS", "unset").encode()]
