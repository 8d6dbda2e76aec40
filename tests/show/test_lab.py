"""The notebooks in a real JupyterLab, and their lessons as a student changes them."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from sanbook.build.lab import copy_notebooks
from sanbook.show.shown import Shown

ROOT = Path(__file__).parent.parent.parent
LESSONS = sorted((ROOT / "notebooks" / "learn").glob("*.ipynb"))
RAW = re.compile(r"\{(?:doc|numref|eq|cite|glue|math|table|dropdown|admonition)[\w:]*\}|:::|\{glue")
# No news and no updates asked for, and every cell drawn, also those below the window.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}


# --- lessons --------------------------------------------------------------------------------------


def cells_of(path, kind="code"):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_is_short_and_its_code_is_seen_in_the_book(path):
    code = cells_of(path)
    lines = [line for cell in code for line in cell.source.splitlines() if line.strip()]
    assert len(code) <= 12
    assert len(lines) <= 60


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_changes_of_a_lesson_are_wrong_before_and_right_with_the_answer(path, monkeypatch):
    monkeypatch.setenv("SAN_DATA", str(ROOT / "tests"))  # no data: simulated ones
    answers = re.findall(
        r"(?s)\{dropdown\} Answer.*?```python\n(.*?)```",
        "\n".join(cell.source for cell in cells_of(path, "markdown")),
    )
    names = {"display": print}
    for cell in cells_of(path):
        exec(cell.source, names)
        if "change" not in cell.metadata.get("tags", []):
            continue
        for source, right in ((cell.source, False), (answers.pop(0), True)):
            changed = dict(names)
            *body, last = re.split(r"\n(?=\S)", source.strip())
            exec("\n".join(body), changed)
            shown = eval(last, changed)
            assert isinstance(shown, Shown)
            assert ("**right**" in repr(shown)) == right, (cell.id, shown)
    assert not answers


def test_every_notebook_is_in_the_table_where_one_starts():
    folder = ROOT / "notebooks"
    table = "\n".join(cell.source for cell in cells_of(folder / "00_start.ipynb", "markdown"))
    linked = set(re.findall(r"\]\(([\w/]+\.ipynb)\)", table))
    there = {str(path.relative_to(folder)) for path in folder.rglob("*.ipynb")}
    assert linked == there - {"00_start.ipynb"}


def test_copies_link_to_the_notebooks_of_the_pages(tmp_path):
    copy_notebooks(target=tmp_path)
    links = 0
    for path in tmp_path.rglob("*.ipynb"):
        text = "\n".join(cell.source for cell in cells_of(path, "markdown"))
        pages = set(re.findall(r"\{doc\}`[^`<]+</?([\w/]+)>`", text))
        assert pages <= {file.stem for file in (ROOT / "book").glob("*.md")}
        for link in re.findall(r"\]\(([\w/.]+\.ipynb)\)", text):
            assert (path.parent / link).is_file()
            links += 1
    assert links > 80


def test_copies_keep_what_was_changed_in_them(tmp_path):
    source, target = tmp_path / "notebooks", tmp_path / "lab"
    (source / "learn").mkdir(parents=True)
    (source / "learn" / "a.ipynb").write_text("1")
    assert copy_notebooks(source, target) == []
    copy = target / "learn" / "a.ipynb"
    copy.write_text("mine")
    assert copy_notebooks(source, target) == []
    os.utime(source / "learn" / "a.ipynb", (time.time() + 9, time.time() + 9))
    (said,) = copy_notebooks(source, target)
    assert str(copy) in said
    assert copy.read_text() == "mine"


# --- JupyterLab -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """A JupyterLab on copies of the notebooks, without data, and a tab of Chromium in it."""
    folder = tmp_path_factory.mktemp("lab")
    copy_notebooks(target=folder / "notebooks")
    for name, settings in SETTINGS.items():
        path = folder / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SAN_DATA": str(folder),
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "http_proxy": "http://127.0.0.1:9",  # no network
        "https_proxy": "http://127.0.0.1:9",
        "no_proxy": "127.0.0.1",
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--notebook-dir={folder / 'notebooks'}", "--IdentityProvider.token="]
    command += ["--LabApp.expose_app_in_browser=True", "--ServerApp.port_retries=0"]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api"):
                break
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.5)
        yield browser.new_page(), address, folder / "notebooks"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def run_all(lab, name):
    """Open a notebook, run all of its cells, save it; returns the tab and what was saved."""
    tab, address, folder = lab
    tab.goto(f"{address}/lab/tree/{name}?reset", timeout=120_000)
    tab.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel",
                          timeout=180_000)  # fmt: skip
    tab.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')", None)
    tab.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    return tab, nbformat.read(folder / name, as_version=4)


@pytest.mark.parametrize("name", ["learn/01_metric.ipynb", "physionet_summary.ipynb"])
def test_notebook_is_a_page_for_a_person(lab, name):
    tab, saved = run_all(lab, name)
    code = [cell for cell in saved.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code if cell.source)
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    # A bar is for a person who waits, and no part of a page.
    assert not [
        o for o in outputs if "application/vnd.jupyter.widget-view+json" in o.get("data", {})
    ]
    tab.wait_for_timeout(2000)
    text = tab.locator(".jp-Notebook").inner_text()
    code_text = "\n".join(tab.locator(".jp-CodeMirrorEditor").all_inner_texts())
    assert not [raw for raw in RAW.findall(text) if raw not in code_text]
    assert tab.locator(".jp-OutputArea-output .sanbook").count() >= 3
    hidden = sum("hide-input" in cell.metadata.get("tags", []) for cell in code)
    assert (
        tab.locator(".jp-CodeCell.jp-mod-noInput, .jp-CodeCell .jp-Placeholder").count() >= hidden
    )
    for caption in tab.locator(".jp-OutputArea-output .sanbook caption").all():
        assert caption.evaluate("of => getComputedStyle(of).whiteSpace") == "normal"
    if name == "learn/01_metric.ipynb":
        frame = tab.locator(".sanbook iframe").content_frame
        assert frame.locator("svg").count() > 0  # the script ran, and the still figure is gone
        assert frame.locator("img").count() == 0
