"""Prose holds no measured number, and notebooks are short: what is measured comes from modules."""

import json
import pkgutil
import re
from pathlib import Path

import pytest
from style import faults_of, text_of

ROOT = Path(__file__).parent.parent.parent
PROSE = [
    ROOT / "README.md",
    *sorted((ROOT / "book").glob("*.md")),
    *sorted((ROOT / "notebooks").rglob("*.ipynb")),
]
NUMBER = re.compile(
    r"(?<![\w.])\d[\d,]*(?:\.\d+)*"
    r"(?:[ \u00a0]?(?:%|points?|seconds?|minutes?|hours?|ms|s|[kMG]B|times|of \d[\d,]*)(?!\w))?"
)
# What no run of ours can change: the protocol (weights at the start, Adam, sizes), the tolerances
# and the probability of the verdicts, the limits of a page, versions, years, identifiers, and the
# size of PyPI's CUDA.
ALLOWED = """
    0.1 0.01 0.9 0.999 64 100 178 249 250 400 500 1,000 1,300 1,380 8,000 8,740 10,000 11,500 12,000
    50,000 70,000 0.02 1.5_points 95_% 1.0.0 3.11 1978 1992 1993 2000 2006 2014 2018 2019 2020 2025
    784 1907.06592 10.1109 6_GB
"""
WORKED_BY_HAND = {"01_metric.ipynb", "03_network.ipynb"}


def prose_of(text: str) -> str:
    """A text without code, equations, roles, addresses and what the record writes."""
    for gone in (
        r"(?s)<!-- ledger -->.*?<!-- end of ledger -->",
        r"(?ms)^```+(?!\{(?:figure|table|admonition|glossary)).*?^```+ *$",
        r"(?s)```\{math\}.*?```",
        r"\{[\w:+-]+\}`[^`]*`",
        r"`[^`\n]*`",
        r"\$[^$]*\$",
        r"\]\([^)]*\)",
        r"https?://\S+",
        r"(?m)^ *\d\. ",  # of a list
    ):
        text = re.sub(gone, " ", text)
    return text


def measured_numbers(text: str) -> list[str]:
    """The numbers of a text that may have been measured: all but small integers without a unit."""
    found = [match[0].rstrip(",") for match in NUMBER.finditer(prose_of(text))]
    found = [number.replace("\u00a0", " ") for number in found]
    return [number for number in found if not re.fullmatch(r"\d{1,2}", number)]


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_prose_holds_no_measured_number(path):
    found = {number.replace(" ", "_") for number in measured_numbers(text_of(path))} - set(
        ALLOWED.split()
    )
    if path.name in WORKED_BY_HAND:
        found = {number for number in found if not re.fullmatch(r"\d\.\d{1,2}", number)}
    assert not found, f"{path.name} has {sorted(found)}; take them from a record"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").rglob("*.ipynb")), ids=lambda p: p.name
)
def test_equations_that_a_notebook_cites_are_its_own(path):
    """In the lab a publication or the number of another page's equation or table is its label."""
    text = text_of(path)
    assert not re.findall(r"\{(?:cite|numref)[:pt]*\}`", text)
    cited = set(re.findall(r"\{eq\}`([^`]*)`", text))
    assert cited <= set(re.findall(r"(?m)^:label: (\S+)$", text))


def test_a_measured_number_is_found():
    typed = "On mitdb φ̄ is 0.447, 87 % in 12 seconds, 1 of 3 runs; 23 rows of `0.5` and $0.7$."
    assert measured_numbers(typed) == ["0.447", "87 %", "12 seconds", "1 of 3"]


@pytest.mark.parametrize(
    "path", [path for path in PROSE if path.suffix == ".ipynb"], ids=lambda path: path.name
)
def test_cells_of_notebooks_are_short_and_without_outputs(path):
    text = path.read_text()
    assert "{glue" not in text
    for cell in json.loads(text)["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            assert len(source.splitlines()) <= 25, source
            assert "if results:" not in source, "write_results does nothing without a folder"
            assert not cell["outputs"]
            assert cell["execution_count"] is None


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_prose_keeps_the_rules_of_style(path):
    assert not faults_of(text_of(path))


def test_faults_of_style_are_found():
    text = "A mother lies in {doc}`phi`, 1 runs; one; two; three. " + "A " + 36 * "word " + "ends."
    kinds = [fault.partition(":")[0] for fault in faults_of(text)]
    expected = ["private word", "one of many", "link without words", "chain of semicolons"]
    assert kinds == [*expected, "38 words"]


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_names_of_modules_in_prose_exist(path):
    for name in re.findall(r"`(sanbook(?:\.\w+)+)", text_of(path)):
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError) as error:
            pytest.fail(f"{path.name}: {name} is no name of ours: {error}")
