"""Tests of sanbook.signals.windows: signals written by NumPy, pandas and wfdb."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import wfdb
from conftest import sha256

import sanbook.signals.windows
from sanbook.data.windows import standardized_windows
from sanbook.signals.formats import edf, numpy, open_recording
from sanbook.signals.formats import wfdb as records


def noise(samples):
    return np.random.default_rng(0).normal(size=samples)


@pytest.mark.parametrize(("samples", "window"), [(70, 7), (76, 7), (7, 7), (20, 2)])
def test_standardized_windows_of_any_length_leave_the_rest_out(samples, window):
    signal = noise(samples)
    cut = [signal[i : i + window] for i in range(0, samples - window + 1, window)]
    expected = np.stack([(w - w.mean()) / w.std(ddof=1) for w in cut])
    result = standardized_windows(torch.from_numpy(signal), window)
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("window", [-3, 0, 1, 21])
def test_standardized_windows_of_an_impossible_length(window):
    with pytest.raises(ValueError, match=rf"lead: a window of {window} samples .* has 20\."):
        standardized_windows(torch.rand(20), window, origin="lead")


# Signals of one's own


def record(folder, values):
    wfdb.wrsamp("own", fs=50, units=["mV", "V"], sig_name=["ECG", "PPG"], p_signal=values,
                fmt=["16", "16"], write_dir=str(folder))  # fmt: skip
    return folder / "own.hea"


def csv(folder, values):
    pd.DataFrame(values, columns=["ECG", "PPG"]).to_csv(folder / "own.csv", index=False)
    return folder / "own.csv"


def npz(folder, values):
    np.savez(folder / "own.npz", ECG=values[:, 0], PPG=values[:, 1])
    return folder / "own.npz"


def npy(folder, values):
    np.save(folder / "own.npy", values[:, 1])
    return folder / "own.npy"


@pytest.mark.parametrize("write_own", [record, csv, npz, npy])
def test_own_signal_is_cut_split_and_described(tmp_path, write_own):
    values = noise(1520).reshape(760, 2)
    path = write_own(tmp_path, values)
    column = "" if write_own is npy else "PPG"
    result = sanbook.signals.windows.load_signal(path, 100, column)
    assert [len(result.train), len(result.validation), len(result.test)] == [3, 1, 3]
    expected = standardized_windows(torch.from_numpy(values[:, 1]), 100)
    found = torch.cat([result.train, result.validation, result.test])
    # A record stores 16 bits of each sample.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3 if write_own is record else 0)
    card = result.card
    assert (card.source, card.data_source, card.channel) == ("own", "own", column or None)
    assert "7 windows of 100 samples; the last 60 samples are left out" in card.note
    names = {"own.hea", "own.dat"} if write_own is record else {path.name}
    assert card.sha256 == {name: sha256((tmp_path / name).read_bytes()) for name in names}
    if write_own is record:
        assert (card.sampling_rate, card.units) == (50, "V")


def test_own_windows_are_split_as_the_paper_splits_twelve(tmp_path):
    path = npy(tmp_path, noise(240).reshape(120, 2))
    for window, lengths in ((10, (6, 2, 4)), (40, (1, 1, 1)), (30, (2, 1, 1)), (5, (12, 4, 8))):
        result = sanbook.signals.windows.load_signal(path, window)
        parts = (result.train, result.validation, result.test)
        assert tuple(len(part) for part in parts) == lengths


def test_own_signal_with_a_large_offset_keeps_its_digits(tmp_path):
    values = noise(600).reshape(300, 2)
    plain = sanbook.signals.windows.load_signal(npy(tmp_path, values), 100).test
    shifted = sanbook.signals.windows.load_signal(npy(tmp_path, values + 2**30), 100).test
    torch.testing.assert_close(shifted, plain, rtol=0, atol=1e-4)


@pytest.mark.parametrize("write_own", [record, csv, npz])
@pytest.mark.parametrize("column", ["", "EEG"])
def test_column_that_is_not_one_of_the_own_ones(tmp_path, write_own, column):
    path = write_own(tmp_path, noise(600).reshape(300, 2))
    message = rf"{path.name}: '{column}' does not name exactly one of its columns \['ECG', 'PPG'\]"
    with pytest.raises(ValueError, match=message):
        sanbook.signals.windows.load_signal(path, 100, column)


class Trap:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("own.csv", "ecg\n1\n2\n", "2 samples .*are fewer than 3 windows of 2 samples"),
        (
            "own.csv",
            "ecg,t\n1,1\n,2\n2,3\n3,4\n1,5\n2,6\n",
            "1 window with a gap is left out, from sample 0",
        ),
        (
            "own.csv",
            "ecg\n1\n2\n3\n3\n1\n2\n",
            "1 window of a constant value is left out, from sample 2",
        ),
        ("own.npy", b"", "holds no array of numbers"),
        ("own.npy", np.array([Trap()]), "holds no array of numbers"),
        ("own.npy", pickle.dumps(Trap()), "holds no array of numbers"),
        ("own.npz", b"PK\x03\x04 broken", "cannot be read: "),
        ("own.npy", np.ones((50, 2)), r"does not name exactly one of its columns \[0, 1\]"),
        ("own.npy", np.ones(50, complex), "not a signal but complex128"),
        ("own.mat", "", ".mat is none of the kinds .csv"),
    ],
)
def test_own_signal_that_cannot_be_used(tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, np.ndarray):
        np.save(path, content, allow_pickle=True)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    column = "ecg" if "ecg,t" in str(content) else ""
    with pytest.raises(ValueError, match=rf"{name}.*{message}"):
        sanbook.signals.windows.load_signal(path, 2, column)


def test_own_signal_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        sanbook.signals.windows.load_signal(tmp_path / "own.csv", 100)
    header = record(tmp_path, noise(600).reshape(300, 2))
    header.with_suffix(".dat").unlink()
    with pytest.raises(FileNotFoundError, match=r"names own\.dat, which is not"):
        sanbook.signals.windows.load_signal(header, 100, "PPG")


# Reading block by block


def edf_of(folder, values):
    edfio = pytest.importorskip("edfio")
    signals = [
        edfio.EdfSignal(values[:, i], 50, label=label, physical_dimension=units)
        for i, (label, units) in enumerate([("ECG", "mV"), ("PPG", "V")])
    ]
    edfio.Edf(signals).write(folder / "own.edf")
    return folder / "own.edf"


@pytest.mark.parametrize("write_own", [record, csv, npz, npy, edf_of])
@pytest.mark.parametrize("block", [1, 50, 130, 10_000])
def test_windows_do_not_depend_on_how_a_file_is_read(tmp_path, monkeypatch, write_own, block):
    values = noise(1500).reshape(750, 2)
    path = write_own(tmp_path, values)
    column = "" if write_own is npy else 1
    for module in (edf, numpy, records):
        monkeypatch.setattr(module, "BLOCK", block)
    opened = open_recording(path, column)
    cut = list(sanbook.signals.windows.windows_of(opened, 100))
    assert [window.start for window in cut] == [*range(0, 701, 100)]
    assert [window.fault for window in cut] == [""] * 7 + ["rest"]
    found = np.concatenate([window.values for window in cut])
    exact = write_own in (csv, npz, npy)
    np.testing.assert_allclose(found, values[:, 1], rtol=0, atol=0 if exact else 1e-3)
    monkeypatch.undo()
    whole = np.concatenate(list(open_recording(path, column).blocks(100)))
    np.testing.assert_array_equal(found, whole)


def test_windows_with_faults_are_named_and_left_out(tmp_path):
    values = noise(1050)
    values[120] = np.nan
    values[310] = np.inf
    values[500:600] = 7
    np.save(tmp_path / "own.npy", values)
    opened = open_recording(tmp_path / "own.npy", rate=10)
    cut = list(sanbook.signals.windows.windows_of(opened, 100))
    assert [w.fault for w in cut] == ["", "gap", "", "gap", "", "constant", *[""] * 4, "rest"]
    card = sanbook.signals.windows.load_signal(tmp_path / "own.npy", 100, rate=10).card
    assert card.note == (
        "own.npy: 7 windows of 100 samples; 1 window of a constant value is left out, from sample "
        "500 (50.0 s); 2 windows with a gap are left out, the first from sample 100 (10.0 s) on; "
        "the last 50 samples are left out."
    )


@pytest.mark.parametrize(
    ("most", "every"), [(None, 1), (40, 1), (39, 2), (20, 2), (19, 4), (3, 16)]
)
def test_of_many_windows_every_so_many_is_taken(tmp_path, most, every):
    np.save(tmp_path / "own.npy", noise(400))
    few = sanbook.signals.windows.load_signal(tmp_path / "own.npy", 10, most=most)
    all_of_them = sanbook.signals.windows.load_signal(tmp_path / "own.npy", 10)
    found, whole = (torch.cat([d.train, d.validation, d.test]) for d in (few, all_of_them))
    assert torch.equal(found, whole[::every])


def test_deviations_give_windows_their_amplitude_back(tmp_path):
    values = 5 * noise(120)
    np.save(tmp_path / "own.npy", values)
    opened = open_recording(tmp_path / "own.npy")
    data, deviations, usable = sanbook.signals.windows.load_windows(opened, 10, most=6)
    assert usable == 12
    own = torch.from_numpy(values.reshape(12, 10)[[8, 10]])
    own = own - own.mean(1, keepdim=True)
    torch.testing.assert_close(data.test.double() * deviations[:, None], own, rtol=1e-5, atol=1e-5)


def test_parts_alternate_over_a_long_recording(tmp_path):
    values = noise(240)
    np.save(tmp_path / "own.npy", values)
    opened = open_recording(tmp_path / "own.npy")
    load = sanbook.signals.windows.load_windows
    data, deviations, _ = load(opened, 10, most=12, alternate=True)
    cut = sanbook.signals.windows.standardized_windows(torch.from_numpy(values), 10)[::2]
    assert torch.equal(data.train, cut[::2])
    assert torch.equal(data.validation, cut[3::6])
    assert torch.equal(data.test, cut[[1, 5, 7, 11]])
    own = torch.from_numpy(values.reshape(24, 10).std(1, ddof=1)[[2, 10, 14, 22]])
    torch.testing.assert_close(deviations.double(), own, rtol=1e-5, atol=0)


# A small installation


SMALL = """
import sys

for absent in "torchvision neurokit2 sklearn IPython".split():
    sys.modules[absent] = None  # an import of it raises
import sanbook.signals.windows

print(sanbook.signals.windows.load_signal(sys.argv[1], 100).test.shape)
"""


def test_small_installation_reads_a_signal(tmp_path):
    path = tmp_path / "own.csv"
    pd.DataFrame({"ecg": noise(600)}).to_csv(path, index=False)
    out = subprocess.run(
        [sys.executable, "-c", SMALL, str(path)],
        cwd=Path(__file__).parent.parent.parent,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert out == "torch.Size([2, 100])\n"
