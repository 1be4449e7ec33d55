"""Processes that are forks of one which has imported torch and its like already, so that they need not.

A zygote is single-threaded: it imports, and then forks a child for each job that comes on its stdin. Only on Linux:
elsewhere a fork is not there or not safe."""

import ast
import atexit
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback

from project import HEAVY, PACKAGE

POSSIBLE = sys.platform.startswith("linux") and hasattr(os, "pidfd_open")
USUAL = ("cv2", "av", "matplotlib.pyplot", "IPython", "ipywidgets", "nbdev.process", "nbdev.clean", "execnb.shell")
LIGHT = ("numpy", "cv2", "av", "PIL.Image", "pydantic", "click", "psutil", "fsspec", "fastcore.foundation")


class Nothing:
    "Stands for a zygote that is not there."

    def __enter__(self):
        return None

    def __exit__(self, *_):
        pass


def heavy_imports():
    """What the package's modules import from the heavy packages, anywhere in them: pairs of a module and a name, or
    None."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {(alias.name, None) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found |= {(node.module, alias.name) for alias in node.names}
    return sorted((pair for pair in found if pair[0].split(".")[0] in HEAVY), key=str)


def preload(light=False):
    """Import what most notebooks and modules import, or what those import that need nothing heavy. What is not
    installed is left to those who ask for it."""
    everything = [*((module, None) for module in (*HEAVY, *USUAL)), *heavy_imports()]
    for module, name in [(module, None) for module in LIGHT] if light else everything:
        try:
            loaded = importlib.import_module(module)
            if name:
                getattr(loaded, name)
        except (ImportError, AttributeError):
            pass
    import cv2

    cv2.setNumThreads(1)


def work(function, job):
    """In a fork: a session of its own, no input, everything it says into a file; then the job, or a command in its
    place."""
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    log = os.open(job["log"], os.O_WRONLY)
    for source, target in ((nowhere, 0), (nowhere, 1), (log, 2)):
        os.dup2(source, target)
    if job["command"]:
        os.execv(job["command"][0], job["command"])
    return function(job["argument"])


def leave(work, function, job):
    "End a fork as Python ends, but without taking down a thousand modules, which takes as long as their import."
    status = 1
    try:
        status = int(not work(function, job))
    except SystemExit as wish:
        status = wish.code if isinstance(wish.code, int) else int(wish.code is not None)
        if isinstance(wish.code, str):
            print(wish.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stderr.flush()
        os._exit(status)


def watch(child, timeout):
    "Wait for a child, and end it with all of its children where it takes longer: status or None, processor seconds."
    handle = os.pidfd_open(child)
    ended, _, _ = select.select([handle], [], [], timeout)
    os.close(handle)
    try:
        os.killpg(child, signal.SIGKILL)  # Also what it left behind where it has ended
    except ProcessLookupError:
        pass
    _, status, used = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status) if ended else None, used.ru_utime + used.ru_stime


def load(name):
    "A job: import a module."
    importlib.import_module(name)
    return True


def load_light(name):
    "A job: import a module, which must import nothing heavy."
    importlib.import_module(name)
    if loaded := sorted({*HEAVY} & {*sys.modules}):
        sys.exit(f"{name} imports {', '.join(loaded)}")
    return True


def serve(function):
    "Import, and then fork for each job on stdin. A job passes where `function` returns something true."
    preload(light=function is load_light)
    gc.freeze()  # No collection in a fork looks at what was imported here
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if not child:
            leave(work, function, job)
        print(json.dumps(watch(child, job["timeout"])), flush=True)


class Zygote:
    "A process that forks for each job; one job at a time."

    def __init__(
        self,
        function,  # Module and function of these tools that do a job, such as forks.load
        env,  # Environment of the processes
    ):
        self.function = function
        self.env = env

    def __enter__(self):
        command = [sys.executable, __file__, self.function]
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process = subprocess.Popen(command, env=self.env, stderr=subprocess.DEVNULL, **pipes)
        return self

    def __exit__(self, *_):
        self.process.communicate()

    def run(self, argument, timeout=None, command=None):
        "Do a job, or run a command that needs a fresh process; its status, what it said, and processor seconds."
        with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as log:
            job = dict(argument=argument, timeout=timeout, command=command, log=log.name)
            try:
                print(json.dumps(job), file=self.process.stdin, flush=True)
                answer = self.process.stdout.readline()
            except BrokenPipeError:
                answer = ""
            message = log.read().strip()
        if not answer:
            return 1, f"the process that forks has ended\n{message}", None
        status, processor = json.loads(answer)
        if status is None:
            raise TimeoutError(f"still running after {timeout} s\n{message[-4000:]}")
        return status, message, processor


def run_quietly(command, *, env, timeout=None):
    "Run a command in a session of its own; its status and what it says on stderr."
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)
        with subprocess.Popen([str(part) for part in command], env=env, **quiet) as process:
            try:
                process.wait(timeout)
            except BaseException as failure:
                os.killpg(process.pid, signal.SIGKILL)
                if isinstance(failure, subprocess.TimeoutExpired):
                    raise TimeoutError(f"still running after {timeout} s") from None
                raise
        log.seek(0)
        return process.returncode, log.read().strip()


if __name__ == "__main__":
    module, _, name = sys.argv[1].rpartition(".")
    serve(globals()[name] if module == "forks" else getattr(importlib.import_module(module), name))
