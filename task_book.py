"""The table of pages: notebook, parameters and data of each, what it reads and what it leaves.

    python task_book.py TARGET

lets pytask make what is out of date of ``book``, ``pages``, ``bench``, ``record``, ``pdf`` or one
page, such as ``physionet/mitdb``. The switches come from the environment; Make passes them.
"""

import os
import sys
from dataclasses import replace

from sanbook.build import render as rendering
from sanbook.build.engine import execute, run
from sanbook.build.execute import ROOT, PageError
from sanbook.build.graph import (
    Page,
    bench_task,
    book_task,
    fetch_missing,
    needed_for,
    page_task,
    results_of,
    specification,
)
from sanbook.build.switches import Switches, read_switches
from sanbook.data import fetch

DATABASES = [name for name, source in fetch.MANIFEST.items() if source.record]
# The pages of data with labels, in the order of the paper's tables.
LABELLED = {"uci-epilepsy": "uci_epilepsy", "mnist": "mnist", "fashion-mnist": "fashion_mnist"}
# The paper's own recordings that are at hand: whole or in part, and those that were cut to the
# samples of the experiment.
STUDIED = ("bidmc", "bpssrat", "ctu-uhb-ctgdb", "drivedb", "emgdb", "mitdb", "noneeg", "voiced",
           "wrist")  # fmt: skip
AT_HAND = ("apnea-ecg", "prcp", *STUDIED)
PUBLISHED = "data/published"
RECORDED_SEEDS = tuple(range(10))  # of the reference results; the book has three
TARGETS = ("book", "pages", "bench", "record", "pdf")


def pages(switches: Switches, record: bool = False) -> list[Page]:
    """Every page that is executed, for the book or to make the reference results anew."""
    paper = switches.profile == "paper"
    data = {"data": switches.data}
    results = {"results": f"_build/{switches.profile}/results"}
    seeds = {"seeds": list(switches.seeds)}
    common = {"profile": switches.profile, **data, **results}
    of_databases = tuple(f"physionet/{name}.json" for name in DATABASES)
    every = (*DATABASES, *LABELLED)
    table = [
        Page(
            name=page,
            notebook="labelled",
            parameters={"dataset": name, **common, **seeds},
            data=(name,),
            files=(PUBLISHED,),
            leaves=(f"{page}.json", f"{page}.csv"),
            long=True,
        )
        for name, page in LABELLED.items()
    ]
    table += [
        Page(
            name=f"physionet/{name}",
            notebook="physionet",
            parameters={"database": name, **common, **seeds},
            data=(name,),
            files=(PUBLISHED,),
            leaves=(f"physionet/{name}.json",),
            awaited=True,
        )
        for name in DATABASES
    ]
    trained = AT_HAND if record else ("mitdb",)
    compared = every if paper else ("mitdb", "mnist")
    studied = STUDIED if paper else ("bidmc", "mitdb", "wrist")
    return [
        *table,
        Page(
            name="scales",
            notebook="scales",
            parameters={"databases": DATABASES if paper else ["mitdb"], **common, **seeds},
            data=tuple(DATABASES) if paper else ("mitdb",),
            reads=of_databases,
            leaves=("scales.json", "scales.csv"),
            awaited=True,
        ),
        Page(
            name="scales_classes",
            notebook="scales_classes",
            parameters={**common, **seeds},
            data=tuple(LABELLED),
            reads=tuple(f"{page}.json" for page in LABELLED.values()),
            leaves=("scales_classes.json", "scales_classes.csv"),
        ),
        Page(
            name="baselines",
            notebook="baselines",
            parameters={"datasets": list(compared), **common},
            data=compared,
            reads=(*of_databases, "scales.json"),
            leaves=("baselines.json", "baselines.csv"),
            long=True,
        ),
        Page(
            name="differences",
            notebook="differences",
            parameters={**common, **seeds},
            data=("uci-epilepsy", "mnist", *DATABASES),
            files=(PUBLISHED, "data/reproduced"),
            reads=("physionet.csv", *(f"{page}.json" for page in LABELLED.values())),
        ),
        Page(
            name="procedure",
            notebook="procedure",
            parameters={**common, **seeds, "databases": list(trained)},
            data=trained,
            files=(PUBLISHED, "data/reproduced"),
            leaves=("procedure.json", "procedure.csv"),
            long=record,
        ),
        Page(
            name="physionet_summary",
            notebook="physionet_summary",
            parameters=results,
            files=(PUBLISHED, "data/reproduced"),
            reads=of_databases,
            leaves=("physionet.csv",),
        ),
        Page(
            name="ledger",
            notebook="ledger",
            parameters=results,
            files=(PUBLISHED, "data/reproduced"),
            reads=(
                "procedure.json",
                *(f"{page}.json" for page in LABELLED.values()),
            ),
        ),
        Page(
            name="causes",
            notebook="causes",
            # As many seeds as other pages have, but none of the record's.
            parameters={**common, "seeds": list(range(100, 100 + len(switches.seeds)))},
            data=every,
            files=(PUBLISHED, "data/reproduced"),
            leaves=("causes.json",),
            long=True,
        ),
        Page(
            name="pictures",
            notebook="pictures",
            parameters=data,
            data=("mitdb",),
            files=(PUBLISHED,),
        ),
        Page(
            name="playground",
            notebook="playground",
            parameters={"databases": ["mitdb", "bidmc", "emgdb"], **common},
            data=("mitdb", "bidmc", "emgdb", "mnist"),
            leaves=("playground.json",),
        ),
        Page(
            name="own_signal",
            notebook="own_signal",
            parameters={
                "path": switches.signal,
                "column": switches.column,
                "window": switches.window,
                **common,
                **seeds,
            },
            data=() if switches.signal else ("mitdb",),
            files=tuple(str(path) for path in ROOT.glob(switches.signal.rpartition(".")[0] + ".*"))
            if switches.signal
            else (),
            leaves=("own_signal.json",),
        ),
        Page(
            name="study",
            notebook="study",
            parameters={"databases": list(studied), **common},
            data=studied,
            leaves=("study.json",),
            long=True,
        ),
        Page(
            name="data/physionet", notebook="data_physionet", parameters=data, data=tuple(DATABASES)
        ),
        Page(name="house", notebook="house", files=("san_core.py", "sanbook")),
        Page(name="speed", notebook="speed", parameters=results, reads=("bench.csv",)),
    ]


