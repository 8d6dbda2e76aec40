"""Run tasks side by side: processes that end when they have to, and what the terminal shows."""

import os
import signal
import subprocess
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytask
from pytask_parallel import ParallelBackend, WorkerType, registry
from rich.console import Console
from rich.live import Live
from rich.table import Table

from sanbook.build.execute import ROOT, PageError
from sanbook.build.switches import Switches

_running: set[subprocess.Popen] = set()
_stopped = threading.Event()


def run(command: list[str], environment: dict[str, str], said: str = "", **nodes) -> None:
    """Run a program, which `stop` can end; PageError with what it printed if it fails."""
    if _stopped.is_set():
        raise PageError("interrupted")
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        stdin=subprocess.PIPE,  # held open: a page ends with the process that holds it
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C reaches `stop` alone, which ends all of them
    )
    _running.add(process)
    if _stopped.is_set():  # in between
        process.kill()
    try:
        process.stdin.write(said)
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it has ended; its output says why
    output = process.stdout.read()
    returncode = process.wait()
    process.stdin.close()
    _running.discard(process)
    if returncode:
        raise PageError(output.strip() or f"{command[-1]} ended with {returncode}")


def stop(*_) -> None:
    """End the pages in progress at once, whatever they are doing, and then this program."""
    _stopped.set()
    for process in list(_running):
        process.kill()
    raise KeyboardInterrupt


# --- the engine -----------------------------------------------------------------------------------


class Progress:
    """What the terminal shows: a live table of pages, or a line for each page in a log."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.started: dict[str, float] = {}
        self.live = Live(console=self.console, get_renderable=self._table, refresh_per_second=1)

    def start(self, name: str) -> None:
        """A page begins."""
        self.started[name] = time.monotonic()
        if self.console.is_terminal and not self.live.is_started:
            self.live.start()

    def end(self, name: str, failed: bool) -> None:
        """A page is made, or not."""
        seconds = time.monotonic() - self.started.pop(name)
        self.console.print(f"{seconds:7.1f} s  {name}{'  FAILED' if failed else ''}")

    def close(self) -> None:
        """Nothing runs any more."""
        self.live.stop()

    def _table(self) -> Table:
        table = Table("page", "seconds", title="in progress")
        for name, started in list(self.started.items()):
            table.add_row(name, f"{time.monotonic() - started:.0f}")
        return table


class Watched(Executor):
    """An executor that tells `Progress` when a page begins and ends."""

    def __init__(self, executor: Executor, progress: Progress) -> None:
        self.executor, self.progress = executor, progress

    def submit(self, function, /, *arguments, task: pytask.PTask, **options) -> Future:
        """See `concurrent.futures.Executor`; pytask-parallel passes the task along."""
        self.progress.start(task.name)
        future = self.executor.submit(function, *arguments, task=task, **options)
        future.add_done_callback(
            lambda done: self.progress.end(task.name, _error_of(done) is not None)
        )
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `concurrent.futures.Executor`."""
        self.executor.shutdown(wait=wait)
        self.progress.close()


def _error_of(done: Future):
    return done.exception() or done.result().exc_info


def execute(tasks: list[pytask.PTask], switches: Switches) -> int:
    """Do the tasks that are out of date, in parallel; returns the exit status for the shell.

    With a ``scheduler`` they run on the Dask cluster that it leads and that shares this folder,
    else in ``jobs`` threads, each of which waits for one page.
    """
    progress = Progress()
    kind, workers, executor = WorkerType.THREADS, switches.jobs, ThreadPoolExecutor
    if switches.scheduler:
        import distributed  # only here: it takes a second

        client = distributed.Client(switches.scheduler)
        kind, workers = WorkerType.PROCESSES, sum(client.ncores().values())
        executor = client.get_executor
    registry.register_parallel_backend(
        ParallelBackend.CUSTOM,
        lambda n_workers: Watched(executor(), progress),
        worker_type=kind,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        # pytask says much about itself, which is of interest only if it could not begin.
        with pytask.console.capture() as said:
            session = pytask.build(
                tasks=tasks,
                paths=ROOT / "sanbook",  # below the root, where pytask keeps its state
                task_files=["none"],  # the tasks are given
                verbose=0,
                capture="no",
                parallel_backend="custom",
                n_workers=workers,
            )
    except KeyboardInterrupt:
        return 130
    if _stopped.is_set():
        return 130
    if not session.execution_reports:
        print(said.get())
    return report(session)


def report(session: pytask.Session) -> int:
    """Print why pages failed and which ones need them; returns the exit status."""
    by_outcome: dict[pytask.TaskOutcome, list] = {}
    for done in session.execution_reports:
        by_outcome.setdefault(done.outcome, []).append(done)
    for failed in by_outcome.get(pytask.TaskOutcome.FAIL, []):
        print(f"\n{failed.task.name} failed: {failed.exc_info[1]}")
    waiting = by_outcome.get(pytask.TaskOutcome.SKIP_PREVIOUS_FAILED, [])
    if waiting:
        names = ", ".join(skipped.task.name for skipped in waiting)
        print(f"\nnot made, because they need what failed: {names}")
    made = len(by_outcome.get(pytask.TaskOutcome.SUCCESS, []))
    unchanged = len(by_outcome.get(pytask.TaskOutcome.SKIP_UNCHANGED, []))
    print(f"{made} made, {unchanged} up to date")
    return int(session.exit_code)
