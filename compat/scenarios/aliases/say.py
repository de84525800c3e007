"""Says which script and which callable it is, and how it is mounted."""


def answer(name, environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["|".join([name, environ["SCRIPT_NAME"], environ["PATH_INFO"]]).encode("latin-1")]


def application(environ, start_response):
    return answer("say", environ, start_response)


def other(environ, start_response):
    return answer("other", environ, start_response)
