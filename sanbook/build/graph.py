"""Pages as tasks of pytask, and what brings each of them out of date.

A page is executed again when the content of what it depends on changed: its notebook, its
parameters, the bytes of its data, the files and the results of other pages that it reads, a module
that its notebook imports (directly or not), or the version of a library that computes numbers.
Dates, places, prose and modules that it does not import play no part.
"""

import ast
import functools
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import pytask

from sanbook.build import render as rendering
from sanbook.build.engine import run
from sanbook.build.execute import LIBRARIES, ROOT, Specification
from sanbook.build.switches import Switches
from sanbook.data.manifest import MANIFEST, present


@dataclass(frozen=True)
class Page:
    """A page of the book, as a row of the table in ``task_book.py``.

    ``name`` is its place in the book and ``notebook`` its template. ``data`` are the data sets that
    it loads, ``files`` what it reads of the project (a folder stands for all in it), ``reads`` what
    it reads of the results of other pages, and ``leaves`` its own results. A page that is
    ``awaited``, by a long one, starts first, then what is ``long``, and then all others.
    """

    name: str
    notebook: str
    parameters: dict = field(default_factory=dict)
    data: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    awaited: bool = False
    long: bool = False


# --- what a task depends on -----------------------------------------------------------------------


@dataclass
class Contents(pytask.PNode):
    """Files as one node of pytask, whose state is a digest of their names and bytes.

    ``paths`` are files or folders; a folder stands for the files in it, at any depth. What is
    absent is left out, so that the node changes when it appears.
    """

    name: str
    paths: tuple[Path, ...]
    attributes: dict = field(default_factory=dict)

    @property
    def signature(self) -> str:
        """What tells this node from others."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    def state(self) -> str:
        """The digest of what the files hold now."""
        digest = hashlib.sha256()
        for path in self.paths:
            below = [p for p in path.rglob("[!.]*") if p.is_file()] if path.is_dir() else [path]
            for file in sorted(p for p in below if "__pycache__" not in p.parts):
                # pytask remembers the hash of a file for as long as it has the same date.
                content = pytask.get_state_of_path(file)
                digest.update(f"{file.relative_to(path.parent)} {content}\n".encode())
        return digest.hexdigest()

    def load(self, is_product: bool = False) -> None:
        """Tasks read the files themselves."""

    def save(self, value) -> None:
        """Nothing is saved through this node."""


class Made(Contents):
    """That files were made, whatever is in them: who depends on it waits for them and no more."""

    def state(self) -> str | None:
        """The same for any files that are there."""
        return "made" if all(path.exists() for path in self.paths) else None


class Facts(pytask.PythonNode):
    """A value as a node of its own: pytask takes all values of tasks that it is given for one."""

    @property
    def signature(self) -> str:
        """What tells this node from others."""
        return hashlib.sha256(self.name.encode()).hexdigest()


def modules_of(path: Path) -> list[Path]:
    """The project's modules that a notebook or a module imports, directly or not."""
    found: dict[Path, None] = {}
    waiting = [path]
    while waiting:
        for module in imports(waiting.pop()):
            if module not in found:
                found[module] = None
                waiting.append(module)
    return sorted(found)


@functools.cache
def imports(path: Path) -> list[Path]:
    """The project's modules that a notebook or a module names in its import statements.

    Importing a module runs the ``__init__.py`` of every package above it, so these count too.
    """
    source = path.read_text()
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(source)["cells"] if cell["cell_type"] == "code"]
        source = "\n".join("".join(cell["source"]) for cell in cells)
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:  # relative: from the package that holds the module
                package = path.relative_to(ROOT).parts[: -node.level]
                module = ".".join(filter(None, [*package, module]))
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    found = {file: None for name in sorted(names) for file in _files_of(name, path.parent)}
    return list(found)


def _files_of(name: str, folder: Path) -> Iterator[Path]:
    """The files of the project that importing a dotted name runs, from the root or a folder."""
    parts = name.split(".")
    for root in (ROOT, folder):
        for count in range(1, len(parts) + 1):
            place = root.joinpath(*parts[:count])
            yield from (p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file())


# --- tasks ----------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Work(pytask.TaskWithoutPath):
    """A task that only its nodes bring out of date, not where or how its function is written."""

    def state(self) -> str:
        """The same for ever."""
        return "work"


def results_of(switches: Switches) -> Path:
    """Where the pages of a profile leave their results."""
    return ROOT / "_build" / switches.profile / "results"


def specification(page: Page, switches: Switches) -> Specification:
    """How a page is executed."""
    seeds = " ".join(map(str, switches.seeds))
    signal = f" SIGNAL={switches.signal!r} COLUMN={switches.column!r} WINDOW={switches.window}"
    return Specification(
        name=page.name,
        notebook=f"notebooks/{page.notebook}.ipynb",
        parameters=page.parameters,
        folder=f"_build/{switches.profile}",
        inputs=[*page.files, *page.reads],
        command=f"make page PAGE={page.name} PROFILE={switches.profile} DATA={switches.data} "
        f"SEEDS='{seeds}'{signal if switches.signal else ''}",
    )


