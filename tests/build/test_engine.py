"""Tests of how pages are made: what is out of date, what is published, what survives faults."""

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import yaml

import task_book
from sanbook.build import execute, graph, provenance, render
from sanbook.build.execute import PageError, execute_page
from sanbook.build.graph import Page, key_of
from sanbook.build.switches import read_switches
from sanbook.code import imported_names, modules_of
from sanbook.data.manifest import MANIFEST

ROOT = Path(__file__).parent.parent.parent


def code(source, **metadata):
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def write_notebook(path, *cells):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=list(cells), metadata={"kernelspec": kernel})
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)


# --- one page -------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project with one notebook that has a number and a text as parameters."""
    for module in (execute, graph):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    write_notebook(
        tmp_path / "notebooks/page.ipynb",
        nbformat.v4.new_markdown_cell("# A page: first\n\nThe first of many."),
        code('dataset: str = "first"  # which\ncount: int = 3  # how many', tags=["parameters"]),
        code("assert count < 10, 'too many'\nprint(dataset, count)"),
    )
    return tmp_path


def make_page(project, name="pages/x", **parameters):
    """Execute the page of the project; returns it and its provenance."""
    switches = dataclasses.replace(read_switches({}), folder=project / "_build/quick")
    page = Page(name, "page", parameters)
    execute_page(page, switches)
    facts = json.loads(page.provenance(switches).read_text())
    return nbformat.read(page.executed(switches), as_version=4), facts


def test_page_has_its_parameters_its_title_and_its_provenance(project):
    page, facts = make_page(project, dataset="second", count=4)
    assert page.cells[0].source == "# A page: second\n\nThe first of many."
    assert page.cells[-2].outputs[0].text == "second 4\n"
    assert "set-up" in page.cells[2].metadata.tags
    assert "papermill" not in page.metadata
    assert page.cells[-1].id == "provenance"
    assert facts["peak_megabytes"] > 10
    assert facts["cached"] == []


def test_failing_page_names_its_cell_and_leaves_what_was_there(project):
    before, _ = make_page(project, count=4)
    with pytest.raises(PageError, match=r"(?s)cell \d of notebooks/page.ipynb failed.*too many"):
        make_page(project, count=12)
    with pytest.raises(PageError, match=r"\['count', 'dataset'\], but not \['cuont'\]"):
        make_page(project, cuont=4)
    page = project / "_build/quick/pages/pages/x.ipynb"
    assert nbformat.read(page, as_version=4) == before


def test_provenance_has_the_commit_at_the_start_and_what_came_from_the_cache(project, monkeypatch):
    now = provenance.start()
    commits = iter([now | {"commit": "at the start"}, now | {"commit": "made meanwhile"}])
    monkeypatch.setattr(provenance, "start", lambda: next(commits))
    entry = {"date": "2026-01-02", "commit": "0123456789abcdef", "seconds": 40.2}
    entry |= {"parts": 2, "cached": True}
    opens = "import json, os\nwith open(os.environ['SAN_CACHE_LOG'], 'a') as log:"
    write_notebook(
        project / "notebooks/page.ipynb",
        nbformat.v4.new_markdown_cell("# A page"),
        code(f"{opens}\n    for _ in '12':\n        print(json.dumps({entry}), file=log)"),
    )
    page, facts = make_page(project)
    assert (facts["commit"], facts["cached"]) == ("at the start", [entry, entry])
    assert "commit `at the start`" in page.cells[-1].source
    said = "4 results, computed from 2026-01-02 to 2026-01-02 by commit `0123456789ab` in 80 s"
    assert said in page.cells[-1].source


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such sockets")
def test_kernels_share_no_port_and_have_their_threads(project, monkeypatch):
    """Two kernels that start at the same moment could be given the same one, and one would hang."""
    asks = "import json, ipykernel, torch\nprint(open(ipykernel.get_connection_file()).read())"
    write_notebook(
        project / "notebooks/page.ipynb",
        nbformat.v4.new_markdown_cell("# A page"),
        code(f"{asks}\ntorch.get_num_threads()"),
    )
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        page, _ = make_page(project)
        connection = json.loads(page.cells[1].outputs[0].text)
        assert connection["transport"] == "ipc"
        assert not Path(connection["ip"]).parent.exists()  # it went with the page
        assert page.cells[1].outputs[1].data["text/plain"] == threads


