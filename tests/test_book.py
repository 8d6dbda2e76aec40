"""The pages and the book, end to end: the quick book of simulated data, built in a copy."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup

import make_book
import san_book
import san_data

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
LABELLED = {"uci-epilepsy": "uci_epilepsy", "mnist": "mnist", "fashion-mnist": "fashion_mnist"}
OVER_ALL = ["physionet_summary", "seeds", "differences", "ledger", "peers", "speed"]
PAGES = make_book.contents_of(yaml.safe_load((ROOT / "book" / "_toc.yml").read_text()))


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


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project with one notebook that has a number and a text as parameters."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(make_book, "ROOT", tmp_path)
    cells = [
        nbformat.v4.new_markdown_cell("# A page: first\n\nThe first of many."),
        nbformat.v4.new_code_cell(
            'name: str = "first"  # which\ncount: int = 3  # how many',
            metadata={"tags": ["parameters"]},
        ),
        nbformat.v4.new_code_cell("assert count < 10, 'too many'\nprint(name, count)"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, tmp_path / "notebooks" / "page.ipynb")
    return tmp_path


def key(**parameters):
    return make_book.write_key("notebooks/page.ipynb", "book/pages/x.ipynb", [], parameters)


def test_page_has_its_parameters_and_its_title(project):
    make_book.make_page(key(name="second", count="4"))
    page = nbformat.read(project / "book/pages/x.ipynb", as_version=4)
    assert page.cells[0].source == "# A page: second\n\nThe first of many."
    assert page.cells[-1].outputs[0].text == "second 4\n"
    assert "hide-input" in page.cells[2].metadata.tags
    assert "papermill" not in page.metadata


def test_unknown_parameter_is_an_error(project):
    with pytest.raises(make_book.PageError, match=r"\['count', 'name'\], but not \['cuont'\]"):
        make_book.make_page(key(cuont="4"))


def test_failing_page_names_its_cell_and_is_not_published(project):
    make_book.make_page(key(count="4"))
    before = (project / "book/pages/x.ipynb").read_bytes()
    with pytest.raises(make_book.PageError, match=r"cell \d of notebooks/page.ipynb.*too many"):
        make_book.make_page(key(count="12"))
    assert (project / "book/pages/x.ipynb").read_bytes() == before


def test_key_is_rewritten_only_if_its_content_changed(project):
    path = key(count="4")
    os.utime(path, (0, 0))
    assert key(count="4").stat().st_mtime == 0
    assert key(count="5").stat().st_mtime > 0
    os.utime(path, (0, 0))
    notebook = project / "notebooks/page.ipynb"
    notebook.write_text(notebook.read_text().replace("many", "few"))
    assert key(count="5").stat().st_mtime > 0


def test_key_sees_data_appear(project):
    depends = ["data/physionet/mitdb"]
    path = make_book.write_key("notebooks/page.ipynb", "book/x.ipynb", depends, {})
    before = path.read_text()
    (project / depends[0]).mkdir(parents=True)
    (project / depends[0] / "100.dat").write_bytes(b"1")
    make_book.write_key("notebooks/page.ipynb", "book/x.ipynb", depends, {})
    assert path.read_text() != before


def test_jupyter_book_2_is_refused():
    make_book.require_jupyter_book_1("1.0.4.post1")
    with pytest.raises(make_book.PageError, match=r"Jupyter Book 1.x, but 2.0.1.*jupyter-book<2"):
        make_book.require_jupyter_book_1("2.0.1")


def test_no_records_is_an_error_that_says_how_to_make_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="make book"):
        san_book.read_records(tmp_path)


def test_record_survives_the_round_trip(tmp_path):
    table = pd.DataFrame({"kernel_size": [1, 2], "phi": [0.5, 0.25]})
    san_book.write_record(tmp_path / "page.json", {"rows": table, "database": "mitdb"})
    (record,) = san_book.read_records(tmp_path)
    pd.testing.assert_frame_equal(pd.DataFrame(record["rows"]), table)
    assert [path.name for path in tmp_path.iterdir()] == ["page.json"]


def test_record_with_nan_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        san_book.write_record(tmp_path / "page.json", {"phi": float("nan")})
    assert not (tmp_path / "page.json").exists()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_committed_without_outputs_and_explains_its_parameters(name):
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert notebook.cells[0].cell_type == "markdown"
    (parameters,) = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert all("  # " in line for line in parameters.source.splitlines())


def test_databases_are_the_same_everywhere():
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    in_makefile = re.search(r"^DATABASES := (.*)$", makefile, re.MULTILINE)[1].split()
    assert in_makefile == list(san_data.DATABASES)
    assert [f"physionet/{name}" for name in san_data.DATABASES] == [
        page for page in PAGES if page.startswith("physionet/")
    ]
    assert set(san_book.published("physionet").database) == set(san_data.DATABASES)
    assert set(LABELLED) == set(san_data.NAMES) - set(san_data.DATABASES)
    assert set(LABELLED.values()) < set(PAGES)


# --- the whole ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """A copy of the project with the quick book of simulated data built in it."""
    folder = tmp_path_factory.mktemp("clone") / "san"
    ignored = shutil.ignore_patterns(".*", "_build", "*.egg-info", "physionet")
    shutil.copytree(ROOT, folder, ignore=ignored)
    for page in (folder / "book").glob("*.ipynb"):
        page.unlink()
    built = make("book", folder)
    assert built.returncode == 0, built.stdout[-5000:]
    return folder


def make(target, folder):
    switches = ["PROFILE=quick", "DATA=sample", "SEEDS=0", f"PYTHON={sys.executable}"]
    return run(["make", target, *switches], folder, MAKEFLAGS="", SAN_DATA="data")


def test_every_page_is_rendered_without_a_traceback(book):
    for page in PAGES:
        text = (book / "_build" / "html" / f"{page}.html").read_text()
        assert "Traceback" not in text, page


def test_pages_say_that_the_data_are_simulated(book):
    pages = {f"physionet/{name}": f"PhysioNet: {name}" for name in san_data.DATABASES}
    pages |= {"mnist": "Images: mnist", "fashion_mnist": "Images: fashion-mnist"}
    pages |= {"uci_epilepsy": "UCI-epilepsy"}
    for page, title in pages.items():
        text = (book / "_build" / "html" / f"{page}.html").read_text()
        assert "Data: simulated" in text, page
        assert title in BeautifulSoup(text, "html.parser").h1.get_text(), page


def test_every_figure_has_a_text_alternative_a_caption_and_a_number(book):
    figures = 0
    for page in PAGES:
        text = (book / "_build" / "html" / f"{page}.html").read_text()
        for image in BeautifulSoup(text, "html.parser").article.find_all("img"):
            assert len(image.get("alt", "")) > 20, (page, image.get("src"))
            caption = image.find_parent("figure").find("figcaption").get_text()
            assert caption.strip().startswith("Fig."), page
            figures += 1
    # Summary and peers 4 each; seeds, ledger and speed one each.
    assert figures == 4 * len(san_data.DATABASES) + 6 * len(LABELLED) + 4 + 4 + 3


def test_results_have_the_columns_of_the_published_table(book):
    results = pd.read_csv(book / "_build" / "results" / "physionet.csv")
    published = san_book.published("physionet")
    extra = ["seed", "init", "selection", "data_source"]
    assert list(results.columns) == [*published.columns, *extra]
    assert set(results.selection) == {"published_m", "validation", "test"}
    assert results.data_source.str.startswith("simulated").all()
    at_published_m = results[results.selection == "published_m"].drop_duplicates(
        ["database", "activation"]
    )
    merged = at_published_m.merge(published, on=["database", "activation", "kernel_size"])
    assert len(merged) == len(published) == 75


@pytest.mark.parametrize("name", LABELLED.values())
def test_results_of_classifiers_have_the_columns_of_the_published_table(book, name):
    results = pd.read_csv(book / "_build" / "results" / f"{name}.csv")
    published = san_book.published(name)
    first = [*published.columns, "seed", "init", "selection", "data_source"]
    assert list(results.columns)[: len(first)] == first
    assert {"dead", "validation_phi"} < set(results.columns)
    assert ("phi_qm" in results.columns) == ("mnist" in name)
    assert set(results.selection) == {"published_m", "validation", "test"}
    assert (results.init == "normal").all()
    assert results.data_source.str.startswith("simulated").all()
    assert results.accuracy_percent.between(0, 100).all()
    every = results[results.selection == "published_m"]
    keys = {"kernel_size", "activation", "seed", "batch_size"} & set(results.columns)
    assert not every.duplicated(sorted(keys)).any()


def test_results_of_peers_have_their_columns(book):
    results = pd.read_csv(book / "_build" / "results" / "peers.csv")
    metrics = list(san_book.METRICS)
    seconds = ["seconds_fit", "seconds_encode"]
    assert list(results.columns) == ["dataset", "method", *metrics, *seconds, "data_source"]
    assert set(results.dataset) == {"mitdb", "mnist"}
    assert results.method.nunique() >= 8
    assert not results.duplicated(["dataset", "method"]).any()
    assert results.data_source.str.startswith("simulated").all()
    assert (results.phi >= results.normalized_reconstruction_loss).all()


def test_second_make_executes_nothing(book):
    pages = {path: path.stat().st_mtime_ns for path in book.glob("book/**/*.ipynb")}
    again = make("book", book)
    assert again.returncode == 0, again.stdout[-3000:]
    assert {path: path.stat().st_mtime_ns for path in book.glob("book/**/*.ipynb")} == pages
    assert len(pages) == len(san_data.NAMES) + len(OVER_ALL)


def test_missing_page_is_made_again_and_only_that(book):
    page = book / "book" / "physionet" / "mitdb.ipynb"
    others = {p: p.stat().st_mtime_ns for p in book.glob("book/physionet/*.ipynb") if p != page}
    page.unlink()
    made = make(str(page.relative_to(book)), book)
    assert made.returncode == 0, made.stdout[-3000:]
    assert page.exists()
    assert {p: p.stat().st_mtime_ns for p in others} == others


def test_cost_of_every_page_is_recorded(book):
    costs = [json.loads(path.read_text()) for path in (book / "_build/cost").rglob("*.json")]
    assert len(costs) == len(san_data.NAMES) + len(OVER_ALL)
    assert all(cost["seconds"] > 0 and cost["peak_megabytes"] > 50 for cost in costs)


def test_notebooks_run_with_their_own_defaults(book):
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider"]
    done = run([*command, "--rootdir=notebooks", "-c", os.devnull, "notebooks"], book)
    assert done.returncode == 0, done.stdout[-5000:]
