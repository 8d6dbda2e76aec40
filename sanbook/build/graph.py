"""The pages, and what brings each of them out of date.

A page is executed again when the content of what it depends on changed: its notebook, its
parameters, the bytes of its data, the files and the results of other pages that it reads, a module
that its notebook imports (directly or not), or the version of a library that computes numbers.
Dates, places, prose and modules that the notebook does not import play no part.
"""

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sanbook.build.provenance import versions
from sanbook.build.switches import ROOT, Switches
from sanbook.code import modules_of
from sanbook.data.manifest import MANIFEST


@dataclass(frozen=True)
class Page:
    """A page of the book, as a row of the table in ``task_book.py``.

    Attributes:
        name: The page's place in the book, such as "physionet/mitdb".
        notebook: The name of its template in ``notebooks/``; empty if it is that of the page.
        parameters: What is set in the template's cell of parameters.
        data: Names of the data sets that it loads.
        files: Files and folders of the project that it reads; a folder stands for all in it.
        reads: Results of other pages that it reads.
        leaves: Results that it writes.
        long: It computes for long, so it starts before the others.
    """

    name: str
    notebook: str = ""
    parameters: dict = field(default_factory=dict)
    data: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    long: bool = False

    @property
    def template(self) -> Path:
        """The notebook, without outputs."""
        return ROOT / "notebooks" / f"{self.notebook or self.name}.ipynb"

    def executed(self, switches: Switches) -> Path:
        """The executed notebook."""
        return switches.folder / "pages" / f"{self.name}.ipynb"

    def provenance(self, switches: Switches) -> Path:
        """The file that says how the page was made."""
        return switches.results / "provenance" / f"{self.name}.json"

    def products(self, switches: Switches) -> list[Path]:
        """All files that the page leaves."""
        results = [switches.results / file for file in self.leaves]
        return [self.executed(switches), self.provenance(switches), *results]

    def command(self, switches: Switches) -> str:
        """The command that makes the page again."""
        seeds = " ".join(map(str, switches.seeds))
        command = f"make page PAGE={self.name} PROFILE={switches.profile} DATA={switches.data}"
        if switches.signal:
            own = (switches.signal, switches.column, switches.window)
            command += " SIGNAL={!r} COLUMN={!r} WINDOW={}".format(*own)
        return f"{command} SEEDS='{seeds}'"


def key_of(page: Page, switches: Switches) -> str:
    """A digest of all that a page depends on, as it is now."""
    sources = [MANIFEST[name] for name in page.data]
    parameters = {k: v for k, v in page.parameters.items() if k not in ("path", "results")}
    facts = (
        digest([page.template, *modules_of(page.template)]),
        digest(switches.directory / source.folder for source in sources),
        digest(ROOT / file for file in page.files),
        digest(switches.results / file for file in page.reads),
        repr((sources, parameters, versions())),
    )
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def digest(paths: Iterable[Path]) -> str:
    """A digest of the names and bytes of files; a folder stands for the files in it.

    What is absent is left out, so the digest changes when it appears.
    """
    result = hashlib.sha256()
    for path in paths:
        below = path.rglob("[!.]*") if path.is_dir() else [path]
        for file in sorted(p for p in below if p.is_file() and "__pycache__" not in p.parts):
            name, facts = file.relative_to(path.parent).as_posix(), file.stat()
            result.update(f"{name} {_hash(file, facts.st_mtime_ns, facts.st_size)}\n".encode())
    return result.hexdigest()


@functools.cache
def _hash(path: Path, *stamp: int) -> str:
    """The hash of a file, computed once while its date and size (``stamp``) stay."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