# --- pages side by side ---------------------------------------------------------------------------

TABLE = """
import sys
from sanbook.build.engine import page_tasks, run
from sanbook.build.graph import Page
from sanbook.build.kernels import CONTEXT
from sanbook.build.switches import read_switches

CONTEXT.set_forkserver_preload(["__main__", "ipykernel.kernelapp"])  # these pages need no torch

def page(name, **more):
    parameters = {"results": str(switches.results), "seconds": float(sys.argv[1])}
    return Page(name, name, parameters, leaves=(f"{name}.csv",), **more)

if __name__ == "__main__":
    switches = read_switches()
    pages = [page("first"), page("second", long=True), page("third", reads=("first.csv",))]
    sys.exit(run(page_tasks(pages, switches, *sys.argv[2:]), switches))
"""


@pytest.fixture
def small(tmp_path):
    """A copy of the project whose table has two slow pages and one that reads the first."""
    for name in ("build", "data"):
        shutil.copytree(ROOT / "sanbook" / name, tmp_path / "sanbook" / name)
    shutil.copy(ROOT / "sanbook/code.py", tmp_path / "sanbook")
    for name in ("first", "second", "third"):
        write_notebook(
            tmp_path / f"notebooks/{name}.ipynb",
            nbformat.v4.new_markdown_cell(f"# {name}"),
            code('results: str = ""  # where\nseconds: float = 0  # to sleep', tags=["parameters"]),
            code("import time\nfrom pathlib import Path\ntime.sleep(seconds)"),
            code(f"Path(results, '{name}.csv').write_text('{name}')"),
        )
    (tmp_path / "task_small.py").write_text(TABLE)
    (tmp_path / "data").mkdir()
    return tmp_path


def start(project, *arguments, before=lambda: None, **switches):
    """The program that makes the three pages; ``before`` is called in its process."""

    def prepare():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where tests run in background
        before()

    environment = {"PYTHONPATH": str(project), "PROFILE": "quick", "SAN_DATA": "", **switches}
    return subprocess.Popen(
        [sys.executable, "task_small.py", *(arguments or "0")],
        cwd=project,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=prepare,
    )


def finish(process):
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def made(project):
    """The pages that are published, with the time at which they were."""
    folder = project / "_build/quick/pages"
    return {p.stem: p.stat().st_mtime_ns for p in folder.glob("*.ipynb")}


def made_again(project, *arguments, **switches):
    """The pages that a call makes; those that were there stay."""
    before = made(project)
    status, output = finish(start(project, *arguments, **switches))
    assert status == 0, output
    after = made(project)
    assert after.keys() >= before.keys()
    return {page for page in after if after[page] != before.get(page)}


