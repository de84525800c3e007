"""Subscriptions, the events published to them, and data of running requests."""

event_callbacks, shutdown_callbacks, signal_callbacks = [], [], []
active_requests = {}


class RequestTimeout(BaseException):
    """Raised in a request thread when its request has run longer than request-timeout allows."""


def subscribe_events(callback):
    event_callbacks.append(callback)
    return callback


def subscribe_shutdown(callback):
    shutdown_callbacks.append(callback)
    return callback


def subscribe_signals(callback):
    signal_callbacks.append(callback)
    return callback


def publish(name, event, callbacks):
    """Calls each callback with the event. An exception of one is logged, and the next one is called."""
    for callback in list(callbacks):
        try:
            result = callback(name, **event)
            if isinstance(result, dict):
                event.update(result)
        except SystemExit:
            host.log("error", f"SystemExit raised by the subscriber {callback!r} at {name} was ignored", "WSGI0190")
        except BaseException:
            import traceback

            text = f"The subscriber {callback!r} failed at {name}\n{traceback.format_exc()}"
            host.log("error", text, "WSGI0112")


def request_data():
    """The dict of this thread's request, for use by the application."""
    request_id = host.request_id()
    if request_id is None:
        raise RuntimeError("request_data() works only in a thread that serves a request of this application group")
    host.track(active_requests)
    return active_requests.setdefault(request_id, {})


def tracked_requests():
    """`active_requests`, filled from the first call on."""
    host.track(active_requests)
    return active_requests


def list_active_requests():
    """Running requests of this application group in this process."""
    return [{"request_id": key, "request_data": data} for key, data in list(tracked_requests().items())]


class WatchedRequest:
    """A request of an application that subscribed to events. Takes the place of start_response and publishes the events."""

    __slots__ = ("request_id", "data", "application", "start_response", "times", "application_start")

    def __init__(self, environ, application, start_response):
        self.data = request_data()
        self.request_id = environ["mod_wsgi.request_id"]
        self.application_start = environ["mod_wsgi.application_start"]
        self.start_response = start_response
        self.times = {
            "thread_id": environ["mod_wsgi.thread_id"],
            "server_pid": facts["server_pid"],
            "request_start": environ["mod_wsgi.request_start"],
            "queue_start": environ["mod_wsgi.queue_start"],
            "daemon_start": environ["mod_wsgi.daemon_start"],
        }
        event = {
            "request_id": self.request_id,
            "daemon_connects": 1,
            "daemon_restarts": 0,
            **self.times,
            "application_start": self.application_start,
            "application_object": application,
            "callable_object": environ["mod_wsgi.callable_object"],
            "request_environ": environ,
            "request_data": self.data,
        }
        publish("request_started", event, event_callbacks)
        self.application = event["application_object"]

    def __call__(self, status, headers, exc_info=None):
        """start_response for the application."""
        event = {
            "request_id": self.request_id,
            "response_status": status,
            "response_headers": headers,
            "exception_info": exc_info,
            "request_data": self.data,
        }
        publish("response_started", event, event_callbacks)
        return self.start_response(status, headers, exc_info)

    def failed(self, error):
        info = (type(error), error, error.__traceback__)
        event = {"request_id": self.request_id, "exception_info": info, "request_data": self.data}
        publish("request_exception", event, event_callbacks)

    def finished(self, measured):
        import time

        finish = time.time()
        event = {"request_id": self.request_id, **self.times, "application_start": self.application_start, **measured}
        event["application_finish"] = finish
        event["application_time"] = max(finish - self.application_start, 0.0)
        event["request_data"] = self.data
        publish("request_finished", event, event_callbacks)


def stopping(reason):
    """Publishes the end of the process, while the interpreter still works fully."""
    event = {"shutdown_reason": reason}
    publish("process_stopping", event, event_callbacks)
    publish("process_stopping", event, shutdown_callbacks)


def signalled(name, number):
    """Publishes a signal to the process that is free for the application."""
    publish("process_signal", {"signame": name, "signum": number}, signal_callbacks)
