"""Tests of how pages are made: what is out of date, what is published, what survives faults."""

import dataclasses
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed
import nbformat
import pytest

from sanbook.build import engine
from sanbook.build import execute as execution
from sanbook.build import graph as tasks
from sanbook.build import render as rendering
from sanbook.build.execute import PageError, Specification
from sanbook.build.switches import read_switches
from sanbook.data.manifest import MANIFEST

ROOT = Path(__file__).parent.parent.parent


def code(source, **metadata):
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def notebook(*cells):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=list(cells), metadata={"kernelspec": kernel})


# --- one page -------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project with one notebook that has a number and a text as parameters."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(execution, "ROOT", tmp_path)
    page = notebook(
        nbformat.v4.new_markdown_cell("# A page: first\n\nThe first of many."),
        code('dataset: str = "first"  # which\ncount: int = 3  # how many', tags=["parameters"]),
        code("assert count < 10, 'too many'\nprint(dataset, count)"),
    )
    nbformat.write(page, tmp_path / "notebooks" / "page.ipynb")
    return tmp_path


def specified(**parameters):
    return Specification("pages/x", "notebooks/page.ipynb", parameters, "_build/quick", [], "make")


def test_page_has_its_parameters_and_its_title(project):
    execution.execute_page(specified(dataset="second", count=4))
    page = nbformat.read(specified().page, as_version=4)
    assert page.cells[0].source == "# A page: second\n\nThe first of many."
    assert page.cells[-2].outputs[0].text == "second 4\n"
    assert "set-up" in page.cells[2].metadata.tags
    assert "papermill" not in page.metadata


def test_unknown_parameter_is_an_error(project):
    with pytest.raises(PageError, match=r"\['count', 'dataset'\], but not \['cuont'\]"):
        execution.execute_page(specified(cuont=4))


def test_failing_page_names_its_cell_and_is_not_published(project):
    execution.execute_page(specified(count=4))
    before = specified().page.read_bytes()
    with pytest.raises(PageError, match=r"(?s)cell \d of notebooks/page.ipynb failed.*too many"):
        execution.execute_page(specified(count=12))
    assert specified().page.read_bytes() == before


def test_provenance_has_the_commit_at_the_start_of_the_page(project, monkeypatch):
    commits = iter(["at the start", "made meanwhile"])
    monkeypatch.setattr(
        execution, "checkout", lambda: {"commit": next(commits), "uncommitted_changes": False}
    )
    execution.execute_page(specified(count=4))
    facts = json.loads(specified().provenance.read_text())
    assert facts["commit"] == "at the start"
    assert facts["peak_megabytes"] > 10
    assert nbformat.read(specified().page, as_version=4).cells[-1].id == "provenance"


def test_kernels_share_no_port(project):
    """Two kernels that start at the same moment could be given the same one, and one would hang."""
    asks = "import json, ipykernel\nprint(open(ipykernel.get_connection_file()).read())"
    nbformat.write(notebook(code(asks)), project / "notebooks" / "page.ipynb")
    execution.execute_page(dataclasses.replace(specified(), name="pages/asks"))
    page = nbformat.read(project / "_build/quick/pages/pages/asks.ipynb", as_version=4)
    connection = json.loads(page.cells[0].outputs[0].text)
    assert connection["transport"] == "ipc"
    assert not Path(connection["ip"]).parent.exists()  # it went with the page


