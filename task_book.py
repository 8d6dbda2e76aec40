"""The table of pages: notebook, parameters and data of each, what it reads and what it leaves.

    python task_book.py TARGET

makes what is out of date of ``book``, ``pages``, ``record``, ``pdf`` or one page, such as
``physionet/mitdb``. The switches come from the environment; Make passes them.
"""

import glob
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace

from doit.task import Task

from sanbook.build import render
from sanbook.build.engine import page_tasks, run, task
from sanbook.build.execute import PageError
from sanbook.build.graph import Page, digest
from sanbook.build.switches import ROOT, Switches, read_switches
from sanbook.data.manifest import MANIFEST, present

DATABASES = [name for name, source in MANIFEST.items() if source.record]
# The pages of data with labels, in the order of the paper's tables.
LABELLED = {"uci-epilepsy": "uci_epilepsy", "mnist": "mnist", "fashion-mnist": "fashion_mnist"}
# The paper's own recordings that are at hand: whole or in part, and those that were cut to the
# samples of the experiment.
STUDIED = ("bidmc", "bpssrat", "ctu-uhb-ctgdb", "drivedb", "emgdb", "mitdb", "noneeg", "voiced",
           "wrist")  # fmt: skip
AT_HAND = ("apnea-ecg", "prcp", *STUDIED)
# The lessons, and the data set that each shows; the last makes a signal itself.
LESSONS = {"01_metric": "mitdb", "02_activations": "mitdb", "03_network": "mitdb",
           "04_training": "mitdb", "05_recording": "mitdb", "06_image": "mnist",
           "07_your_signal": ""}  # fmt: skip
PUBLISHED, REPRODUCED = "data/published", "data/reproduced"
RECORDED_SEEDS = tuple(range(10))  # of the reference results; the book has three
DRAWN_SEEDS = range(100)  # of the whole PhysioNet procedure, from normal weights
# What is ranked; the phi of Identity is all rounding.
RANKED = ["relu", "top-k absolutes", "extrema-pool indices", "extrema"]
TARGETS = ("book", "pages", "record", "pdf")