def wait_for(condition, process):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def alive(project):
    """Processes of pages and kernels that still run for a project."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            where = os.readlink(folder / "cwd")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if where == str(project) and state != "Z":
            found.append(folder.name)
    return found


def edit(project, name, old, new):
    """Replace code in the notebook of a page."""
    path = project / f"notebooks/{name}.ipynb"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupt_loses_only_the_pages_in_progress(small, number):
    for name in ("first", "third"):
        edit(small, name, "time.sleep(seconds)", "pass")
    process = start(small, "60", JOBS="2")
    wait_for(lambda: {"first", "third"} <= made(small).keys(), process)
    keys = small / "_build/quick/doit.json"
    wait_for(lambda: keys.exists() and "third" in keys.read_text(), process)
    process.send_signal(number)
    started = time.monotonic()
    status, output = finish(process)
    assert time.monotonic() - started < 10
    assert status == (130 if number != signal.SIGKILL else -signal.SIGKILL)
    assert "Traceback" not in output
    deadline = time.monotonic() + 20
    while alive(small):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert made(small).keys() == {"first", "third"}
    edit(small, "second", "time.sleep(seconds)", "pass")
    assert made_again(small, "60") == {"second"}


def test_full_disk_is_named_and_nothing_half_written_is_published(small):
    import resource

    limit = (2000, 2000)  # of the size of a file, in place of the end of the disk
    status, output = finish(
        start(small, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    )
    assert status != 0
    assert os.strerror(errno.EFBIG) in output
    assert "mend that and run make again" in output
    assert "Traceback" not in output
    assert not made(small)


def test_failing_page_stops_only_what_needs_it_and_leaves_the_good_ones(small):
    edit(small, "first", "time.sleep(seconds)", "raise OSError('broken')")
    status, output = finish(start(small))
    assert status == 1
    assert set(made(small)) == {"second"}
    assert "first failed: cell 4 of notebooks/first.ipynb failed: OSError: broken" in output
    assert "not made, because they need what failed: third" in output
    edit(small, "first", "raise OSError('broken')", "time.sleep(seconds)")
    assert finish(start(small))[0] == 0
    before = made(small)
    edit(small, "first", "time.sleep(seconds)", "raise OSError('broken')")
    assert finish(start(small, "0", "first"))[0] == 1
    assert made(small) == before
    edit(small, "first", "raise OSError('broken')", "time.sleep(seconds)")
    assert made_again(small) == {"first", "third"}  # what failed, and what waited for it


def test_longest_is_first_and_a_second_call_makes_what_is_asked_for_and_no_more(small):
    status, output = finish(start(small, JOBS="1"))
    assert status == 0
    lines = [line.split()[-1] for line in output.splitlines() if "..." in line]
    assert lines == ["second", "first", "third"]
    for path in small.rglob("*.ipynb"):
        path.touch()
    assert made_again(small) == set()
    assert made_again(small, "0", "third") == {"third"}
    assert made_again(small, FRESH="1") == {"first", "second", "third"}
    table = small / "task_small.py"
    table.write_text(TABLE.replace("float(sys.argv[1])", "0.001 * (name == 'first')"))
    assert made_again(small) == {"first"}  # other parameters
    before = made(small)
    assert finish(start(small, PROFILE="paper", SEEDS="3"))[0] == 0
    assert len(list((small / "_build/paper/pages").glob("*.ipynb"))) == 3
    assert made(small) == before  # profiles never touch each other


# --- what is out of date --------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A copy of the project with a made-up recording of mitdb."""
    clone = tmp_path / "clone"
    for name in ("sanbook", "notebooks", "data/published"):
        shutil.copytree(ROOT / name, clone / name)
    shutil.copy(ROOT / "san_core.py", clone)
    write_notebook(clone / "notebooks/reads.ipynb", code("import json"))
    recording = clone / "data/physionet/mitdb"
    recording.mkdir(parents=True)
    (recording / "100.hea").write_text("header")
    (recording / "100.dat").write_bytes(b"samples")
    for module in ("build.graph", "build.switches", "code"):
        monkeypatch.setattr(f"sanbook.{module}.ROOT", clone)
    return clone


def keys(clone, directory=None, **switches):
    """The keys of the page of mitdb and of a page that reads a result of that page."""
    environment = {"PROFILE": "quick", "SAN_DATA": str(directory or clone / "data"), **switches}
    given = read_switches(environment)
    parameters = {"database": "mitdb", "seeds": list(given.seeds), "results": str(given.results)}
    mitdb = Page("mitdb", "physionet", parameters, data=("mitdb",), files=("data/published",))
    reads = Page("reads", "reads", reads=("mitdb.json",))
    return {page.name: key_of(page, given) for page in (mitdb, reads)}


def append(path):
    """A change at the end of a file of the copy, which may be new."""

    def act(clone):
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        with (clone / path).open("a") as file:
            file.write("\n ")

    return act