def main(target: str) -> int:
    """Make a target; returns the exit status for the shell."""
    switches = read_switches()
    if target == "record" and not os.environ.get("SEEDS"):
        switches = replace(switches, seeds=RECORDED_SEEDS)
    table = {page.name: page for page in pages(switches, target == "record")}
    if target not in (*TARGETS, *table):
        raise PageError(f"expected one of {', '.join((*TARGETS, *table))}, got {target!r}")
    if target in table:  # asked for by name, it is executed in any case
        specification(table[target], switches).page.unlink(missing_ok=True)
    tasks = {name: page_task(page, switches) for name, page in table.items()}
    tasks["bench"] = bench_task(tasks.values(), switches, full=target == "bench")
    if target in ("book", "pdf"):
        tasks["book"] = book_task(tasks.values(), switches)
    wanted = {"pages": [*tasks], "record": ["ledger"], "pdf": ["book"]}.get(target, [target])
    needed = needed_for([tasks[name] for name in wanted], tasks.values())
    names = {task.name for task in needed}
    fetch_missing([p for p in table.values() if tasks[p.name].name in names], switches)
    status = execute(needed, switches)
    if status == 0 and target in ("book", "pdf"):
        rendering.publish(switches.profile)
    if status == 0 and target == "record":
        keep = [sys.executable, "-m", "sanbook.reproduction.reference"]
        run([*keep, "runs", str(results_of(switches))], {})
        # Which numbers need a cause is known from the new record only.
        status = execute([tasks["causes"]], switches)
        if status == 0:
            run([*keep, "causes", str(results_of(switches))], {})
    if status == 0 and target == "pdf":
        run([sys.executable, "-m", "sanbook.build.render", "pdf", switches.profile], {})
    return status


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (PageError, ValueError) as error:
        sys.exit(str(error))
