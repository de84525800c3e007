"""Measurements that the application asks for, and garbage collections that the server asks for."""


def start_recording_metrics():
    """Begins the window of request_metrics(); both give None before."""
    host.metrics(0)


def metrics(question):
    text = host.metrics(question)
    if text is None:
        return None
    import json

    return json.loads(text)


def request_metrics():
    """What was measured of requests since the last call, in this process; None where nothing is recorded."""
    return metrics(1)


def process_metrics():
    """What this process has done and used since it began; None where nothing is recorded."""
    return metrics(2)


def server_metrics():
    """None: there is no scoreboard of a server above the processes here."""
    return None


def watch_collections(group):
    """From now on, garbage collections of this interpreter are told of, under the group's number on the scoreboard."""
    import gc
    from time import perf_counter_ns

    report, began = host.collected, 0

    def watch(phase, info):
        nonlocal began
        if phase == "start":
            began = perf_counter_ns()
        else:
            report(group, info["generation"], perf_counter_ns() - began, info["collected"], info["uncollectable"])

    gc.callbacks.append(watch)
    collection_watchers.append(watch)


collection_watchers = []