# What changes, and which pages are out of date then.
CHANGES = {
    "nothing": (lambda clone: None, set()),
    "the date of a module": (lambda clone: (clone / "san_core.py").touch(), set()),
    "a notebook": (append("notebooks/physionet.ipynb"), {"mitdb"}),
    "a sample": (append("data/physionet/mitdb/100.dat"), {"mitdb"}),
    "a file appears": (append("data/physionet/mitdb/SHA256SUMS.txt"), {"mitdb"}),
    "other data": (append("data/mnist.txt"), set()),
    "a published table": (append("data/published/physionet.csv"), {"mitdb"}),
    "a module that it imports": (append("sanbook/training/__init__.py"), {"mitdb"}),
    "a module that one imports": (append("sanbook/data/manifest.py"), {"mitdb"}),
    "a module that it does not import": (append("sanbook/signals/cli.py"), set()),
    "the way pages are executed": (append("sanbook/build/execute.py"), set()),
    "a result that it reads": (append("_build/quick/results/mitdb.json"), {"reads"}),
}


def out_of_date(before, after):
    return {page for page in before if before[page] != after[page]}


def test_what_changed_is_what_is_out_of_date(clone, tmp_path, change_source):
    for change, (act, expected) in CHANGES.items():
        before = keys(clone)
        act(clone)
        assert out_of_date(before, keys(clone)) == expected, change
    before = keys(clone)
    assert out_of_date(before, keys(clone, SEEDS="0 1")) == {"mitdb"}
    shutil.copytree(clone / "data", tmp_path / "my data")  # the same bytes in another place
    assert keys(clone, directory=tmp_path / "my data") == before
    for name, expected in {"wrist": set(), "mitdb": {"mitdb"}}.items():
        change_source(name, pitfalls="a sentence")
        assert out_of_date(before, keys(clone)) == expected


