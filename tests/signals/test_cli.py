"""The command `san`: round trips, streams, long recordings, and inputs that cannot be used."""

import datetime
import io
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import wfdb
from edf_file import edf_file
from safetensors.torch import save_file

from san_core import SAN
from sanbook.show.figures import plot_events
from sanbook.signals import cli
from sanbook.signals.compare import compare
from sanbook.signals.events import EventModel, read_events, write_events
from sanbook.signals.fit import fit_model
from sanbook.signals.formats import Recording, open_recording
from sanbook.signals.windows import load_signal, load_windows, windows_of
from sanbook.training.files import save_model

ROOT = Path(__file__).parent.parent.parent
RATE, WINDOW = 50, 100


def beats(samples, seed=0):
    """Pulses at uneven distances, on a wandering line, with noise; in mV."""
    random = np.random.default_rng(seed)
    time = np.arange(samples)
    places = np.cumsum(random.integers(20, 40, size=samples // 20))
    pulses = sum(np.exp(-(((time - place) / 2.5) ** 2)) for place in places)
    return 1e-2 * random.normal(size=samples) + pulses + 0.3 * np.sin(time / 200) + 5


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Beats as CSV, and a model of them."""
    folder = tmp_path_factory.mktemp("san")
    pd.DataFrame({"t": 0, "ecg": beats(2050)}).to_csv(folder / "ecg.csv", index=False)
    signal = [folder / "ecg.csv", "--column", "ecg", "--rate", RATE, "--window", WINDOW]
    training = ["--kernel-sizes", "5,9,15,25", "--seeds", "0,1"]
    assert run("fit", *signal, *training, "-o", folder / "m.safetensors") == 0
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return EventModel.load(folder / "m.safetensors")


# --- there and back -------------------------------------------------------------------------------


def test_events_and_back_is_the_reconstruction_of_the_network(folder, model, tmp_path, capsys):
    assert run("events", folder / "m.safetensors", folder / "ecg.csv", "--column", "ecg",
               "-o", tmp_path / "events.csv") == 0  # fmt: skip
    assert "ecg.csv, ecg: the last 50 samples are left out\n" in capsys.readouterr().err
    events = tmp_path / "events.csv"
    assert run("rebuild", folder / "m.safetensors", events, "-o", tmp_path / "rebuilt.csv") == 0
    rebuilt = pd.read_csv(tmp_path / "rebuilt.csv")
    assert [*rebuilt] == ["sample", "seconds", "value"]
    np.testing.assert_allclose(rebuilt.seconds, np.arange(2000) / RATE, atol=1e-6)
    values = pd.read_csv(folder / "ecg.csv").ecg.to_numpy()[:2000].reshape(-1, WINDOW)
    mean, deviation = values.mean(1, keepdims=True), values.std(1, ddof=1, keepdims=True)
    x = torch.from_numpy((values - mean) / deviation).float()
    expected = model.network(x).detach().double().numpy() * deviation + mean
    np.testing.assert_allclose(rebuilt.value, expected.ravel(), rtol=0, atol=1e-6)
    assert np.abs(rebuilt.value - values.ravel()).mean() < 0.1  # of beats 1 mV high


def test_events_are_the_activations_in_units_at_their_places(folder, model):
    found = pd.DataFrame(model.events(open_recording(folder / "ecg.csv", "ecg")))
    assert [*found] == ["seconds", "sample", "amplitude", "kernel", "length"]
    first = load_signal(folder / "ecg.csv", WINDOW, "ecg").train[:1]
    values = pd.read_csv(folder / "ecg.csv").ecg.to_numpy()[:WINDOW]
    a = model.network.encode(first)[0, 0].detach()
    of_first = found[found["sample"] < WINDOW]
    assert of_first.kernel.tolist() == ["mean", *["0"] * int(a.count_nonzero())]
    np.testing.assert_allclose(of_first.amplitude.iloc[0], values.mean())
    places = a.nonzero().flatten().tolist()
    assert of_first["sample"].tolist() == [0, *places]
    np.testing.assert_allclose(of_first.seconds, of_first["sample"] / RATE)
    for place, amplitude in zip(places, of_first.amplitude.iloc[1:], strict=True):
        alone = torch.zeros(1, 1, 3 * WINDOW)
        alone[0, 0, place + WINDOW] = a[place]
        drawn = model.network.decode(alone)[0].detach().numpy() * values.std(ddof=1)
        np.testing.assert_allclose(amplitude, drawn[np.abs(drawn).argmax()], rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_no_unit_is_too_small_or_too_large(model, scale):
    values = scale * beats(100)
    (cut,) = windows_of(recording_of(values), WINDOW)
    (drawn,) = model.rebuild(model.find(cut))
    plain = model.network(cut.standardized[None])[0].detach().double().numpy()
    np.testing.assert_allclose(drawn, plain * cut.deviation + cut.mean, rtol=0, atol=1e-6 * scale)


def recording_of(values):
    return Recording("made up", "x", 0, None, "unknown", (), lambda size: iter([values]))


def test_gaps_and_constant_windows_come_back_as_what_they_are(model, tmp_path):
    values = beats(500)
    values[130], values[300:400] = np.nan, 2.5
    np.save(tmp_path / "own.npy", values)
    opened = open_recording(tmp_path / "own.npy")
    events = list(model.events(opened))
    heads = [(event.sample, event.kernel) for event in events if event.kernel in ("mean", "gap")]
    assert heads == [(0, "mean"), (100, "gap"), (200, "mean"), (300, "mean"), (400, "mean")]
    drawn = np.concatenate(list(model.rebuild(events)))
    assert np.isnan(drawn[100:200]).all()
    assert (drawn[300:400] == 2.5).all()
    assert np.isfinite(np.delete(drawn, slice(100, 200))).all()
    text = io.StringIO()
    write_events(text, events)
    (tmp_path / "events.csv").write_text(text.getvalue())
    read = np.concatenate(list(model.rebuild(read_events(tmp_path / "events.csv"))))
    np.testing.assert_allclose(read, drawn, rtol=1e-7, atol=1e-7)


def test_model_file_keeps_what_the_command_needs(folder, model):
    data = load_signal(folder / "ecg.csv", WINDOW, "ecg", rate=RATE)
    again, seeds = fit_model(data, "extrema", [5, 9, 15, 25], shared_by=20, seeds=[0, 1])
    assert (model.window, model.sampling_rate, model.units) == (WINDOW, RATE, "unknown")
    assert torch.equal(model.network.kernels[0], again.network.kernels[0])
    assert set(seeds.kernel_size) == {len(model.network.kernels[0])}


@pytest.fixture(scope="module")
def scales(folder):
    """A multiscale SAN of the beats."""
    signal = [folder / "ecg.csv", "--column", "ecg", "--rate", RATE, "--window", WINDOW]
    assert run("fit", *signal, "--method", "scales", "-o", folder / "scales.safetensors") == 0
    return EventModel.load(folder / "scales.safetensors")


def test_events_of_a_san_with_scales_come_back_too(folder, scales, tmp_path):
    arguments = [folder / "ecg.csv", "--column", "ecg", "-o", tmp_path / "events.csv"]
    assert run("events", folder / "scales.safetensors", *arguments) == 0
    rebuilt = np.concatenate(list(scales.rebuild(read_events(tmp_path / "events.csv"))))
    opened = open_recording(folder / "ecg.csv", "ecg")
    expected = [
        scales.network(cut.standardized[None])[0].detach().numpy() * cut.deviation + cut.mean
        for cut in windows_of(opened, WINDOW)
        if not cut.fault
    ]
    np.testing.assert_allclose(rebuilt, np.concatenate(expected), rtol=0, atol=2e-6)
    found = pd.DataFrame(read_events(tmp_path / "events.csv")).query("kernel != 'mean'")
    assert set(found.length) <= set(scales.network.lengths)


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_plot_draws_a_window(folder, tmp_path, suffix):
    figure = tmp_path / f"window{suffix}"
    arguments = ["plot", folder / "m.safetensors", folder / "ecg.csv", "--column", "ecg"]
    assert run(*arguments, "--at", 3.5, "-o", figure) == 0
    assert figure.stat().st_size > 1000


@pytest.mark.parametrize("command", ["compare", "fit"])
def test_how_a_file_was_read_is_said_before_the_work(
    folder, monkeypatch, capsys, tmp_path, command
):
    said = []

    def work(*arguments, **options):
        said.append(capsys.readouterr().err)
        raise KeyboardInterrupt

    monkeypatch.setattr("sanbook.signals.compare.compare", work)
    monkeypatch.setattr("sanbook.signals.fit.fit_model", work)
    output = ["-o", tmp_path / "m.safetensors"] if command == "fit" else []
    signal = [folder / "ecg.csv", "--column", "ecg", "--window", WINDOW]
    assert run(command, *signal, *output) == 130
    assert "ecg.csv, ecg: read as: " in said[0]


def test_compare_says_what_to_take_and_which_seeds_disagree(folder, capsys):
    arguments = ["compare", folder / "ecg.csv", "--column", "ecg", "--window", WINDOW]
    assert run(*arguments, "--kernel-sizes", "5,15", "--seeds", "0,1") == 0
    said = capsys.readouterr().out
    for method in ("wavelets", "DCT", "straight lines", "Identity", "ReLU", "Extrema"):
        assert f"\n{method} " in said
    assert "\nTo compress the signal, use " in said
    assert "\nFor events that follow the signal, use " in said


# --- a model and its next file --------------------------------------------------------------------


def record(folder, name, values, units, **facts):
    wfdb.wrsamp(name, fs=RATE, units=["NU", units], sig_name=["other", "ecg"],
                p_signal=np.stack([0 * values, values], axis=1), fmt=["16", "16"],
                adc_gain=[1000 / np.abs(values).max()] * 2, baseline=[0, 0],
                write_dir=str(folder), **facts)  # fmt: skip
    return folder / f"{name}.hea"


@pytest.fixture(scope="module")
def millivolts(folder):
    """A model of beats in mV."""
    path = record(folder, "mv", beats(600) - 5, "mV")
    arguments = ["--column", "ecg", "--window", WINDOW, "--kernel-sizes", "5,9", "--seeds", 0]
    assert run("fit", path, *arguments, "-o", folder / "mv.safetensors") == 0
    return folder / "mv.safetensors"


def listed(model, path, output, *options):
    assert run("events", model, path, "-o", output, *options) == 0
    return pd.read_csv(output)


def test_a_model_takes_the_column_that_it_was_trained_on(folder, tmp_path, millivolts):
    found = listed(millivolts, folder / "mv.hea", tmp_path / "e.csv")
    facts = found[["file", "channel", "units", "sampling_rate"]].drop_duplicates()
    assert facts.to_numpy().tolist() == [["mv.hea", "ecg", "mV", RATE]]


def test_units_that_differ_by_a_power_of_ten_are_converted(folder, tmp_path, millivolts, capsys):
    path = record(tmp_path, "uv", 1000 * (beats(600) - 5), "uV")
    converted = listed(millivolts, path, tmp_path / "uv.csv")
    assert "uV become mV" in capsys.readouterr().err
    plain = listed(millivolts, folder / "mv.hea", tmp_path / "mv.csv")
    np.testing.assert_allclose(converted.amplitude, plain.amplitude, rtol=1e-5)
    assert set(converted.units) == {"mV"}


def test_other_units_are_refused(tmp_path, millivolts, capsys):
    path = record(tmp_path, "bp", beats(600), "mmHg")
    assert run("events", millivolts, path) == 1
    assert "its units are mmHg, but mV are needed" in capsys.readouterr().err


def test_events_carry_clock_time(tmp_path, millivolts):
    start = {"base_date": datetime.date(2024, 2, 28), "base_time": datetime.time(23, 59, 59)}
    path = record(tmp_path, "timed", beats(600) - 5, "mV", **start)
    found = listed(millivolts, path, tmp_path / "e.csv", "--clock")
    seconds = pd.to_datetime(found.time, format="ISO8601") - pd.Timestamp("2024-02-28 23:59:59")
    np.testing.assert_allclose(seconds.dt.total_seconds(), found.seconds, atol=1e-5)


def test_a_rate_given_to_events_alone_comes_back(folder, tmp_path):
    names = "own.csv", "m.safetensors", "e.csv", "r.csv"
    signal, model, events, rebuilt = (tmp_path / name for name in names)
    pd.DataFrame({"ecg": beats(600)}).to_csv(signal, index=False)
    training = ["--window", WINDOW, "--kernel-sizes", 5, "--seeds", 0]
    assert run("fit", signal, *training, "-o", model) == 0
    listed(model, signal, events, "--rate", 200)
    assert run("rebuild", model, events, "-o", rebuilt) == 0
    assert pd.read_csv(rebuilt).seconds[599] == 599 / 200


def test_windows_together_have_the_events_of_each(folder, model, scales):
    windows = list(windows_of(open_recording(folder / "ecg.csv", "ecg"), WINDOW))
    for one in (model, scales):
        alone = [event for window in windows for event in one.find(window)]
        assert one.find(*windows) == alone


def test_figure_names_file_channel_and_units(folder, millivolts):
    model, recording = EventModel.load(millivolts), open_recording(folder / "mv.hea", "ecg")
    window = next(windows_of(recording, WINDOW))
    above, below = plot_events(model, window, recording.origin).axes
    assert above.get_title().startswith("mv.hea, ecg: ")
    assert (above.get_ylabel(), below.get_ylabel()) == ("signal\n(mV)", "amplitude\n(mV)")
    assert below.get_xlabel() == "time (s)"


def test_weights_shared_and_in_each_are_of_the_same_network(folder):
    loaded = load_windows(open_recording(folder / "ecg.csv", "ecg"), WINDOW)
    compared = compare(*loaded, kernel_sizes=[5, 15], seeds=[0])
    for row in compared.table.itertuples():
        method = compared.models.get(row.method)
        weights = 0 if method is None else method.network.num_weights
        assert row.phi - row.shared_phi <= weights / WINDOW + 1e-6
        assert (row.phi > row.shared_phi) == (weights > 0)


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"]])
def test_help_imports_nothing_slow(arguments):
    script = (
        "import sys\nfrom sanbook.signals.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: print(*sys.modules, sep='\\n')"
    )
    command = [sys.executable, "-c", script, *arguments]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert not {"torch", "numba", "pandas", "wfdb", "numpy", "matplotlib"} & {*said.split()}


@pytest.mark.parametrize(("asked", "threads"), [(None, 1), ("2", 2)])
def test_the_program_takes_one_thread_unless_more_are_asked_for(asked, threads):
    script = (
        "from sanbook.signals import cli\n"
        "cli.main = lambda: print(__import__('torch').get_num_threads())\ncli.run()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {} if asked is None else {"OMP_NUM_THREADS": asked}
    command = [sys.executable, "-c", script]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert said.stdout.split() == [str(threads)]


# --- streams and long recordings ------------------------------------------------------------------


def program(*arguments, **options):
    command = [sys.executable, "-m", "sanbook.signals.cli", *map(str, arguments)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **{**pipes, **options})


def test_stream_gives_each_window_as_soon_as_it_has_come(folder, tmp_path):
    lines = (folder / "ecg.csv").read_text().splitlines(keepends=True)
    process = program("events", folder / "m.safetensors", "-", "--column", "ecg")
    head, first, rest = lines[:1], lines[1 : WINDOW + 1], lines[WINDOW + 1 :]
    process.stdin.write("".join(head + first))
    process.stdin.flush()
    said = [process.stdout.readline() for _ in range(3)]  # while nothing more is sent
    assert said[0].startswith("seconds,sample")
    assert said[1].startswith("0.000000,0,")
    process.stdin.write("".join(rest))
    process.stdin.close()
    streamed = "".join(said) + process.stdout.read()
    assert process.wait() == 0
    run("events", folder / "m.safetensors", folder / "ecg.csv", "--column", "ecg",
        "-o", tmp_path / "events.csv")  # fmt: skip
    assert streamed.replace("standard input", "ecg.csv") == (tmp_path / "events.csv").read_text()


PEAKS = """
import sys
from sanbook.signals.cli import main
model, *recordings = sys.argv[1:]
for path in recordings:
    assert main(["events", model, path, "-o", f"{path}.csv"]) == 0
    print(*[line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")])
"""


def test_memory_does_not_grow_with_the_recording(folder, tmp_path):
    few = beats(1000)
    many = np.concatenate([few, np.full(5_000_000, 5.0), few])  # 40 MB; constant is quickly done
    np.save(tmp_path / "few.npy", few)
    np.save(tmp_path / "many.npy", many)
    paths = [folder / "m.safetensors", tmp_path / "few.npy", tmp_path / "many.npy"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    said = subprocess.check_output([sys.executable, "-c", PEAKS, *paths], env=environment)
    before, after = map(int, said.split())  # kilobytes
    assert 1024 * (after - before) < many.nbytes / 2


# --- whole or absent ------------------------------------------------------------------------------


def test_nothing_is_overwritten_without_force(folder, tmp_path, capsys):
    (tmp_path / "out.csv").write_text("mine")
    arguments = ["events", folder / "m.safetensors", folder / "ecg.csv", "--column", "ecg"]
    assert run(*arguments, "-o", tmp_path / "out.csv") == 1
    assert "already exists. Choose another name or add --force" in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert run(*arguments, "-o", tmp_path / "out.csv", "--force") == 0
    assert (tmp_path / "out.csv").read_text().startswith("seconds,")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_output_is_absent(folder, tmp_path, number):
    out = tmp_path / "out"
    out.mkdir()
    process = program(
        "events", folder / "m.safetensors", "-", "--column", "ecg", "-o", out / "e.csv",
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # ignored where tests run behind
    )  # fmt: skip
    process.stdin.write((folder / "ecg.csv").read_text())
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not list(out.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(out.iterdir())  # it has begun
    process.send_signal(number)
    assert process.wait(timeout=30) != 0
    assert list(out.iterdir()) == []


def test_full_disk_leaves_nothing(folder, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    out = tmp_path / "out"
    out.mkdir()
    process = program("events", folder / "m.safetensors", folder / "ecg.csv", "--column", "ecg",
                      "-o", out / "e.csv", preexec_fn=limit)  # fmt: skip
    _, said = process.communicate()
    assert process.returncode == 1
    assert said.startswith("san: ")
    assert said.count("\n") == 1
    assert list(out.iterdir()) == []


# --- inputs that cannot be used -------------------------------------------------------------------


def npy(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def ecg(**changes):
    """Beats as CSV; changes map a line ("line3") to another text."""
    lines = ["ecg", *map(str, beats(400))]
    for line, text in changes.items():
        lines[int(line.removeprefix("line")) - 1] = text
    return "\n".join(lines).encode()


HEADER = "own 1 50 400\nown.dat 16 200 12 0 0 0 0 ECG\n"
SIGNAL = (200 * beats(400)).astype("<i2").tobytes()
COMPARE = ["compare", "FILE", "--window", "50"]
FIT = ["fit", "FILE", "--window", "50", "-o", "out.safetensors"]
EVENTS = ["events", "good.safetensors", "FILE", "-o", "out.csv"]
REBUILD = ["rebuild", "good.safetensors", "FILE", "-o", "out.csv"]
HEAD = "sample,amplitude,kernel,length\n"

# Name and bytes of a file (None: it is not there), the command, and what its sentence says.
UNUSABLE = [
    ("own.csv", b"", COMPARE, "own.csv: is empty. Choose another file"),
    ("own.csv", b"ecg\n1\n2\n", COMPARE, "2 samples .* are fewer than 3 windows of 50 samples"),
    ("own.csv", ecg(line300="lost"), EVENTS, "line 300 is no row of 1 fields, but 'lost'"),
    ("own.csv", b"ecg\n" + b"nan\n" * 400, COMPARE, "8 windows with a gap are left out"),
    ("own.csv", b"ecg\n" + b"7\n" * 400, COMPARE, "8 windows of a constant value are left out"),
    ("own.csv", ecg(), [*COMPARE, "--column", "eeg"], r"'eeg' .* one of its columns \['ecg'\]"),
    ("own.csv", ecg(), [*COMPARE, "--column", "1"], r"1 .* exactly one of its columns \['ecg'\]"),
    ("own.csv", ecg(line200="1e308", line201="-1e308"), EVENTS, "is 1e.308, too large"),
    ("own.csv", None, COMPARE, "there is no such file"),
    ("", None, COMPARE, "is a folder. Name a file in it"),
    ("own.npy", npy(beats(400))[:-100], COMPARE, "own.npy: holds no array of numbers"),
    ("own.npy", npy(1e300 * beats(400)), COMPARE, "too large to be squared"),
    ("own.npz", npz(a=beats(400), b=beats(400)), COMPARE, r"one of its columns \['a', 'b'\]"),
    ("own.hea", HEADER.encode(), COMPARE, "names own.dat, which is not beside it"),
    ("own.hea", (HEADER, SIGNAL[:-2]), COMPARE, "has 798 of 800 bytes"),
    ("own.hea", (HEADER, SIGNAL), [*COMPARE, "--rate", "360"], "says 50 Hz, but"),
    ("own.edf", edf_file()[0][:300], COMPARE, "a header of 512 bytes, but the file has 300"),
    ("own.edf", edf_file(sizes=(128,))[0], EVENTS, "128 Hz is not the rate of the model, 50 Hz"),
    ("own.csv", ecg(), [*COMPARE, "--rate", "-5"], "rate: -5 Hz is not above 0"),
    ("own.csv", ecg(), [*COMPARE, "--separator", "ab"], "separator: 'ab' is not one character"),
    (
        "own.hea",
        (HEADER, SIGNAL),
        [*COMPARE, "--skip", "2"],
        "decimal and skip are for files of text",
    ),
    ("own.csv", ecg(), ["compare", "FILE", "--window", "1"], "window: 1 samples do not vary"),
    ("own.csv", ecg(), ["compare", "FILE"], "fewer than 3 windows of 1000 samples"),
    ("own.csv", ecg(), [*FIT, "--kernel-sizes", "60"], "60 to 60 do not lie in 1 to 50"),
    ("own.csv", ecg(), [*FIT, "--method", "relu", "--border-tolerance", "2"], "does not use 2"),
    ("own.csv", ecg(), [*FIT, "--method", "scales", "--kernel-sizes", "5"], "does not use .5."),
    ("own.csv", ecg(), [*FIT, "--method", "scales", "--seeds", "0,1"], "--seeds: scales does not"),
    ("own.csv", ecg(), [*EVENTS, "--clock"], "its start or its sampling rate is not known"),
    ("own.csv", ecg(), [*FIT[:-1], "out.txt"], "out.txt: .txt is none of .safetensors"),
    ("own.csv", ecg(), [*FIT[:-1], "no/out.safetensors"], "there is no folder no. Make it first"),
    ("own.csv", b"ecg\n1\n2\n", EVENTS, "2 samples are fewer than the 100 of a window"),
    ("own.safetensors", b"", ["events", "FILE", "good.csv"], "is not a whole safetensors file"),
    ("own.safetensors", None, ["events", "FILE", "good.csv"], "[Nn]o such file"),
    ("own.safetensors", "other", ["events", "FILE", "good.csv"], "not a window and units"),
    ("own.safetensors", "tensors", ["events", "FILE", "good.csv"], "no network can be made"),
    ("own.csv", b"", REBUILD, "has no column amplitude, kernel, length, sample"),
    ("own.csv", ecg(), REBUILD, "Take a file that `san events` wrote"),
    ("own.csv", HEAD.encode(), REBUILD, "own.csv: has no events"),
    ("own.csv", f"{HEAD}0,1.5,mean,99\n".encode(), REBUILD, "a window of 99 samples begins"),
    ("own.csv", f"{HEAD}100,1.5,mean,100\n".encode(), REBUILD, "where one of 100 begins"),
    ("own.csv", f"{HEAD}5,1,0,15\n".encode(), REBUILD, 'window, which begins with "mean" or "gap"'),
    ("own.csv", f"{HEAD}0,1,mean,100\n5,1,7,15\n".encode(), REBUILD, "1.0 of kernel '7' at"),
    ("own.csv", f"{HEAD}0,1,mean,100\n5,inf,0,15\n".encode(), REBUILD, "inf of kernel '0'"),
    ("own.csv", f"{HEAD}0,1,mean,100\n200,1,0,15\n".encode(), REBUILD, "outside of its window"),
    ("own.csv", f"{HEAD}0,high,mean,100\n".encode(), REBUILD, "own.csv: line 2 has"),
    ("own.csv", f"{HEAD}0\n".encode(), REBUILD, "own.csv: line 2 has"),
]


def make(folder, name, content):
    path = folder / name
    if content == "other":
        save_model(SAN([5], "extrema"), path)
    elif content == "tensors":
        save_file({"weight": torch.ones(3)}, path)
    elif isinstance(content, tuple):
        path.write_text(content[0])
        path.with_suffix(".dat").write_bytes(content[1])
    elif content is not None:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize(("name", "content", "command", "message"), UNUSABLE)
def test_input_that_cannot_be_used_is_refused_in_a_sentence(
    folder, tmp_path, monkeypatch, capsys, recwarn, name, content, command, message
):
    (tmp_path / "good.safetensors").write_bytes((folder / "m.safetensors").read_bytes())
    (tmp_path / "good.csv").write_bytes(ecg())
    path = make(tmp_path, name, content)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    monkeypatch.chdir(tmp_path)
    assert run(*[path if word == "FILE" else word for word in command]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("san: ")
    assert said.err.count("\n") == 1
    assert len(said.err) < 400
    assert re.search(message, said.err), said.err
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_file_that_may_not_be_read(tmp_path, capsys):
    path = make(tmp_path, "own.csv", ecg())
    path.chmod(0)
    assert run("compare", path) == 1
    assert "Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["tell"], ["fit", "a.csv"], ["fit", "a.csv", "-o", "b", "--kernel-sizes", "1,x"],
     ["fit", "a.csv", "-o", "b", "--seeds", "1,1"], ["fit", "a.csv", "-o", "b", "--method", "pca"]],
)  # fmt: skip
def test_wrong_command_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    assert "usage: san" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", "compare", "fit", "events", "rebuild", "plot"])
def test_help_has_examples_that_parse(command, capsys):
    with pytest.raises(SystemExit) as ended:
        run(*command.split(), "--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "examples:\n  " in text
    for line in text.splitlines():
        if line.startswith("  san ") and "..." not in line:
            cli.parser().parse_args(shlex.split(line)[1:])