# --- a page in a process of its own ---------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    """A copy of the project whose table has two slow pages and one that reads the first."""
    for name in ("sanbook", "san_core.py"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    (tmp_path / "notebooks").mkdir()
    for name, said in (("first", "results"), ("second", "results"), ("third", "results")):
        cells = [
            nbformat.v4.new_markdown_cell(f"# {name}"),
            code(
                'results: str = ""  # where\nseconds: float = 0.0  # to sleep', tags=["parameters"]
            ),
            code("import time\nfrom pathlib import Path\ntime.sleep(seconds)"),
            code(f"Path({said}, '{name}.csv').write_text('{name}')"),
        ]
        nbformat.write(notebook(*cells), tmp_path / "notebooks" / f"{name}.ipynb")
    (tmp_path / "task_small.py").write_text(
        "import sys\n"
        "from sanbook.build.engine import execute\n"
        "from sanbook.build.switches import read_switches\n"
        "from sanbook.build.graph import Page, page_task\n"
        "seconds = float(sys.argv[1])\n"
        "switches = read_switches()\n"
        "results = f'_build/{switches.profile}/results'\n"
        "def page(name, **more):\n"
        "    return Page(name, name, {'results': results, 'seconds': seconds},\n"
        "                leaves=(f'{name}.csv',), **more)\n"
        "pages = [page('first'), page('second'), page('third', reads=('first.csv',))]\n"
        "if __name__ == '__main__':\n"
        "    sys.exit(execute([page_task(one, switches) for one in pages], switches))\n"
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def start(project, seconds=0.0, **switches):
    """The program that makes the three pages."""

    return subprocess.Popen(
        [sys.executable, "task_small.py", str(seconds)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "PROFILE": "quick", **switches},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Ignored where tests run in background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(process):
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def made(project):
    folder = project / "_build/quick/pages"
    return {p.stem: p.stat().st_mtime_ns for p in folder.glob("*.ipynb")}


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


@pytest.mark.parametrize("moment", ["first second", "last cell"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupt_loses_only_the_pages_in_progress(small, number, moment):
    process = start(small, seconds=60, JOBS="2")
    unfinished = small / "_build/quick/unfinished"
    if moment == "first second":
        wait_for(lambda: len(alive(small)) > 1, process)
    else:
        wait_for(lambda: len(list(unfinished.glob("*.ipynb"))) == 2, process)
    started = time.monotonic()
    process.send_signal(number)
    status, output = finish(process)
    assert time.monotonic() - started < 10
    assert status == (130 if number != signal.SIGKILL else -signal.SIGKILL)
    assert "Traceback" not in output
    assert not made(small)
    deadline = time.monotonic() + 20
    while alive(small):  # kernels look for their parent once a second
        assert time.monotonic() < deadline
        time.sleep(0.1)
    status, output = finish(start(small))
    assert status == 0, output
    assert set(made(small)) == {"first", "second", "third"}


def test_full_disk_is_named_and_nothing_half_written_is_published(small):
    # A limit on the size of files of one page stands in for the end of the disk.
    page = Specification("first", "notebooks/first.ipynb", {"results": "."}, "_build/quick", [], "")
    process = subprocess.Popen(
        [sys.executable, "-m", "sanbook.build.execute"],
        cwd=small,
        env={**os.environ, "PYTHONPATH": str(small)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500)),
    )
    process.stdin.write(json.dumps(dataclasses.asdict(page)) + "\n")
    process.stdin.flush()  # and held open: else the page ends
    output = process.stdout.read()
    assert process.wait() == 1
    assert "File too large" in output
    assert "mend that and run make again" in output
    assert "Traceback" not in output
    assert not made(small)
    status, output = finish(start(small))
    assert status == 0, output
    assert len(made(small)) == 3


def test_failing_page_stops_only_what_needs_it(small):
    path = small / "notebooks/first.ipynb"
    path.write_text(path.read_text().replace("time.sleep(seconds)", "raise OSError('broken')"))
    status, output = finish(start(small))
    assert status == 1
    assert set(made(small)) == {"second"}
    assert "first failed: cell 4 of notebooks/first.ipynb failed: OSError: broken" in output
    assert "not made, because they need what failed: quick: third" in output


def test_second_call_executes_nothing_in_a_few_seconds(small):
    assert finish(start(small))[0] == 0
    before = made(small)
    for path in small.rglob("*.ipynb"):
        path.touch()
    after = made(small)
    started = time.monotonic()
    status, output = finish(start(small))
    assert (status, made(small)) == (0, after)
    assert "0 made, 3 up to date" in output
    assert time.monotonic() - started < 10
    assert after.keys() == before.keys()


@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_other_parameters_run_their_page_and_no_other(small, name):
    assert finish(start(small))[0] == 0
    before, table = made(small), small / "task_small.py"
    changed = f"'seconds': 0.001 if name == {name!r} else seconds"
    table.write_text(table.read_text().replace("'seconds': seconds", changed))
    status, output = finish(start(small))
    assert status == 0, output
    after = made(small)
    assert [page for page in after if after[page] != before[page]] == [name]


def test_profiles_never_touch_each_other(small):
    assert finish(start(small))[0] == 0
    before = made(small)
    status, output = finish(start(small, PROFILE="paper", SEEDS="3"))
    assert status == 0, output
    assert len(list((small / "_build/paper/pages").glob("*.ipynb"))) == 3
    assert made(small) == before


def test_pages_run_on_a_dask_cluster_and_a_killed_worker_loses_nothing(small):
    leader = small / "scheduler.json"

    def dask(program, *options):
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{program}", "--no-dashboard", *options],
            cwd=small,
            env={**os.environ, "PYTHONPATH": str(small)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    local = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(leader))
    running = [dask("scheduler", *local)]
    try:
        wait_for(leader.exists, running[0])
        address = json.loads(leader.read_text())["address"]
        running += [dask("worker", address, "--nthreads", "1", "--no-nanny") for _ in range(2)]
        with distributed.Client(address) as client:
            client.wait_for_workers(2, timeout=60)
        process = start(small, seconds=4, SCHEDULER=address)
        unfinished = small / "_build/quick/unfinished"
        wait_for(lambda: len(list(unfinished.glob("*.ipynb"))) == 2, process)
        running[2].kill()  # in the middle of its page
        status, output = finish(process)
        assert status == 0, output
        assert set(made(small)) == {"first", "second", "third"}
        there = {p.name: p.read_bytes() for p in (small / "_build/quick/results").glob("*.csv")}
    finally:
        for one in running:
            one.kill()
            one.wait()
    shutil.rmtree(small / "_build")
    assert finish(start(small))[0] == 0
    here = {p.name: p.read_bytes() for p in (small / "_build/quick/results").glob("*.csv")}
    assert there == here
    assert len(here) == 3


# --- what is out of date --------------------------------------------------------------------------


@pytest.fixture
def states(tmp_path, monkeypatch):
    """States of the nodes of two pages, the database mitdb and one of prose, before and after."""
    clone = tmp_path / "clone"
    ignored = shutil.ignore_patterns(".*", "_build", "*.egg-info", "__pycache__", "physionet")
    shutil.copytree(ROOT, clone, ignore=ignored)
    recording = clone / "data/physionet/mitdb"
    recording.mkdir(parents=True)
    (recording / "100.hea").write_text("header")
    (recording / "100.dat").write_bytes(b"samples")
    for module in (tasks, execution, rendering):
        monkeypatch.setattr(module, "ROOT", clone)
    monkeypatch.setattr("sanbook.build.switches.ROOT", clone)

    def states(directory=None, seeds="0", published=True):
        tasks.imports.cache_clear()
        switches = read_switches(
            {"PROFILE": "quick", "SEEDS": seeds, "SAN_DATA": str(directory or clone / "data")}
        )
        pages = [
            tasks.Page(
                "physionet/mitdb",
                "physionet",
                {"database": "mitdb", "seeds": list(switches.seeds), "results": str(directory)},
                data=("mitdb",),
                files=("data/published",),
                leaves=("physionet/mitdb.json",),
            ),
            tasks.Page("speed", "speed", {"results": "r"}),
        ]
        work = [tasks.page_task(page, switches) for page in pages]
        book = tasks.book_task(work, switches)
        return {
            task.name.removeprefix("quick: "): [
                node.state()
                for name, tree in task.depends_on.items()
                for node in tasks._nodes(tree)
            ]
            for task in (*work, book)
        }

    states.clone = clone
    return states


def edit(path, text="\n# another line\n"):
    with path.open("a") as file:
        file.write(text)


# What changed, and which of the page of mitdb, the page of speed and the book are made again.
CHANGES = {
    "nothing": (lambda clone: None, set()),
    "the date of a module": (lambda clone: (clone / "sanbook/training/__init__.py").touch(), set()),
    "prose": (lambda clone: edit(clone / "book/phi.md"), {"book"}),
    "the table of pages": (lambda clone: edit(clone / "task_book.py"), set()),
    "a notebook": (
        lambda clone: edit(clone / "notebooks/physionet.ipynb", " "),
        {"physionet/mitdb", "book"},
    ),
    "a sample": (lambda clone: edit(clone / "data/physionet/mitdb/100.dat"), {"physionet/mitdb"}),
    "a file appears": (
        lambda clone: (clone / "data/physionet/mitdb/SHA256SUMS.txt").write_text("x"),
        {"physionet/mitdb"},
    ),
    "other data": (lambda clone: (clone / "data/mnist.txt").write_text("x"), set()),
    "a published table": (
        lambda clone: edit(clone / "data/published/physionet.csv"),
        {"physionet/mitdb"},
    ),
    "a module it imports": (
        lambda clone: edit(clone / "sanbook/training/__init__.py"),
        {"physionet/mitdb", "book"},
    ),
    "a module that one imports": (
        lambda clone: edit(clone / "sanbook/data/fetch.py"),
        {"physionet/mitdb", "book"},
    ),
    "a module it does not import": (
        lambda clone: edit(clone / "sanbook/methods/__init__.py"),
        {"book"},  # whose reference documents all modules
    ),
    "the way pages are executed": (
        lambda clone: edit(clone / "sanbook/build/execute.py"),
        {"book"},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_what_runs(states, change):
    act, expected = CHANGES[change]
    before = states()
    act(states.clone)
    after = states()
    # Pages that are made again are files that the book depends on; here none is made.
    assert {name for name in before if before[name] != after[name]} == expected


def test_other_seeds_run_and_other_places_of_the_same_bytes_do_not(states, tmp_path):
    before = states()
    assert states(seeds="0 1")["physionet/mitdb"] != before["physionet/mitdb"]
    shutil.copytree(states.clone / "data", tmp_path / "my data")
    assert states(directory=tmp_path / "my data") == before


def test_other_facts_of_a_data_set_run_its_pages_only(states, monkeypatch, change_source):
    before = states()
    change_source("wrist", pitfalls="a sentence")
    assert states() == before
    change_source("mitdb", pitfalls="a sentence")
    after = states()
    assert {name for name in before if before[name] != after[name]} == {"physionet/mitdb"}


def test_imports_are_followed_through_modules_and_functions():
    found = {path.name for path in tasks.modules_of(ROOT / "notebooks/physionet.ipynb")}
    assert {"san_core.py", "training.py", "data.py", "fetch.py", "__init__.py"} <= found
    assert not {"baselines.py", "engine.py", "tasks.py", "rendering.py"} & found


def test_table_of_pages_is_that_of_contents_and_data_sets():
    import task_book

    switches = read_switches({})
    pages = task_book.pages(switches)
    toc = rendering.yaml.safe_load((ROOT / "book/_toc.yml").read_text())
    prose = {path.stem for path in (ROOT / "book").glob("*.md")}
    # Pages of prose show the pictures, which have no page of their own.
    executed = {page.name for page in pages} - {"pictures"}
    assert executed == set(rendering.contents_of(toc)) - prose
    assert len(pages) == len(executed) + 1
    assert {name for page in pages for name in page.data} == set(MANIFEST)
    leaves = [file for page in pages for file in page.leaves]
    assert len(set(leaves)) == len(leaves)
    assert {file for page in pages for file in page.reads} <= {*leaves, "bench.csv"}


def test_record_has_ten_seeds_and_its_causes_are_tried_when_it_is_written(monkeypatch):
    import task_book

    done = []
    monkeypatch.setenv("SEEDS", "")
    monkeypatch.setattr(task_book, "fetch_missing", lambda pages, switches: None)
    monkeypatch.setattr(task_book, "run", lambda command, environment: done.append(command[3]))

    def execute(tasks, switches):
        done.append((len(switches.seeds), {task.name for task in tasks}))
        return 0

    monkeypatch.setattr(task_book, "execute", execute)
    assert task_book.main("record") == 0
    (seeds, pages), *kept = done
    assert seeds == 10
    assert {"paper: seeds", "paper: mnist", "paper: ledger"} < pages
    assert "paper: causes" not in pages
    assert kept == ["record", (10, {"paper: causes"}), "causes"]
    monkeypatch.setenv("SEEDS", "3")
    assert task_book.main("record") == 0
    assert done[4][0] == 1


def test_benchmark_waits_for_all_pages_but_that_of_its_times():
    import task_book

    switches = read_switches({})
    work = [tasks.page_task(page, switches) for page in task_book.pages(switches)]
    bench = tasks.bench_task(work, switches, full=False)
    makers = {task.produces["made"].name: task.name for task in work}
    waited_for = {makers[node.name] for node in bench.depends_on["others"]}
    assert {task.name for task in work} - waited_for == {"paper: speed"}


# --- switches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PROFILE", "Paper", "PROFILE=paper or quick"),
        ("DATA", "none", "DATA=auto or real or sample"),
        ("JOBS", "abc", "JOBS to be a number from 1 on"),
        ("JOBS", "0", "JOBS to be a number from 1 on"),
        ("SEEDS", "0 x", "SEEDS to be different numbers"),
        ("SEEDS", "1 1", "SEEDS to be different numbers"),
        ("SEEDS", "-1", "SEEDS to be different numbers"),
        ("SAN_DATA", "no such folder", "SAN_DATA to be a folder"),
        ("SCHEDULER", "my-cluster", "SCHEDULER=tcp://host:port"),
        (
            "SIGNAL",
            "my signal.txt",
            "SIGNAL to be a file of one of the kinds .csv, .edf, .hea",
        ),
        ("SIGNAL", "absent.csv", "SIGNAL to be a file"),
    ],
)
def test_wrong_switch_is_refused_before_anything_runs(name, value, words):
    said = subprocess.run(
        ["make", "book", f"{name}={value}", "PYTHON=false"],
        cwd=ROOT,
        env={
            key: text for key, text in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL")
        },
        capture_output=True,
        text=True,
    )
    assert said.returncode != 0
    assert said.stdout == ""
    (line,) = said.stderr.splitlines()
    assert f"expected {words}" in line
    assert value in line


def test_switches_need_nothing_that_is_not_installed_yet():
    command = [sys.executable, "-I", "-S", str(ROOT / "sanbook/build/switches.py")]
    said = subprocess.run(command, env={"JOBS": "abc"}, capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (2, "")
    assert "got 'abc'" in said.stdout


# --- rendering ------------------------------------------------------------------------------------


@pytest.fixture
def unrendered(tmp_path, monkeypatch):
    """A project of one page of prose."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book/_toc.yml").write_text("root: intro")
    (tmp_path / "_config.yml").write_text("title: A book")
    (tmp_path / "README.md").write_text("<!-- ledger -->\nOf 3 numbers 2.\n<!-- end of ledger -->")
    monkeypatch.setattr(rendering, "ROOT", tmp_path)
    monkeypatch.setattr(rendering, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(rendering, "SOURCES", ("book", "_config.yml"))
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
    monkeypatch.setattr(rendering.subprocess, "run", sphinx("half wri", 1))
    with pytest.raises(PageError, match="found errors"):
        rendering.render("quick")
    assert not rendered.exists()
    monkeypatch.setattr(rendering.subprocess, "run", sphinx("whole", 0))
    rendering.render("quick")
    assert (rendered / "intro.html").read_text() == "whole"
    assert "url=intro.html" in (rendered / "index.html").read_text()


def test_published_is_the_last_book_and_is_copied_once(unrendered, capsys):
    for profile in ("quick", "paper"):
        html = unrendered / f"_build/{profile}/html"
        html.mkdir(parents=True)
        (html / "intro.html").write_text(profile)
    shown = unrendered / "_build/html/intro.html"
    for profile in ("quick", "paper", "quick"):
        rendering.publish(profile)
        assert shown.read_text() == profile
        inode = shown.stat().st_ino
        rendering.publish(profile)
        assert shown.stat().st_ino == inode


def test_sources_that_are_the_same_keep_their_dates_and_others_leave(unrendered):
    (unrendered / "book/intro.md").write_text("# Intro")
    (unrendered / "book/gone.md").write_text("# Gone")
    folder = rendering.gather("quick")
    before = (folder / "book/intro.md").stat().st_mtime_ns
    (unrendered / "book/gone.md").unlink()
    rendering.gather("quick")
    assert (folder / "book/intro.md").stat().st_mtime_ns == before
    assert not (folder / "book/gone.md").exists()


def test_pdf_without_chromium_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PageError, match=r"expected Chromium to print with.*apt install"):
        rendering.print_pdf("quick")


def test_jupyter_book_2_is_refused():
    rendering.require_jupyter_book_1("1.0.4.post1")
    with pytest.raises(PageError, match=r"Jupyter Book 1.x, but 2.0.1.*jupyter-book<2"):
        rendering.require_jupyter_book_1("2.0.1")


def test_stop_ends_the_program_that_runs(monkeypatch):
    monkeypatch.setattr(engine, "_stopped", engine.threading.Event())
    with pytest.raises(KeyboardInterrupt):
        engine.stop()
    with pytest.raises(PageError, match="interrupted"):
        engine.run([sys.executable, "-c", "pass"], {})
