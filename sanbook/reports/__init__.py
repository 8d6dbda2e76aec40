"""What each page computes and says: one module for each notebook, with one class for its page.

A notebook shows the science: it loads, trains, chooses and measures in a few visible lines. Its
report takes what they gave; each method of the report is a section and returns what is shown, a
`sanbook.show.Shown` or a list of several. ``write_results`` leaves the results of the page for
other pages and does nothing without a folder. So a notebook reads::

    reports.check(globals())        # refuses a wrong parameter in one sentence
    recording = sanbook.data.load(database)
    trained = {a: sweep(recording, a, kernel_sizes) for a in ACTIVATIONS}
    report = physionet.Report(recording, trained, ...)
    report.findings()
    report.write_results(results)   # the last cell, tagged remove-cell

Figures that two pages share are in `sanbook.show.figures`, all others stand in the module of their
page, under ``@figures.style()``. Sentences with numbers are `sanbook.show.say`: no sentence is put
together in a notebook, and prose without numbers stays there.

A report reads what other pages left through `sanbook.reproduction.results.find`: in the folder that
the notebook names, else in the build of the paper profile, else of the quick one. If there is none,
the report falls back on the committed reference results where they suffice, or trains. The page
says which.
"""

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import sanbook.data
from sanbook import show
from sanbook.data import DATABASES, MODES, NAMES
from sanbook.data.dataset import DataSet
from sanbook.data.verify import listed
from sanbook.reproduction.results import PROFILES, find

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
    sanbook.reports.ParameterError: database: 'mnist' is unknown. Choose one of apnea-ecg, ...
    """
    cells = namespace.get("In", [])
    unknown = sorted(_assigned(cells, ast.Assign) - _assigned(cells, ast.AnnAssign))
    if unknown:
        known = ", ".join(sorted(_assigned(cells, ast.AnnAssign)))
        raise ParameterError(
            f"{', '.join(unknown)}: the notebook has no such parameter. Choose from {known}."
        )
    for name, test in _TESTS.items():
        if name in namespace:
            test(name, namespace[name])


def _assigned(cells: Sequence[str], kind: type) -> set[str]:
    """The names that the cell of parameters declares, or that papermill's cell assigns."""
    names = set()
    for cell in cells:
        if kind is ast.Assign and not cell.startswith("# Parameters\n"):
            continue
        try:
            statements = ast.parse(cell).body
        except SyntaxError:  # a line that only IPython understands
            continue
        if statements and all(isinstance(statement, kind) for statement in statements):
            for statement in statements:
                target = statement.targets[0] if kind is ast.Assign else statement.target
                names.add(target.id)
    return names


def _one_of(choices: Sequence[str]) -> Callable:
    def test(name: str, value) -> None:
        if value not in choices:
            raise ParameterError(
                f"{name}: {value!r} is unknown. Choose one of {', '.join(choices)}."
            )

    return test


def _some_of(choices: Sequence[str]) -> Callable:
    def test(name: str, values) -> None:
        if not isinstance(values, list | tuple) or not values:
            raise ParameterError(
                f"{name}: expected a list of names, but got {values!r}. "
                f"Choose from {', '.join(choices)}."
            )
        for value in values:
            _one_of(choices)(name, value)

    return test


def _whole_numbers(smallest: int, may_be_empty: bool = False) -> Callable:
    def test(name: str, values) -> None:
        usable = isinstance(values, list | tuple | range) and all(
            type(value) is int and value >= smallest for value in values
        )
        if not usable or len(set(values)) < len(values) or not (values or may_be_empty):
            raise ParameterError(
                f"{name}: expected a list of different whole numbers from {smallest}, such as "
                f"[{smallest}, {smallest + 1}], but got {values!r}. Change it in the first cell."
            )

    return test


def _whole_number(smallest: int) -> Callable:
    def test(name: str, value) -> None:
        if type(value) is not int or value < smallest:
            raise ParameterError(
                f"{name}: expected a whole number from {smallest}, but got {value!r}. "
                "Change it in the first cell."
            )

    return test


def _text(name: str, value) -> None:
    if not isinstance(value, str):
        raise ParameterError(f"{name}: expected text in quotes, but got {value!r}. Add quotes.")


def _folder(name: str, value) -> None:
    _text(name, value)
    if value and not Path(value).is_dir():
        raise ParameterError(
            f"{name}: there is no folder {value!r} in {Path.cwd()}. Create the folder, or leave "
            "the parameter empty to use $SAN_DATA, otherwise data/."
        )


def _file(name: str, value) -> None:
    _text(name, value)
    if value and not Path(value).is_file():
        raise ParameterError(
            f"{name}: there is no file {value!r} in {Path.cwd()}. Give the absolute path of a "
            "file, or leave the parameter empty for the recording of the paper."
        )


_TESTS = {
    "database": _one_of(DATABASES),
    "databases": _some_of(DATABASES),
    "dataset": _one_of(LABELLED),
    "datasets": _some_of(NAMES),
    "profile": _one_of(PROFILES),
    "data": _one_of(MODES),
    "data_directory": _folder,
    "seeds": _whole_numbers(0),
    "seed": _whole_number(0),
    "kernel_sizes": _whole_numbers(1, may_be_empty=True),
    "path": _file,
    "column": _text,
    "window": _whole_number(8),
    "results": _text,
}


# --- the data of a page with several data sets ----------------------------------------------------


def load(
    names: Sequence[str], data: str, directory: str, sources: Sequence[str] = ("real",)
) -> dict[str, DataSet]:
    """The data sets that come from one of the ``sources``; all of them if none does."""
    loaded = {name: sanbook.data.load(name, data, directory or None) for name in names}
    accepted = {name: part for name, part in loaded.items() if part.card.source in sources}
    return accepted or loaded


def data_line(used: Mapping[str, DataSet]) -> show.Shown:
    """The data line of a page with several data sets."""
    return show.data_line([vars(part.card) for part in used.values()])


def left_out(names: Sequence[str], used: Mapping[str, DataSet]) -> show.Shown | None:
    """Which data sets a page leaves out because the paper's data are not available, or nothing."""
    absent = [name for name in names if name not in used]
    if not absent:
        return None
    return show.say(f"**Left out**, because the paper's data are not available: {listed(absent)}.")


# --- what several pages say -----------------------------------------------------------------------


def quick(profile: str, cut: str) -> show.Shown | None:
    """The warning of the quick profile, or nothing; ``cut`` says what it has less of."""
    return show.quick(cut) if profile == "quick" else None


def counted(number: int, noun: str) -> str:
    """A number with its noun in the right form.

    >>> counted(1, "recording"), counted(2, "recording")
    ('1 recording', '2 recordings')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def between(values, form: str = "{:.3f}") -> str:
    """The range of numbers.

    >>> between([5, 5], "{}"), between([0.25, 0.5])
    ('5', '0.250 to 0.500')
    """
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


# --- the results of other pages -------------------------------------------------------------------


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
