"""Whole records: the same table from any number of workers, and what a failure costs."""

import multiprocessing
import os
import shutil
import signal
import threading
import time

import distributed
import numpy as np
import pandas as pd
import pytest
import torch
import wfdb

import sanbook.data.physionet
from sanbook.signals import cli, study
from sanbook.signals.study import Plan, find_units, result_files, run_study

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
def described(records, tmp_path_factory):
    """The folder of the results, and the table."""
    folder = tmp_path_factory.mktemp("one")
    done = run_study(records, folder, PLAN)
    assert done.failures == {}
    return folder, done.table


@pytest.fixture
def table(described):
    return described[1]


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


def test_two_workers_give_the_same_table(records, table, tmp_path):
    assert run_study(records, tmp_path, PLAN, workers=2).table.to_csv() == table.to_csv()


def test_what_is_there_is_not_computed_again(records, described, monkeypatch):
    folder, table = described
    left = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(left) == 4
    monkeypatch.setattr(study._Processes, "submit", lambda *_: pytest.fail("computed again"))
    assert run_study(records, folder, PLAN).table.equals(table)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == left


def test_a_result_is_named_by_data_code_and_plan(records, tmp_path, monkeypatch):
    units, _ = find_units(records)
    names = {*result_files(units, PLAN, tmp_path)[0].values()}
    names |= {*result_files(units, Plan(window=60), tmp_path)[0].values()}
    shutil.copytree(records, tmp_path / "copy")
    write(tmp_path / "copy/a", "101", seed=5)
    copied, _ = find_units(tmp_path / "copy")
    names |= {*result_files(copied, PLAN, tmp_path)[0].values()}
    assert len(names) == 4 + 4 + 1
    monkeypatch.setattr(study, "hash_of_code", lambda: "other")
    assert not names & {*result_files(units, PLAN, tmp_path)[0].values()}


def test_a_channel_is_meant_by_its_number_whatever_its_name(tmp_path):
    """Names such as those of TPEHGDB: channel 1 is not the one that is called "1"."""
    values = np.random.default_rng(0).normal(size=(700, 3))
    wfdb.wrsamp("r", fs=50, units=["mV"] * 3, sig_name=["1", "1_filt", "2"], p_signal=values,
                fmt=["16"] * 3, write_dir=str(tmp_path))  # fmt: skip
    described = [study.describe(unit, PLAN) for unit in find_units(tmp_path)[0]]
    assert [one["signal"] for one in described] == ["1", "1_filt", "2"]
    assert len({str(one["metrics"]) for one in described}) == 3


def test_windows_are_those_of_the_experiment(tmp_path, monkeypatch):
    """Standardized in single precision, as the paper's twelve windows are."""
    values = np.random.default_rng(0).normal(3, size=(12_000, 1)).round(2)
    wfdb.wrsamp("r", fs=50, units=["mV"], sig_name=["x"], p_signal=values, fmt=["16"],
                write_dir=str(tmp_path))  # fmt: skip
    seen = []
    monkeypatch.setattr(study, "sweep", lambda data, *_, **__: seen.append(data) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        study.describe(find_units(tmp_path)[0][0], Plan())
    stored = wfdb.rdrecord(str(tmp_path / "r")).p_signal[:, 0]
    expected = sanbook.data.physionet.windows(torch.from_numpy(stored))
    assert torch.equal(torch.cat([seen[0].train, seen[0].validation, seen[0].test]), expected)


def test_a_broken_record_costs_its_units_only(records, described, tmp_path):
    folder = tmp_path / "records"
    shutil.copytree(records, folder)
    shutil.copytree(described[0], tmp_path / "results")
    write(folder / "c", "300", seed=3)
    data = folder / "c/300.dat"
    data.write_bytes(data.read_bytes()[:-2])
    write(folder / "c", "301", seed=3, windows=3)
    (folder / "c/302.hea").write_text("nothing")
    write(folder / "c", "303", seed=3)
    (folder / "c/303.dat").unlink()
    done = run_study(folder, tmp_path / "results", PLAN)
    assert done.table.equals(described[1])
    assert list(done.failures) == ["c/300, channel 0", "c/301, channel 0", "c/302",
                                   "c/303, channel 0"]  # fmt: skip
    assert "300.dat" in done.failures["c/300, channel 0"]
    assert "fewer than 12" in done.failures["c/301, channel 0"]


def test_a_worker_with_other_code_describes_nothing(records, tmp_path):
    places, _ = result_files(find_units(records)[0], PLAN, tmp_path)
    for unit, place in places.items():
        with pytest.raises(RuntimeError, match="its worker has other code or libraries"):
            study.run_unit(unit, PLAN, place, "other")
    assert list(tmp_path.iterdir()) == []


def kill_first(stop):
    """Kill the first process that appears."""
    while not stop.is_set():
        for process in multiprocessing.active_children():
            process.kill()
            return
        time.sleep(0.01)


def test_a_killed_process_costs_its_own_unit_until_the_study_is_run_again(records, table, tmp_path):
    stop = threading.Event()
    killer = threading.Thread(target=kill_first, args=(stop,))
    killer.start()
    done = run_study(records, tmp_path, PLAN)
    stop.set()
    killer.join()
    assert list(done.failures) == ["a/100, channel 0"]
    assert len(pd.unique(done.table.record + done.table.channel.astype(str))) == 3
    assert run_study(records, tmp_path, PLAN).table.to_csv() == table.to_csv()


def test_dask_gives_the_same_table_though_a_worker_is_killed(records, table, tmp_path):
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster:
        first, *_ = cluster.workers.values()
        worker = first.process.process.pid
        killed = []
        killer = threading.Timer(1.0, lambda: killed.append(os.kill(worker, signal.SIGKILL)))
        killer.start()  # before any worker has imported what it needs
        done = run_study(records, tmp_path, PLAN, scheduler=cluster.scheduler_address)
        killer.join()
        assert len(killed) == 1
    assert done.failures == {}
    assert done.table.to_csv() == table.to_csv()


def test_command_writes_the_table_and_lists_failures(records, tmp_path, capsys):
    folder = shutil.copytree(records / "b", tmp_path / "records")
    (folder / "bad.hea").write_text("nothing")
    options = ["--window", "50", "--kernel-sizes", "3,7", "--epochs", "1"]
    assert cli.main(["study", str(folder), "-o", str(tmp_path / "out"), *options]) == 1
    said = capsys.readouterr()
    again = run_study(records / "b", tmp_path / "out", Plan(50, (3, 7), epochs=1)).table
    assert (tmp_path / "out/study.csv").read_text() == again.to_csv(index=False)
    assert said.err.startswith("san: 1 of 2 could not be described:\n  bad: bad.hea: begins with")
    assert cli.main(["study", str(tmp_path / "out"), "-o", str(tmp_path / "more")]) == 1
    assert "has no WFDB record (.hea) below it" in capsys.readouterr().err


def test_an_interrupted_study_says_what_it_keeps(records, tmp_path, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "run_study", interrupt)
    assert cli.main(["study", str(records), "-o", str(tmp_path)]) == 130
    said = capsys.readouterr().err
    assert f"the channels that are done stay in {tmp_path}" in said
