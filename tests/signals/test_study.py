"""Whole records: the same table from any number of workers, and what a failure costs."""

import multiprocessing
import os
import shutil
import signal
import threading
import time

import distributed
import numpy as np
import pytest
import wfdb

from sanbook.signals import cli, study
from sanbook.signals.study import (
    Plan,
    Unit,
    find_units,
    hash_of_code,
    pack,
    result_file,
    run_study,
    run_units,
)

PLAN = Plan(window=50, kernel_sizes=(3, 7), epochs=1, candidates=((1, 3),), rounds=(1,))


def write(folder, name, seed, channels=1, windows=14):
    random = np.random.default_rng(seed)
    time = np.arange(50 * windows)[:, None]
    values = np.sin(time / (4 + seed) + np.arange(channels)) + 0.1 * random.normal(
        size=(len(time), channels)
    )
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"lead {i}" for i in range(channels)]
    wfdb.wrsamp(name, fs=50, units=["mV"] * channels, sig_name=names, p_signal=values,
                fmt=["16"] * channels, write_dir=str(folder))  # fmt: skip


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Three records with four channels, in two folders."""
    folder = tmp_path_factory.mktemp("records")
    write(folder / "a", "100", seed=0, channels=2)
    write(folder / "a", "101", seed=1)
    write(folder / "b", "200", seed=2, windows=20)
    return folder


@pytest.fixture(scope="module")
def table(records, tmp_path_factory):
    done = run_study(records, tmp_path_factory.mktemp("one"), PLAN)
    assert done.failures == {}
    return done.table


def test_a_study_describes_every_window_of_every_channel(records, table):
    counts = table.groupby(["record", "channel", "method"]).size().unstack("method")
    assert set(counts) == {*study.ACTIVATIONS, "scales", "wavelets"}
    assert counts["extrema"].to_dict() == {
        ("a/100", 0): 14, ("a/100", 1): 14, ("a/101", 0): 14, ("b/200", 0): 20,
    }  # fmt: skip
    assert (counts.nunique(axis=1) == 1).all()
    first = table[(table.record == "b/200") & (table.method == "relu")]
    assert first.part.tolist() == ["train"] * 6 + ["validation"] * 2 + ["test"] * 4 + ["later"] * 8
    assert first.start.tolist() == [*range(0, 1000, 50)]
    phi = np.hypot(table.inverse_compression_ratio, table.normalized_reconstruction_loss)
    np.testing.assert_allclose(table.phi, phi, rtol=1e-5)


def test_two_workers_and_many_tasks_give_the_same_table(records, table, tmp_path):
    two = run_study(records, tmp_path, PLAN, workers=2, least=0).table
    assert two.to_csv() == table.to_csv()


def test_what_is_there_is_not_computed_again(records, table, tmp_path, monkeypatch):
    run_study(records, tmp_path, PLAN)
    left = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(left) == 4
    monkeypatch.setattr(study, "_in_process", lambda *_: pytest.fail("computed again"))
    assert run_study(records, tmp_path, PLAN).table.equals(table)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == left


def test_a_result_is_named_by_data_and_plan(records, tmp_path):
    units, _ = find_units(records)
    names = {result_file(unit, PLAN, tmp_path).name for unit in units}
    names |= {result_file(unit, Plan(window=60), tmp_path).name for unit in units}
    shutil.copytree(records, tmp_path / "copy")
    write(tmp_path / "copy/a", "101", seed=5)
    names |= {result_file(u, PLAN, tmp_path).name for u in find_units(tmp_path / "copy")[0]}
    assert len(names) == 4 + 4 + 1


def test_a_broken_record_costs_its_units_only(records, table, tmp_path):
    folder = tmp_path / "records"
    shutil.copytree(records, folder)
    write(folder / "c", "300", seed=3)
    data = folder / "c/300.dat"
    data.write_bytes(data.read_bytes()[:-2])
    write(folder / "c", "301", seed=3, windows=3)
    (folder / "c/302.hea").write_text("nothing")
    write(folder / "c", "303", seed=3)
    (folder / "c/303.dat").unlink()
    done = run_study(folder, tmp_path / "results", PLAN)
    assert done.table.equals(table)
    assert list(done.failures) == ["c/300, channel 0", "c/301, channel 0", "c/302",
                                   "c/303, channel 0"]  # fmt: skip
    assert "the file is cut off" in done.failures["c/300, channel 0"]
    assert "at least 12 windows" in done.failures["c/301, channel 0"]


def test_a_full_disk_costs_the_units_that_it_meets(records, tmp_path, monkeypatch):
    units, _ = find_units(records)
    write = study._write

    def full(path, text):
        if path == result_file(units[1], PLAN, tmp_path):
            raise OSError(28, "No space left on device")
        write(path, text)

    monkeypatch.setattr(study, "_write", full)
    failures = run_units(units, PLAN, tmp_path, hash_of_code())
    assert list(failures) == [str(units[1])]
    assert "No space left" in failures[str(units[1])]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_worker_with_other_code_describes_nothing(records, tmp_path):
    units, _ = find_units(records)
    failures = run_units(units, PLAN, tmp_path, "other")
    assert set(failures.values()) == {"its worker has other code or libraries"}
    assert list(tmp_path.iterdir()) == []


def kill_workers(count, stop):
    """Kill the first processes that appear, up to ``count`` of them."""
    killed = set()
    while not stop.is_set() and len(killed) < count:
        for process in multiprocessing.active_children():
            if process.pid not in killed and len(killed) < count:
                process.kill()
                killed.add(process.pid)
        time.sleep(0.01)


@pytest.mark.parametrize(("count", "lost"), [(1, 0), (2, 1)])
def test_a_killed_process_costs_no_unit_at_first_and_then_its_own(
    records, table, tmp_path, count, lost
):
    one = tmp_path / "records"
    shutil.copytree(records / "b", one / "b")
    stop = threading.Event()
    killer = threading.Thread(target=kill_workers, args=(count, stop))
    killer.start()
    done = run_study(one, tmp_path / "results", PLAN)
    stop.set()
    killer.join()
    assert len(done.failures) == lost
    if lost:
        assert done.failures == {"b/200, channel 0": "its process was killed"}
        assert done.table.empty
    else:
        expected = table[table.record == "b/200"].reset_index(drop=True)
        assert done.table.to_csv() == expected.to_csv()


def test_dask_gives_the_same_table_though_a_worker_is_killed(records, table, tmp_path):
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster:
        first, *_ = cluster.workers.values()
        worker = first.process.process.pid
        killed = []
        killer = threading.Timer(1.0, lambda: killed.append(os.kill(worker, signal.SIGKILL)))
        killer.start()  # before any worker has imported what it needs
        done = run_study(records, tmp_path, PLAN, scheduler=cluster.scheduler_address, least=0)
        killer.join()
        assert len(killed) == 1
    assert done.failures == {}
    assert done.table.to_csv() == table.to_csv()


def test_tasks_are_packed_to_last(records):
    units, _ = find_units(records)
    assert pack(units, PLAN) == [units]
    assert pack(units, PLAN, least=0) == [[unit] for unit in units]
    many = [Unit(f"{i}", 0, units[0].path) for i in range(100)]
    packs = pack(many, PLAN, least=10)
    assert [unit for units in packs for unit in units] == many
    assert 1 < len(packs[0]) < 100
    assert len({len(units) for units in packs[:-1]}) == 1


def test_command_writes_the_table_and_lists_failures(records, table, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "records"
    shutil.copytree(records, folder)
    (folder / "bad.hea").write_text("nothing")
    options = ["--window", "50", "--kernel-sizes", "3,7", "--epochs", "1"]
    assert cli.main(["study", str(folder), "-o", str(tmp_path / "out"), *options]) == 1
    said = capsys.readouterr()
    again = run_study(records, tmp_path / "out", Plan(50, (3, 7), epochs=1)).table
    assert (tmp_path / "out/study.csv").read_text() == again.to_csv(index=False)
    assert said.err.startswith("san: 1 of 5 could not be described:\n  bad: bad.hea: begins with")
    assert cli.main(["study", str(tmp_path / "out"), "-o", str(tmp_path / "more")]) == 1
    assert "expected WFDB records, got no .hea file below it" in capsys.readouterr().err
