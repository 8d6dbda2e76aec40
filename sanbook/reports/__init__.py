"""What each page computes and says: one module for each notebook, with one class for its page.

A notebook shows the science: it loads, trains, chooses and measures in a few visible lines. Its
report takes what they gave. Each method of the report is a section and returns a
`sanbook.show.Shown`. ``write_results`` leaves the results of the page for other pages, and does
nothing without a folder. So a notebook reads::

    reports.check(globals())        # refuses a wrong parameter in one sentence
    recording = sanbook.data.load(database)
    trained = {a: sweep(recording, a, kernel_sizes) for a in ACTIVATIONS}
    report = physionet.Report(recording, trained, ...)
    report.findings()
    report.write_results(results)   # the last cell, tagged remove-cell

A section draws its figure itself, under ``@figures.style()``. Figures of several
pages are in `sanbook.show.figures`. No sentence is put together in a notebook.

A report reads the results of other pages in the folder that the notebook names, else in the last
build. If there are none, the report falls back on the committed reference results where they
suffice, or trains. The page says which.
"""

import ast
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

import sanbook.data
from sanbook import show
from sanbook.data import DATABASES, MODES, NAMES
from sanbook.data.dataset import DataSet
from sanbook.data.verify import listed
from sanbook.files import write_table
from sanbook.reproduction.results import PROFILES, find, write_record
from sanbook.show.names import NAMES as FUNCTIONS
from sanbook.show.names import START_WORDS

if TYPE_CHECKING:  # some pages need neither
    from matplotlib.figure import Figure
    from torch import Tensor

LABELLED = tuple(name for name in NAMES if name not in DATABASES)


# --- the parameters of a notebook -----------------------------------------------------------------


class ParameterError(ValueError):
    """A parameter of a notebook is wrong; Jupyter shows the message without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def check(namespace: Mapping) -> None:
    """Refuse the parameters of a notebook that cannot be used.

    Args:
        namespace: the ``globals()`` of the notebook. Parameters are known by their names; in
            Jupyter also the cells that were executed, among them the one that papermill injects.

    Raises:
        ParameterError: a value has the wrong type or is none of those allowed, a folder is absent,
            or papermill was given a parameter that the notebook does not have.

    >>> check({"profile": "quick", "seeds": [0, 1]})
    >>> check({"database": "mnist"})
    Traceback (most recent call last):
        ...
    sanbook.reports.ParameterError: database: 'mnist' cannot be used. Give one of apnea-ecg, ...
    """
    cells = namespace.get("In", [])
    known = _assigned(cells, ast.AnnAssign)
    given = _assigned([cell for cell in cells if cell.startswith("# Parameters\n")], ast.Assign)
    if unknown := sorted(given - known):
        raise ParameterError(
            f"{', '.join(unknown)}: the notebook has no such parameter. Choose from "
            f"{', '.join(sorted(known))}."
        )
    for name, (test, expected) in _PARAMETERS.items():
        if name in namespace and not test(namespace[name]):
            raise ParameterError(f"{name}: {namespace[name]!r} cannot be used. Give {expected}.")


def _assigned(cells: Sequence[str], kind: type) -> set[str]:
    """The names that cells assign of which every statement is of a kind, plain or annotated."""
    names = set()
    for cell in cells:
        try:
            statements = ast.parse(cell).body
        except SyntaxError:  # a line that only IPython understands
            continue
        if all(isinstance(statement, kind) for statement in statements):
            targets = [getattr(s, "target", None) or s.targets[0] for s in statements]
            names |= {target.id for target in targets}
    return names


def _several(test: Callable, least: int = 1) -> Callable:
    """A test of a list: at least so many values, all different, that pass a test each."""
    return lambda values: (
        isinstance(values, list | tuple | range)
        and len(values) >= least
        and all(map(test, values))
        and len(set(values)) == len(values)
    )


def _whole_number(smallest: int) -> Callable:
    return lambda value: type(value) is int and value >= smallest


def _path(there: Callable) -> Callable:
    return lambda value: isinstance(value, str) and (not value or there(Path(value)))


def _text(value) -> bool:
    return isinstance(value, str)


# What each parameter may be: names, or a test and the same in words.
_NAMES = {"database": DATABASES, "dataset": LABELLED, "profile": PROFILES, "data": MODES}
_LISTS = {"databases": DATABASES, "datasets": NAMES, "starts": START_WORDS}
_NUMBERS = "a list of different whole numbers from {0}, such as [{0}, 7]"
_EXISTS = "the absolute path of a {} that exists; empty: {}"
_PARAMETERS = {
    **{name: (of.__contains__, f"one of {', '.join(of)}") for name, of in _NAMES.items()},
    **{
        name: (_several(of.__contains__), f"a list of different names from {', '.join(of)}")
        for name, of in _LISTS.items()
    },
    "data_directory": (_path(Path.is_dir), _EXISTS.format("folder", "$SAN_DATA, otherwise data/")),
    "activations": (
        _several(FUNCTIONS.__contains__, least=0),
        f"a list of different names from {', '.join(FUNCTIONS)}; empty: all",
    ),
    "seeds": (_several(_whole_number(0)), _NUMBERS.format(0)),
    "further": (_whole_number(1), "a whole number from 1"),
    "seed": (_whole_number(0), "a whole number from 0"),
    "kernel_sizes": (_several(_whole_number(1), least=0), _NUMBERS.format(1)),
    "path": (_path(Path.is_file), _EXISTS.format("file", "the recording of the paper")),
    "column": (_text, "text in quotes"),
    "window": (_whole_number(8), "a whole number from 8"),
    "results": (_text, "text in quotes"),
}


# --- the data of a page with several data sets ----------------------------------------------------


def load(
    names: Sequence[str], data: str, directory: str, sources: Sequence[str] = ("real",)
) -> dict[str, DataSet]:
    """The data sets that come from one of the ``sources``; all of them if none does."""
    loaded = {name: sanbook.data.load(name, data, directory or None) for name in names}
    accepted = {name: part for name, part in loaded.items() if part.card.source in sources}
    return accepted or loaded


def cards(used: Mapping[str, DataSet]) -> dict[str, dict]:
    """The provenance of each data set, as the results files of pages have it."""
    return {name: vars(part.card) for name, part in used.items()}


def data_line(used: Mapping[str, DataSet]) -> show.Shown:
    """The data line of a page with several data sets."""
    return show.data_line(list(cards(used).values()))


def left_out(names: Sequence[str], used: Mapping[str, DataSet]) -> show.Shown | None:
    """Which data sets a page leaves out because the paper's data are not available, or nothing."""
    if not (absent := [name for name in names if name not in used]):
        return None
    return show.say(f"**Left out**, because the paper's data are not available: {listed(absent)}.")