def test_imports_are_followed_through_modules_and_packages(tmp_path, monkeypatch):
    monkeypatch.setattr("sanbook.code.ROOT", tmp_path)
    for path, source in {
        "p/__init__.py": "",
        "p/a.py": "from . import b\nfrom .c import thing",
        "p/b.py": "def late():\n    import p.d",
        "p/c.py": "from ..q import e",
        "p/d.py": "",
        "p/unused.py": "",
        "q/__init__.py": "",
        "q/e.py": "import torch",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(source)
    write_notebook(tmp_path / "notebooks/n.ipynb", code("import p.a"))
    found = {str(f.relative_to(tmp_path)) for f in modules_of(tmp_path / "notebooks/n.ipynb")}
    expected = {f"p/{name}.py" for name in ("__init__", "a", "b", "c", "d")}
    assert found == expected | {"q/__init__.py", "q/e.py"}


# Libraries that modules import and that compute no number of a page.
NOT_COMPUTING = {
    "IPython",
    "distributed",
    "markdown_it",
    "matplotlib",
    "myst_nb",
    "pooch",
    "requests",
    "threadpoolctl",
    "tqdm",
}
IMPORTED_AS = {"PyWavelets": "pywt", "scikit-learn": "sklearn"}


def test_every_library_that_computes_is_in_the_key_and_the_provenance_of_pages():
    folders = [path for path in (ROOT / "sanbook").iterdir() if path.name != "build"]
    modules = [path for folder in folders for path in folder.rglob("*.py")]
    names = {
        name.partition(".")[0]
        for path in (ROOT / "san_core.py", *modules, *(ROOT / "notebooks").rglob("*.ipynb"))
        for name in imported_names(path)
    }
    libraries = names - set(sys.stdlib_module_names) - {"san_core", "sanbook", ""}
    listed = {IMPORTED_AS.get(name, name) for name in provenance.LIBRARIES}
    assert libraries - NOT_COMPUTING == listed
    assert provenance.versions().keys() == set(provenance.LIBRARIES)


# --- the table of pages ---------------------------------------------------------------------------


def test_table_of_pages_is_that_of_contents_and_data_sets():
    pages = task_book.pages(read_switches({}))
    toc = yaml.safe_load((ROOT / "book/_toc.yml").read_text())
    prose = {path.stem for path in (ROOT / "book").glob("*.md")}
    executed = {page.name for page in pages}
    assert executed == set(render.contents_of(toc)) - prose
    assert len(pages) == len(executed)
    assert {name for page in pages for name in page.data} == set(MANIFEST)
    leaves = [file for page in pages for file in page.leaves]
    assert len(set(leaves)) == len(leaves)
    assert {file for page in pages for file in page.reads} <= set(leaves)
    files = {file for page in pages for file in page.files}
    assert all((ROOT / file).exists() for file in files)


def test_page_of_an_own_signal_depends_on_the_files_of_the_recording(tmp_path):
    for name in ("my[1].csv", "my[1].hea", "my1.csv", "MY.TXT"):
        (tmp_path / name).write_text("x")
    own = {"my[1].csv": ["my[1].csv", "my[1].hea"], "my1.csv": ["my1.csv"], "MY.TXT": ["MY.TXT"]}
    for signal_, files in own.items():
        switches = read_switches({"SIGNAL": str(tmp_path / signal_)})
        (page,) = (page for page in task_book.pages(switches) if page.name == "own_signal")
        assert page.files == tuple(str(tmp_path / name) for name in files)
        assert page.parameters["path"] == str(tmp_path / signal_)
        before = key_of(page, switches)
        (tmp_path / signal_).write_text("another")
        assert key_of(page, switches) != before


def test_reference_results_have_ten_seeds_in_a_folder_of_their_own(monkeypatch):
    done = []
    monkeypatch.setenv("SEEDS", "")
    monkeypatch.setattr(task_book, "fetch_missing", lambda pages, switches: None)
    monkeypatch.setattr(task_book.os, "environ", dict(os.environ))
    monkeypatch.setattr(task_book.subprocess, "run", lambda command, **_: done.append(command[3:]))

    def run(tasks, switches):
        done.append((len(switches.seeds), {task.name for task in tasks}))
        return 0

    monkeypatch.setattr(task_book, "run", run)
    assert task_book.main("record") == 0
    results = str(ROOT / "_build/record/results")
    (seeds, pages), record, (more, drawn), of_drawn, (_, causes), of_causes = done
    assert (seeds, more) == (10, 90)
    assert {"procedure", "mnist", "ledger"} < pages
    assert (drawn, causes) == ({"procedure"}, {"causes"})
    assert (record, of_causes) == (["runs", results], ["causes", results])
    assert of_drawn == ["draws", str(ROOT / "_build/record/draws/results")]


@pytest.mark.parametrize("switch", [{"PROFILE": "quick"}, {"DATA": "sample"}])
def test_reference_results_of_a_quick_run_are_refused_before_it(monkeypatch, switch):
    for name, value in switch.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PageError, match="PROFILE=quick"):
        task_book.main("record")


# --- switches -------------------------------------------------------------------------------------