def pages(switches: Switches, record: bool = False) -> list[Page]:
    """Every page that is executed, for the book or to make the reference results anew."""
    paper = switches.profile == "paper"
    data = {"data": switches.data}
    results = {"results": switches.results.relative_to(ROOT).as_posix()}
    common = {"profile": switches.profile, **data, **results}
    seeded = {**common, "seeds": list(switches.seeds)}
    every = (*DATABASES, *LABELLED)
    of_databases = tuple(f"physionet/{name}.json" for name in DATABASES)
    of_labelled = tuple(f"{page}.json" for page in LABELLED.values())
    table = [
        Page(
            page,
            "labelled",
            {"dataset": name, **seeded},
            data=(name,),
            files=(PUBLISHED,),
            leaves=(f"{page}.json", f"{page}.csv"),
            long=True,
        )
        for name, page in LABELLED.items()
    ]
    table += [
        Page(
            f"physionet/{name}",
            "physionet",
            {"database": name, **seeded},
            data=(name,),
            files=(PUBLISHED,),
            leaves=(f"physionet/{name}.json",),
        )
        for name in DATABASES
    ]
    table += [
        Page(
            f"learn/{lesson}",
            parameters=data if name else {},
            data=(name,) if name else (),
            files=(PUBLISHED,) if lesson == "04_training" else (),
        )
        for lesson, name in LESSONS.items()
    ]
    scaled = DATABASES if paper else ["mitdb"]
    compared = every if paper else ("mitdb", "mnist")
    trained = AT_HAND if record else ("mitdb",)
    started = tuple(LABELLED) if record else ()
    studied = STUDIED if paper else ("bidmc", "mitdb", "wrist")
    shown = ("mitdb", "bidmc", "emgdb")
    own = {"path": switches.signal, "column": switches.column, "window": switches.window}
    return [
        *table,
        Page(
            "scales",
            parameters={"databases": scaled, **seeded},
            data=tuple(scaled),
            reads=of_databases,
            leaves=("scales.json", "scales.csv"),
        ),
        Page(
            "scales_classes",
            parameters=seeded,
            data=tuple(LABELLED),
            reads=of_labelled,
            leaves=("scales_classes.json", "scales_classes.csv"),
        ),
        Page(
            "baselines",
            parameters={"datasets": list(compared), **common},
            data=compared,
            reads=(*of_databases, "scales.json"),
            leaves=("baselines.json", "baselines.csv"),
            long=True,
        ),
        Page(
            "differences",
            parameters=seeded,
            data=("uci-epilepsy", "mnist", *DATABASES),
            files=(PUBLISHED, REPRODUCED),
            reads=("physionet.csv", *of_labelled),
        ),
        Page(
            "procedure",
            parameters={**seeded, "databases": list(trained)},
            data=trained,
            files=(PUBLISHED, REPRODUCED),
            leaves=("procedure.json", "procedure.csv"),
            long=record,
        ),
        Page(
            "starts",
            parameters={**common, "databases": list(trained), "datasets": list(started)},
            data=(*trained, *started),
            files=(REPRODUCED,),
            leaves=("starts.json",),
            long=record,
        ),
        Page(
            "physionet_summary",
            parameters=results,
            files=(PUBLISHED, REPRODUCED),
            reads=of_databases,
            leaves=("physionet.csv",),
        ),
        Page(
            "ledger",
            parameters=results,
            files=(PUBLISHED, REPRODUCED),
            reads=("procedure.json", *of_labelled),
        ),
        Page(
            "causes",
            # As many seeds as other pages have, but none of the record's, whose smallest rates are
            # 1 of 200.
            parameters={
                **common,
                "seeds": list(range(100, 100 + len(switches.seeds))),
                "further": 200 if record else 2 * len(switches.seeds),
            },
            data=every,
            files=(PUBLISHED, REPRODUCED),
            leaves=("causes.json",),
            long=True,
        ),
        Page(
            "playground",
            parameters={"databases": list(shown), **common},
            data=(*shown, "mnist"),
            leaves=("playground.json",),
        ),
        Page(
            "laboratory",
            parameters={"databases": DATABASES, **data},
            data=tuple(DATABASES),
            files=(f"{REPRODUCED}/runs.csv",),
        ),
        Page(
            "own_signal",
            parameters={**own, **seeded},
            data=() if switches.signal else ("mitdb",),
            files=files_of_recording(switches.signal) if switches.signal else (),
            leaves=("own_signal.json", "own_signal.safetensors"),
        ),
        Page(
            "study",
            parameters={"databases": list(studied), **common},
            data=studied,
            leaves=("study.json",),
            long=True,
        ),
        Page("data/physionet", "data_physionet", data, data=tuple(DATABASES)),
        Page("speed", files=(f"{REPRODUCED}/bench.csv",)),
    ]


def files_of_recording(path: str) -> tuple[str, ...]:
    """The files of a recording: all beside it with its stem, as a header has its signals there."""
    stem = glob.escape(str((ROOT / path).with_suffix("")))
    return tuple(sorted(glob.glob(f"{stem}.*")))


def needed_for(wanted: Iterable[str], table: dict[str, Page]) -> dict[str, Page]:
    """The wanted pages, and those whose results they read, directly or not."""
    makers = {file: page.name for page in table.values() for file in page.leaves}
    found, waiting = {}, list(wanted)
    while waiting:
        page = table[waiting.pop()]
        found[page.name] = page
        waiting += [makers[file] for file in page.reads if makers[file] not in found]
    return found


def book_task(table: Iterable[Page], switches: Switches) -> Task:
    """The task that renders the book of all pages and the prose; the reference has the modules."""
    sources = [ROOT / path for path in (*render.SOURCES, "san_core.py", "sanbook")]
    made = [path for page in table for path in page.products(switches)]
    return task(
        "book",
        lambda: render.render(switches.profile),
        lambda: digest([*sources, *made]),
        [switches.folder / "html" / "index.html"],
        [page.name for page in table],
    )