# --- what several pages show ----------------------------------------------------------------------


class Page:
    """What the reports of pages share.

    ``profile`` is "paper" or "quick"; ``cards`` has the provenance of the data that the page shows,
    by their names.
    """

    profile: str
    cards: Mapping[str, dict]

    @property
    def sources(self) -> Collection[str]:
        """The sources of the data."""
        return [card["source"] for card in self.cards.values()]

    def data_line(self, cut: str = "") -> show.Shown:
        """Which data the page shows, or what its quick profile has less of, as ``cut`` says."""
        if cut and self.profile == "quick":
            return show.quick(cut)
        return show.data_line(list(self.cards.values()))

    def figure_of(self, name: str, drawn: "Figure", caption: str, alt: str) -> show.Shown:
        """A figure of the data of the page, see `sanbook.show.figure`."""
        return show.figure(drawn, name=name, caption=caption, alt=alt, sources=self.sources)

    def leave(
        self, directory: str, page: str, table: pd.DataFrame | None = None, **results
    ) -> None:
        """Leave the results of the page as JSON, a table as CSV; nothing without a directory."""
        if not directory:
            return
        record = {"profile": self.profile, "cards": self.cards, **results}
        write_record(f"{directory}/{page}.json", record)
        if table is not None:
            write_table(f"{directory}/{page}.csv", table)


def quick(profile: str, cut: str) -> show.Shown | None:
    """The warning of the quick profile, or nothing; ``cut`` says what it has less of."""
    return show.quick(cut) if profile == "quick" else None


def counted(number: int, noun: str) -> str:
    """A number with its noun in the right form.

    >>> counted(1, "recording"), counted(2, "recording")
    ('1 recording', '2 recordings')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def scores(values: Mapping[str, float], form: str = "{:.2f}") -> str:
    """Numbers with their names as a sentence lists them; activation functions as readers know them.

    >>> scores({"relu": 1.234, "DCT": 0.5})
    'ReLU 1.23 and DCT 0.50'
    """
    each = dict(values).items()
    return listed([f"{FUNCTIONS.get(name, name)} {form.format(value)}" for name, value in each])


def between(values, form: str = "{:.3f}") -> str | None:
    """The range of numbers, None if some are missing.

    >>> between([5, 5], "{}"), between([0.25, 0.5])
    ('5', '0.250 to 0.500')
    """
    if pd.isna(values).any():
        return None
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


# --- results files --------------------------------------------------------------------------------


class Found(NamedTuple):
    """Results of another page: the content of their JSON file, and where they are, in words."""

    results: dict
    origin: str


def find_results(page: str, directory: str = "") -> Found | None:
    """The results of a page, None if there are none; see `sanbook.reproduction.results.find`."""
    try:
        folder = find(f"{page}.json", directory)
    except FileNotFoundError:
        return None
    content = json.loads((folder / f"{page}.json").read_text())
    return Found(content, f"the results in `{Path(*folder.parts[-3:])}`")


def rounded(values: "Tensor", decimals: int = 5) -> np.ndarray:
    """Numbers that are short as text."""
    return values.detach().double().numpy().round(decimals)
