"""Make pages side by side: doit does what is out of date, in the order of the tasks.

doit keeps the key of each page in ``_build/<profile>/doit.json``.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil
from doit.control import TaskControl
from doit.dependency import Dependency, JsonDB
from doit.exceptions import TaskFailed, UnmetDependency
from doit.reporter import ZeroReporter
from doit.runner import MThreadRunner
from doit.task import Task

from sanbook.build.execute import PageError, execute_page
from sanbook.build.graph import Page, key_of
from sanbook.build.switches import Switches


def page_tasks(pages: Iterable[Page], switches: Switches, forced: str = "") -> list[Task]:
    """A task for each page; the page ``forced`` is made in any case.

    The pages whose results a long page reads come first, then the long ones.
    """
    makers = {file: page.name for page in pages for file in page.leaves}
    awaited = {makers[file] for page in pages if page.long for file in page.reads}
    return [
        task(
            page.name,
            lambda page=page: execute_page(page, switches),
            lambda page=page: key_of(page, switches),
            page.products(switches),
            sorted({makers[file] for file in page.reads}),
            forced=switches.fresh or page.name == forced,
        )
        for page in sorted(pages, key=lambda page: (page.name not in awaited, not page.long))
    ]


def task(
    name: str,
    make: Callable[[], None],
    key: Callable[[], str],
    products: Iterable[Path],
    after: Iterable[str] = (),
    forced: bool = False,
) -> Task:
    """A task that runs if its key changed since it last succeeded, or a product is not there.

    The key is taken when the tasks in ``after`` are done, just before ``make`` is called.
    """

    def act() -> TaskFailed | None:
        try:
            make()
        except PageError as error:
            return TaskFailed(str(error))
        except OSError as error:
            return TaskFailed(f"{error}; mend that and run make again, which makes what is missing")

    def unchanged(task: Task, values: dict) -> bool:
        now = key()
        task.value_savers.append(lambda: {"key": now})
        return not forced and values.get("key") == now

    return Task(
        name,
        actions=[act],
        targets=[str(path) for path in products],
        task_dep=list(after),
        uptodate=[unchanged],
        io={"capture": False},  # capturing replaces sys.stdout for all threads
    )


class Keys(JsonDB):
    """The keys of tasks in a file that is written whole or not at all."""

    def dump(self) -> None:
        """Write the file."""
        unfinished = Path(f"{self.name}.unfinished")
        unfinished.write_text(json.dumps(self._db))
        os.replace(unfinished, self.name)


class Runner(MThreadRunner):
    """Runs tasks in threads; a key is on disk as soon as its task is done."""

    def process_task_result(self, node, base_fail) -> None:
        """See `doit.runner.Runner`."""
        super().process_task_result(node, base_fail)
        self.dep_manager.backend.dump()


class Report(ZeroReporter):
    """A line for each page that begins, ends or fails, and at the end what was not made."""

    def __init__(self) -> None:
        self.started: dict[str, float] = {}
        self.made = self.unchanged = 0
        self.failures: dict[str, str] = {}
        self.waiting: list[str] = []

    def execute_task(self, task: Task) -> None:
        """A page begins."""
        self.started[task.name] = time.monotonic()
        print(f"       ...  {task.name}", flush=True)

    def add_success(self, task: Task) -> None:
        """A page is made."""
        self.made += 1
        self._end(task)

    def skip_uptodate(self, task: Task) -> None:
        """A page is as it was."""
        self.unchanged += 1

    def add_failure(self, task: Task, fail) -> None:
        """A page is not made, or not begun."""
        if isinstance(fail, UnmetDependency):
            self.waiting.append(task.name)
        else:
            self.failures[task.name] = fail.get_msg().strip()
            self._end(task, "  FAILED")

    def complete_run(self) -> None:
        """Nothing runs any more."""
        for name, said in self.failures.items():
            print(f"\n{name} failed: {said}")
        if self.waiting:
            names = ", ".join(self.waiting)
            print(f"\nnot made, because they need what failed: {names}")
        print(f"{self.made} made, {self.unchanged} up to date", flush=True)

    def _end(self, task: Task, said: str = "") -> None:
        seconds = time.monotonic() - self.started.get(task.name, time.monotonic())
        print(f"{seconds:8.1f} s  {task.name}{said}", flush=True)


def run(tasks: list[Task], switches: Switches) -> int:
    """Do what is out of date; returns the exit status for the shell.

    ``jobs`` pages are made at a time, each by a thread that waits for its kernel. An interrupt ends
    the pages in progress at once, and then this program.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    switches.folder.mkdir(parents=True, exist_ok=True)
    control = TaskControl(tasks)
    control.process(None)  # all of them
    keys = Dependency(Keys, str(switches.folder / "doit.json"))
    runner = Runner(keys, Report(), continue_=True, num_process=switches.jobs)
    try:
        return int(runner.run_all(control.task_dispatcher()) != 0)
    except KeyboardInterrupt:
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(130)