def fetch_missing(pages: Iterable[Page], switches: Switches) -> None:
    """Fetch what pages need and is not there, several data sets at a time."""
    names = {name for page in pages for name in page.data}
    missing = sorted(name for name in names if not present(name, switches.directory))
    if missing and switches.data != "sample":
        # "real" fetches as "auto" does, and simulates nothing for the table that is not shown.
        command = [sys.executable, "-m", "sanbook.data", "--data", "real", *missing]
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        absent = [name for name in missing if not present(name, switches.directory)]
        if absent:
            print(f"not at hand: {', '.join(absent)}; `make data` says why")


def main(target: str) -> int:
    """Make a target; returns the exit status for the shell."""
    switches = read_switches()
    if target == "record":
        return make_record(switches)
    table = {page.name: page for page in pages(switches)}
    if target not in (*TARGETS, *table):
        raise PageError(f"{target}: is no page. Name one of {', '.join((*TARGETS, *table))}.")
    book = [book_task(table.values(), switches)] if target in ("book", "pdf") else []
    status = make([target] if target in table else list(table), table, switches, target, book)
    if status == 0 and book:
        render.publish(switches.profile)
    if status == 0 and target == "pdf":
        render.print_pdf(switches.profile)
    return status


def make(
    wanted: Iterable[str],
    table: dict[str, Page],
    switches: Switches,
    forced: str = "",
    book: Iterable[Task] = (),
) -> int:
    """Make what is out of date of pages, what they read, and the book; returns the exit status."""
    needed = needed_for(wanted, table)
    fetch_missing(needed.values(), switches)
    share = str(max(1, (os.cpu_count() or 1) // switches.jobs))
    os.environ |= {"OMP_NUM_THREADS": share, "NUMBA_NUM_THREADS": share}
    os.environ["SAN_DATA"] = str(switches.directory)
    return run([*page_tasks(needed.values(), switches, forced), *book], switches)


def make_record(switches: Switches) -> int:
    """Make the reference results, in a folder of their own: a book has other seeds.

    The page of the procedure is made a second time with more seeds, for the ranks. Which numbers
    need a cause is known from the new reference results only, so the page of causes comes last.
    """
    if switches.profile != "paper" or switches.data == "sample":
        raise PageError(
            "record: the reference results are of full runs on the paper's data. Leave out "
            "PROFILE=quick and DATA=sample."
        )
    switches = replace(
        switches,
        folder=ROOT / "_build" / "record",
        seeds=switches.seeds if os.environ.get("SEEDS") else RECORDED_SEEDS,
    )
    alone = replace(switches, jobs=1)  # one page has all processors
    further = tuple(seed for seed in DRAWN_SEEDS if seed not in switches.seeds)
    drawn = replace(alone, folder=switches.folder / "draws", seeds=further)
    table, of_draws = (
        {page.name: page for page in pages(given, record=True)} for given in (switches, drawn)
    )
    of_draws["procedure"].parameters.update(activations=RANKED, starts=["normal"])
    steps = (
        ("runs", ["ledger", "starts"], table, switches),
        ("draws", ["procedure"], of_draws, drawn),
        ("causes", ["causes"], table, alone),
    )
    for what, wanted, rows, given in steps:
        status = make(wanted, rows, given)
        if status:
            return status
        keep = [sys.executable, "-m", "sanbook.reproduction.reference", what, str(given.results)]
        subprocess.run(keep, cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    try:
        if len(sys.argv) != 2:
            raise PageError(f"usage: python task_book.py {'|'.join(TARGETS)}|PAGE")
        sys.exit(main(sys.argv[1]))
    except (PageError, ValueError) as error:
        sys.exit(str(error))
    except subprocess.CalledProcessError as error:  # which has said why
        sys.exit(error.returncode)