def page_task(page: Page, switches: Switches) -> Work:
    """The task that executes a page."""
    results, specified = results_of(switches), specification(page, switches)
    notebook = ROOT / specified.notebook
    sources = [MANIFEST[name] for name in page.data]
    folders = tuple(switches.directory / source.folder for source in sources)
    products = (specified.page, specified.provenance, *(results / file for file in page.leaves))
    return Work(
        name=f"{switches.profile}: {page.name}",
        function=functools.partial(run_page, specified, environment(switches)),
        markers=_order(page),
        depends_on={
            "code": Contents(f"code of {page.name}", (notebook, *modules_of(notebook))),
            "data": Contents(f"data of {page.name}", folders),
            "files": Contents(f"files of {page.name}", tuple(ROOT / f for f in page.files)),
            "facts": _facts(page.name, _without_places(page.parameters), sources, _versions()),
            "reads": [_path(results / file) for file in page.reads],
        },
        produces={
            "files": [_path(path) for path in products],
            "made": Made(f"{switches.profile}: {page.name} made", (specified.page,)),
        },
    )


def _order(page: Page) -> list[pytask.Mark]:
    """Whether a page starts before or after the others."""
    if page.awaited:
        return [pytask.mark.try_first.mark]
    return [] if page.long else [pytask.mark.try_last.mark]


def run_page(specified: Specification, environment: dict[str, str], **nodes) -> None:
    """Execute a page in a process of its own; PageError with what it said if it fails."""
    run(
        [sys.executable, "-m", "sanbook.build.execute"],
        environment,
        said=json.dumps(asdict(specified)) + "\n",
    )


def bench_task(others: Iterable[Work], switches: Switches, full: bool) -> Work:
    """The task that measures speed, when nothing else runs any more."""
    program, csv = ROOT / "tools/bench.py", results_of(switches) / "bench.csv"
    command = [sys.executable, str(program), "--data", switches.data, str(csv)]
    threads = str(os.cpu_count() or 1)
    whole_machine = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
    return Work(
        name=f"{switches.profile}: bench",
        function=functools.partial(
            run, [*command, *([] if full else ["--quick"])], environment(switches) | whole_machine
        ),
        depends_on={
            "code": Contents("code of bench", (program, *modules_of(program))),
            "facts": _facts("bench", _versions()),
            # The page that shows the times waits for them, not they for it.
            "others": [
                t.produces["made"] for t in others if _path(csv) not in t.depends_on["reads"]
            ],
        },
        produces={"files": [_path(csv)]},
    )


def book_task(others: Iterable[Work], switches: Switches) -> Work:
    """The task that renders the book of all pages and the prose."""
    # The reference documents the modules.
    sources = (*rendering.SOURCES, "san_core.py", "sanbook")
    html = ROOT / "_build" / switches.profile / "html" / "index.html"
    return Work(
        name=f"{switches.profile}: book",
        function=functools.partial(
            run, [sys.executable, "-m", "sanbook.build.render", "html", switches.profile], {}
        ),
        depends_on={
            "prose": Contents("prose", tuple(ROOT / path for path in sources)),
            "pages": [node for task in others for node in task.produces["files"]],
        },
        produces={"files": [_path(html)]},
    )


def needed_for(wanted: Iterable[Work], tasks: Iterable[Work]) -> list[Work]:
    """The wanted tasks and all that make what they read, directly or not."""
    makers = {node.signature: task for task in tasks for node in _nodes(task.produces)}
    found: dict[str, Work] = {}
    waiting = list(wanted)
    while waiting:
        task = waiting.pop()
        if task.name not in found:
            found[task.name] = task
            read = (node.signature for node in _nodes(task.depends_on))
            waiting += [makers[signature] for signature in read if signature in makers]
    return list(found.values())


def _nodes(tree) -> list:
    return pytask.tree_util.tree_leaves(tree)


def _path(path: Path) -> pytask.PathNode:
    return pytask.PathNode(path=path, name=str(path.relative_to(ROOT)))


def _facts(name: str, *facts) -> Facts:
    """Anything that is no file, as a node whose state is what it prints as."""
    return Facts(name=f"facts of {name}", value=repr(facts), hash=True)


def _without_places(parameters: dict) -> dict:
    return {name: value for name, value in parameters.items() if name not in ("path", "results")}


@functools.cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def environment(switches: Switches) -> dict[str, str]:
    """The environment of a page: where the data are, and its share of the processors."""
    share = str(max(1, (os.cpu_count() or 1) // switches.jobs))
    return {
        "SAN_DATA": str(switches.directory),
        "OMP_NUM_THREADS": share,
        "NUMBA_NUM_THREADS": share,
    }


def fetch_missing(pages: Iterable[Page], switches: Switches) -> None:
    """Fetch what pages need and is not there, several data sets at a time."""
    if switches.data == "sample":
        return
    names = {name for page in pages for name in page.data}
    missing = sorted(name for name in names if not present(name, switches.directory))
    if missing:
        data = [sys.executable, "-m", "sanbook.data", "--data", switches.data, *missing]
        variables = {**os.environ, **environment(switches)}
        subprocess.run(data, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL)
        absent = [name for name in missing if not present(name, switches.directory)]
        if absent:
            print(f"not at hand: {', '.join(absent)}; `make data` says why")