def make(*arguments):
    """What a call of make in the project says."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=inherited, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PROFILE", "Paper", "is none of paper, quick"),
        ("DATA", "none", "is none of auto, real, sample"),
        ("JOBS", "abc", "is no number from 1 on"),
        ("JOBS", "0", "is no number from 1 on"),
        ("SEEDS", "0 x", "are not different numbers"),
        ("SEEDS", "1 1", "are not different numbers"),
        ("FRESH", "yes", "is none of 0, 1"),
        ("SAN_DATA", "no such folder", "is no folder. Make it first"),
        ("SIGNAL", "absent signal.csv", "there is no file"),
    ],
)
def test_wrong_switch_is_refused_before_anything_runs(name, value, words):
    said = make("book", f"{name}={value}", "PYTHON=false")
    assert said.returncode != 0
    assert said.stdout == ""
    sentence, of_make = said.stderr.splitlines()
    assert f"{name}: " in sentence
    assert words in sentence
    assert value in sentence
    assert "switches" in of_make


def test_help_and_cleaning_are_never_refused_and_the_book_is_served_to_this_machine_alone():
    for target in ("help", "clean", "distclean"):
        said = make("--dry-run", target, "SAN_DATA=/nope")
        assert (said.returncode, said.stderr) == (0, "")
    assert "page" in make("help", "SAN_DATA=/nope").stdout
    assert "--bind 127.0.0.1" in make("--dry-run", "serve", "PYTHON=python").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        # Switches need nothing that is not installed yet.
        (
            ["-I", "-S", "sanbook/build/switches.py"],
            1,
            "JOBS: 'abc' is no number from 1 on. Give one.",
        ),
        (["task_book.py"], 1, "usage: python task_book.py book|pages|record|pdf|PAGE\n"),
        (["-m", "sanbook.data", "--help"], 0, ""),
    ],
)
def test_programs_say_how_they_are_called(arguments, status, words):
    environment = {**os.environ, "JOBS": "abc"}
    command = [sys.executable, *arguments]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (said.returncode, said.stderr[-len(words) - 1 :].strip()) == (status, words.strip())


# --- rendering ------------------------------------------------------------------------------------


@pytest.fixture
def unrendered(tmp_path, monkeypatch):
    """A project of one page of prose."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book/_toc.yml").write_text("root: intro")
    (tmp_path / "_config.yml").write_text("title: A book")
    (tmp_path / "README.md").write_text("<!-- ledger -->\nOf 3 numbers 2.\n<!-- end of ledger -->")
    (tmp_path / "book/api.md").write_text("")
    monkeypatch.setattr(render, "ROOT", tmp_path)
    monkeypatch.setattr(render, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(render, "SOURCES", ("book", "_config.yml"))
    return tmp_path


def test_failed_render_leaves_the_book_as_it_was_and_the_next_begins_anew(unrendered, monkeypatch):
    built = unrendered / "_build/quick/sphinx/_build/html/intro.html"

    def sphinx(text, returncode):
        def run(command, cwd, env):
            assert env["PYTHONPATH"].split(os.pathsep)[0] == str(unrendered)
            assert not built.exists()
            built.parent.mkdir(parents=True, exist_ok=True)
            built.write_text(text)
            return subprocess.CompletedProcess(command, returncode)

        return run

    rendered = unrendered / "_build/quick/html"
    monkeypatch.setattr(render.subprocess, "run", sphinx("half wri", 1))
    with pytest.raises(PageError, match="found errors"):
        render.render("quick")
    assert not rendered.exists()
    monkeypatch.setattr(render.subprocess, "run", sphinx("whole", 0))
    render.render("quick")
    assert (rendered / "intro.html").read_text() == "whole"
    assert "url=intro.html" in (rendered / "index.html").read_text()


def test_published_is_the_last_book_and_is_copied_once(unrendered, capsys):
    for profile in ("quick", "paper"):
        html = unrendered / f"_build/{profile}/html"
        html.mkdir(parents=True)
        (html / "intro.html").write_text(profile)
    shown = unrendered / "_build/html/intro.html"
    for profile in ("quick", "paper", "quick"):
        render.publish(profile)
        assert shown.read_text() == profile
        inode = shown.stat().st_ino
        render.publish(profile)
        assert shown.stat().st_ino == inode


def test_sources_that_are_the_same_keep_their_dates_and_others_leave(unrendered):
    (unrendered / "book/intro.md").write_text("# Intro")
    (unrendered / "book/gone.md").write_text("# Gone")
    folder = render.gather("quick")
    before = (folder / "book/intro.md").stat().st_mtime_ns
    (unrendered / "book/gone.md").unlink()
    render.gather("quick")
    assert (folder / "book/intro.md").stat().st_mtime_ns == before
    assert not (folder / "book/gone.md").exists()


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PageError, match=r"no Chromium to print with.*apt install"):
        render.print_pdf("quick")
    render.require_jupyter_book_1("1.0.4.post1")
    with pytest.raises(PageError, match=r"2.0.1 is installed, not 1.x.*jupyter-book<2"):
        render.require_jupyter_book_1("2.0.1")
