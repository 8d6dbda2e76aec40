"""Tests of sanbook.signals.windows: signals written by NumPy, pandas and wfdb."""

import numpy as np
import pandas as pd
import pytest
import torch
import wfdb
from conftest import sha256

import sanbook.signals.windows
from sanbook.data.windows import standardized_windows
from sanbook.signals.formats import numpy, open_recording


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


# Reading block by block


@pytest.mark.parametrize("block", [1, 50, 130, 10_000])
def test_windows_do_not_depend_on_how_a_file_is_read(tmp_path, monkeypatch, block):
    monkeypatch.setattr(numpy, "BLOCK", block)
    np.save(tmp_path / "own.npy", noise(750))
    cut = list(sanbook.signals.windows.windows_of(open_recording(tmp_path / "own.npy"), 100))
    assert [window.start for window in cut] == [*range(0, 701, 100)]
    assert [window.fault for window in cut] == [""] * 7 + ["rest"]
    found = np.concatenate([window.values for window in cut])
    np.testing.assert_array_equal(found, noise(750))


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
