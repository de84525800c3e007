"""Measurements for the application, and reports of garbage collections to the server."""


def start_recording_metrics():
    """Starts the window of request_metrics(). Before, request_metrics() and process_metrics() return None."""
    host.metrics(0)


def metrics(question):
    text = host.metrics(question)
    if text is None:
        return None
    import json

    return json.loads(text)


def request_metrics():
    """Figures of this process's requests since the last call; None if nothing is recorded."""
    return metrics(1)


def process_metrics():
    """Figures of this process since its start; None if nothing is recorded."""
    return metrics(2)


def server_metrics():
    """None: this server has no scoreboard above its processes."""
    return None


def watch_collections(group):
    """Reports garbage collections and new threads of this interpreter from now on, with the group's number on the scoreboard."""
    import gc
    from time import perf_counter_ns

    report, collecting, began = host.collected, host.collecting, 0

    def watch(phase, info):
        nonlocal began
        # The youngest objects are collected often and in no time.
        if info["generation"]:
            collecting(phase == "start")
        if phase == "start":
            began = perf_counter_ns()
        else:
            report(group, info["generation"], perf_counter_ns() - began, info["collected"], info["uncollectable"])

    gc.callbacks.append(watch)
    watch_threads()
    collection_watchers.append(watch)


collection_watchers = []
