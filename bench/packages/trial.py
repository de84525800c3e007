"""One try of one package in one kind of interpreter: a process of its own, because a package may end or hang it.

    PYTHON trial.py JOB

JOB is JSON: `kind` (main, legacy, isolated), `imports`, `use` (source), `files` (extension modules whose loading counts), `report` (a file).
A line of JSON for each interpreter, and one more when all of them have ended. Any CPython from 3.11 on runs it.
"""

import json
import os
import sys


def tell(job, told):
    with open(job["report"], "a") as file:
        file.write(json.dumps(told) + "\n")


def tried(job, number):
    """Runs in the interpreter under trial."""
    told = {"number": number, "stage": "import", "error": None}
    tell(job, told)
    space = {"__name__": "tried"}
    try:
        exec(job["imports"], space)
        told["stage"] = "use"
        exec(job["use"], space)
        told["stage"] = "done"
    except BaseException as error:
        told["error"] = " ".join(f"{type(error).__name__}: {error}".split())
    loaded = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    told["parts"] = sorted({os.path.basename(file) for file in loaded if file and os.path.realpath(file) in job["files"]})
    told["gil"] = getattr(sys, "_is_gil_enabled", lambda: True)()
    tell(job, {**told, "over": True})


def main():
    job = json.loads(sys.argv[1])
    if job["kind"] == "main":
        tried(job, 1)
        os._exit(0)
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    isolated = job["kind"] == "isolated"
    made = []
    for number in range(1, 2 if isolated else 3):
        if sys.version_info < (3, 13):
            made.append(interpreters.create(isolated=isolated))
        else:
            made.append(interpreters.create(job["kind"]))
        source = f"import runpy\nrunpy.run_path({__file__!r})['tried']({job!r}, {number})"
        interpreters.run_string(made[-1], source)
    if sys.version_info >= (3, 13):
        # Before, one with threads cannot be entered again, and so not be ended from here.
        for one in made:
            interpreters.destroy(one)
    tell(job, {"ended": True})
    os._exit(0)


if __name__ == "__main__":
    main()
