"""WFDB, EDF, BDF and NumPy files, beside readers that others wrote, to the last bit."""

import os
import pickle
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from edf_file import edf_file

from sanbook.signals.formats import FileError, open_file, open_recording
from sanbook.signals.formats import edf as edf_files
from sanbook.signals.formats import numpy as arrays
from sanbook.signals.formats import wfdb as records

edfio = pytest.importorskip("edfio")
pyedflib = pytest.importorskip("pyedflib")
RANDOM = np.random.default_rng(0)


def read(path, column="", rate=None):
    recording = open_recording(path, column, rate)
    return recording, np.concatenate([np.empty(0), *recording.blocks(64)])


def refused(path, sentence, column="", rate=None):
    with pytest.raises(FileError, match=rf"^{path.name}: .*{sentence}.*\.$"):
        read(path, column, rate)


# --- WFDB -----------------------------------------------------------------------------------------


def write_record(folder, fmt, samples_per_frame=(1, 1), frames=702, **options):
    limit = {"80": 100, "212": 2000, "508": 100}.get(fmt, 20_000)
    digital = [RANDOM.integers(-limit, limit, frames * spf) for spf in samples_per_frame]
    count = len(digital)
    record = wfdb.Record(
        record_name="own", n_sig=count, fs=25, sig_len=frames, fmt=[fmt] * count,
        adc_gain=[200.0, 1.5][:count], baseline=[3, -7][:count], units=["mV", "uV"][:count],
        adc_res=[16] * count, adc_zero=[0] * count, sig_name=["ECG", "Resp"][:count],
        block_size=[0] * count, file_name=["own.dat"] * count, e_d_signal=digital,
        samps_per_frame=list(samples_per_frame), **options,
    )  # fmt: skip
    record.init_value = [int(channel[0]) for channel in digital]
    record.checksum = record.calc_checksum(expanded=True)
    record.wrheader(write_dir=str(folder))
    if fmt in ("8", "61", "160", "310", "311"):  # which wfdb reads, but does not write
        size = records.BYTES[fmt] * frames * sum(samples_per_frame)
        (folder / "own.dat").write_bytes(RANDOM.bytes(int(np.ceil(size))))
    else:
        record.wr_dats(expanded=True, write_dir=str(folder))
    path = folder / "own.hea"
    path.write_text(path.read_text().replace(" 1.5(", " -1.5("))
    return path


def by_wfdb(path, channel):
    record = wfdb.rdrecord(str(path.with_suffix("")), channels=[channel], smooth_frames=False)
    return record.e_p_signal[0]


@pytest.mark.parametrize("fmt", ["8", "16", "24", "32", "61", "80", "160", "212", "310", "311",
                                 "508", "516", "524"])  # fmt: skip
@pytest.mark.parametrize("block", [1000, 100_000])
def test_formats_of_wfdb(tmp_path, monkeypatch, fmt, block):
    path = write_record(tmp_path, fmt)
    monkeypatch.setattr(records, "BLOCK", block)
    for channel, units in enumerate(("mV", "uV")):
        recording, values = read(path, channel)
        assert (recording.sampling_rate, recording.units) == (25, units)
        np.testing.assert_array_equal(values, by_wfdb(path, channel))
        assert recording.samples == len(values) == 702
        assert np.diff(values).any()


@pytest.mark.parametrize("fmt", ["16", "212", "24"])
@pytest.mark.parametrize("skew", [0, 3])
def test_samples_of_a_frame(tmp_path, monkeypatch, fmt, skew):
    path = write_record(tmp_path, fmt, (4, 3), skew=[skew, 0])
    monkeypatch.setattr(records, "BLOCK", 900)
    for channel, spf in enumerate((4, 3)):
        recording, values = read(path, channel)
        assert recording.sampling_rate == 25 * spf
        expected = by_wfdb(path, channel)
        if skew and channel == 0:  # wfdb leaves all but one sample of the last frames as they were
            expected[-skew * spf :] = np.nan
        np.testing.assert_array_equal(values, expected)


def edit(path, old, new, **options):
    text = path.read_text()
    assert old in text
    path.write_bytes(text.replace(old, new).encode(options.get("encoding", "utf-8")))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("units", ["µV", "°C", "m/s^2"])
def test_units_survive_any_encoding(tmp_path, units, encoding):
    path = write_record(tmp_path, "16")
    edit(path, "/mV", f"/{units}", encoding=encoding)
    recording, values = read(path, "ECG")
    assert recording.units == units
    np.testing.assert_array_equal(values, by_wfdb(path, 0))


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("200.0(3)/mV", "200.0/mV", lambda d: d / 200),  # the baseline is the ADC zero, 0
        ("200.0(3)/mV", "0", lambda d: d / 200),
        ("200.0(3)/mV", "200.0(0)/mV 16 5", lambda d: d / 200),
        ("own 2 25 702", "own 2 25/360(7.5) 702", lambda d: (d - 3) / 200),
        ("own 2 25 702", "own 2 25", lambda d: (d - 3) / 200),
        ("own 2 25 702", "some.name 2 25 702 12:30:05 13/02/98", lambda d: (d - 3) / 200),
        ("own 2 25 702", "own 2 25 702 05:03 13/02/98", lambda d: (d - 3) / 200),
        ("\n", "\r\n", lambda d: (d - 3) / 200),
        ("own.dat", "OWN.DAT", lambda d: (d - 3) / 200),
    ],
)
def test_headers_that_are_allowed(tmp_path, old, new, changed):
    path = write_record(tmp_path, "16")
    digital = np.frombuffer((tmp_path / "own.dat").read_bytes(), "<i2")[::2]
    edit(path, old, new)
    recording, values = read(path, 0)
    np.testing.assert_array_equal(values, changed(digital))
    assert recording.sampling_rate == 25
    if "98" in new:
        time = "00:05:03" if "05:03" in new else "12:30:05"  # minutes and seconds, for WFDB
        assert recording.start.isoformat() == f"1998-02-13T{time}"


def test_offset_and_names_that_are_doubled(tmp_path):
    path = write_record(tmp_path, "16")
    data = tmp_path / "own.dat"
    expected = by_wfdb(path, 1)
    data.write_bytes(b"24 bytes of another head" + data.read_bytes())
    edit(path, "own.dat 16x1", "own.dat 16x1+24")
    edit(path, "Resp", "ECG")
    np.testing.assert_array_equal(read(path, 1)[1], expected)
    refused(path, r"exactly one of its columns \['ECG', 'ECG'\]", "ECG")
    data.rename(tmp_path / "own.mat")  # as of the challenges of 2017 on
    edit(path, "own.dat", "own.mat")
    np.testing.assert_array_equal(read(tmp_path / "own.mat", 1)[1], expected)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "begins with 'nothing'"),
        ("own 0 250\n", "has 0 signals"),
        ("own 1 abc 9\nown.dat 16 200 16 0 0 0 0 A\n", "as no WFDB header does"),
        ("own 1 0 9\nown.dat 16 200 16 0 0 0 0 A\n", "a rate of 0 Hz"),
        ("own 2 250 9\nown.dat 16 200 16 0 0 0 0 A\n", "has 1 of 2 lines of signals or segments"),
        ("own 1 250 9999\nown.dat 16 200 16 0 0 0 0 A\n", "9999 frames"),
        ("own 1 250 9\nown.dat 99 200 16 0 0 0 0 A\n", "format 99 is none"),
        ("own 1 250 9\nown.dat 16 gain 16 0 0 0 0 A\n", "does not describe a WFDB signal"),
        ("own 1 250 9\n../own.dat 16 200 16 0 0 0 0 A\n", "not a plain file name"),
    ],
)
def test_headers_that_cannot_be_used(tmp_path, text, sentence):
    (tmp_path / "own.dat").write_bytes(bytes(100))
    (tmp_path / "own.hea").write_text(text)
    if "9999" in text:
        with pytest.raises(FileError, match=r"own.dat: .*own.hea says 9999 frames"):
            read(tmp_path / "own.hea")
    else:
        refused(tmp_path / "own.hea", sentence)


def test_flac_that_is_cut_off(tmp_path):
    path = write_record(tmp_path, "516")
    data = tmp_path / "own.dat"
    data.write_bytes(data.read_bytes()[:-300])
    with pytest.raises(FileError):
        read(path, 0)


def test_segments_of_a_variable_layout(tmp_path):
    (tmp_path / "big.hea").write_text("big/4 2 100 350\nbig_layout 0\nbig_1 100\n~ 50\nbig_2 200\n")
    (tmp_path / "big_layout.hea").write_text(
        "big_layout 2 100 0\n~ 0 200(0)/mV 16 0 0 0 0 II\n~ 0 100(0)/mmHg 16 0 0 0 0 ABP\n"
    )
    first, second = np.arange(100, dtype="<i2"), np.arange(400, dtype="<i2")
    (tmp_path / "one.dat").write_bytes(first.tobytes())
    (tmp_path / "two.dat").write_bytes(second.tobytes())
    (tmp_path / "big_1.hea").write_text("big_1 1 100 100\none.dat 16 100(0)/mmHg 16 0 0 0 0 ABP\n")
    (tmp_path / "big_2.hea").write_text(
        "big_2 2 100 200\ntwo.dat 16 50(0)/mmHg 16 0 0 0 0 ABP\n"
        "two.dat 16 200(0)/mV 16 0 0 0 0 II\n"
    )
    recording, pressure = read(tmp_path / "big.hea", "ABP")
    expected = [first / 100, np.full(50, np.nan), second[::2] / 50]
    np.testing.assert_array_equal(pressure, np.concatenate(expected))
    assert (recording.units, recording.sampling_rate) == ("mmHg", 100)
    _, lead = read(tmp_path / "big.hea", "II")
    np.testing.assert_array_equal(lead, np.r_[np.full(150, np.nan), second[1::2] / 200])
    whole = wfdb.rdrecord(str(tmp_path / "big"))
    np.testing.assert_array_equal(pressure, whole.p_signal[:, whole.sig_name.index("ABP")])


@pytest.mark.parametrize(
    "record", ["mitdb/100", "noneeg/Subject10_AccTempEDA", "emgdb/emg_healthy", "drivedb/drive01"]
)
def test_records_of_physionet(tmp_path, record):
    path = Path(os.environ.get("SAN_DATA", "data")) / f"physionet/{record}.hea"
    if not path.exists():
        pytest.skip("needs the recordings: set SAN_DATA to their folder")
    recording, values = read(path, 0)
    np.testing.assert_array_equal(values, by_wfdb(path, 0))
    # There and back as text, the times in a column.
    own, values = tmp_path / "own.csv", values[:20_000]
    values[999:1234] = np.nan
    times = np.arange(len(values)) / recording.sampling_rate
    frame = pd.DataFrame({"time": times, recording.column: values})
    frame.dropna().to_csv(own, index=False, sep=";", decimal=",")
    again, found = read(own)
    np.testing.assert_array_equal(found, values[: np.flatnonzero(np.isfinite(values))[-1] + 1])
    assert (again.sampling_rate, again.column) == (recording.sampling_rate, recording.column)


# --- EDF and BDF ----------------------------------------------------------------------------------


def write_edf(path, rates=(50, 128), seconds=9, **options):
    signals = [
        edfio.EdfSignal(RANDOM.normal(size=rate * seconds), rate, label=f"C{i}",
                        physical_dimension="mV", physical_range=(-5.3, 6.1))
        for i, rate in enumerate(rates)
    ]  # fmt: skip
    edfio.Edf(signals, **options).write(path)
    return path


def by_pyedflib(path, channel):
    with pyedflib.EdfReader(str(path)) as file:
        return file.readSignal(channel)


@pytest.mark.parametrize("block", [100, 10_000])
def test_edf_of_several_rates(tmp_path, monkeypatch, block):
    path = write_edf(tmp_path / "own.edf", data_record_duration=1)
    monkeypatch.setattr(edf_files, "BLOCK", block)
    stored = edfio.read_edf(path)
    for channel, rate in enumerate((50, 128)):
        recording, values = read(path, channel)
        assert (recording.sampling_rate, recording.units) == (rate, "mV")
        np.testing.assert_array_equal(values, by_pyedflib(path, channel))
        np.testing.assert_allclose(values, stored.signals[channel].data, rtol=1e-15, atol=1e-15)


def test_edf_of_many_channels(tmp_path):
    path = write_edf(tmp_path / "own.edf", (20,) * 139)
    np.testing.assert_array_equal(read(path, "C138")[1], by_pyedflib(path, 138))


def test_bdf(tmp_path):
    path = tmp_path / "own.bdf"
    values = RANDOM.normal(size=1000)
    with pyedflib.EdfWriter(str(path), 1, file_type=pyedflib.FILETYPE_BDF) as file:
        file.setSignalHeader(0, {"label": "A1", "dimension": "uV", "sample_frequency": 100,
                                 "physical_max": 5, "physical_min": -5, "digital_max": 8388607,
                                 "digital_min": -8388608, "transducer": "",
                                 "prefilter": ""})  # fmt: skip
        file.writeSamples([values])
    recording, found = read(path)
    np.testing.assert_array_equal(found, by_pyedflib(path, 0))
    np.testing.assert_allclose(found, values, atol=1e-5)
    assert recording.units == "uV"


TIMED = {"labels": ("ECG", "EDF Annotations"), "sizes": (50, 16), "reserved": "EDF+D"}


def edf_bytes(**options):
    """An EDF file of 50 samples a record, and those of its first channel in mV."""
    content, samples = edf_file(**options)
    return content, np.frombuffer(samples, "<i2") / 100


@pytest.mark.parametrize(
    ("onsets", "gaps"),
    [((0, 1, 2, 3), {}), ((0, 1, 5.5, 6.5), {100: 175}), (("0.25", 1.25, 2.26, 3.26), {})],
)
def test_pieces_of_edf_keep_their_times(tmp_path, onsets, gaps):
    path = tmp_path / "own.edf"
    content, values = edf_bytes(onsets=onsets, **TIMED)
    path.write_bytes(content)
    recording, found = read(path, "ECG")
    expected = values
    for place, gap in gaps.items():
        expected = np.insert(values, place, np.full(gap, np.nan))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert recording.samples == len(found)
    seconds = 30 + float(onsets[0])
    assert recording.start.isoformat().startswith(f"2023-08-24T23:59:{seconds:g}")
    assert open_file(path).names == ("ECG",)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"low": "1", "high": "1"}, "which stand for 1 to 1"),
        ({"dlow": "5", "dhigh": "5"}, "digital 5 to 5"),
        ({"low": "x"}, "'ECG': physical minimum is 'x', not a number"),
        ({"sizes": (0,)}, r"records of \[0\] samples"),
        ({"duration": "0"}, "no rate can be told from records of 0 s"),
        ({"labels": ("EDF Annotations",)}, "holds annotations only"),
        (TIMED | {"onsets": (0, 1, 0.5, 3)}, "record 2 begins at 0.5 s, before the end"),
        (TIMED | {"onsets": (0, 1, 1e9, 1e9 + 1)}, "samples are missing before record 2"),
    ],
)
def test_edf_that_cannot_be_used(tmp_path, fields, sentence):
    path = tmp_path / "own.edf"
    path.write_bytes(edf_bytes(**fields)[0])
    refused(path, sentence)


def test_edf_that_is_unusual(tmp_path):
    path = tmp_path / "own.edf"
    content, values = edf_bytes(labels=("Fp1-Réf",), units="µV", date="31.31.xx")
    path.write_bytes(content[:-30])
    recording, found = read(path, "Fp1-Réf")
    np.testing.assert_allclose(found, values[:150], atol=1e-12)
    assert (recording.units, recording.start) == ("µV", None)
    assert recording.remarks == [
        "the header says 4 records, 3 are there, and 70 bytes of one more are left out",
        "the start '31.31.xx 23.59.30' is no date and time",
    ]
    path.write_bytes(edf_bytes(duration="0")[0])
    assert read(path, rate=50)[0].sampling_rate == 50
    content, values = edf_bytes()
    path.write_bytes(content[:184] + b"1024    " + content[192:])
    recording, found = read(path)
    np.testing.assert_allclose(found, values, atol=1e-12)
    assert recording.remarks == ["the header says that it has 1024 bytes, it has 512"]


def test_edf_whose_annotations_say_no_times(tmp_path):
    path = tmp_path / "own.edf"
    content, values = edf_bytes(**TIMED)
    silent = re.sub(rb"\+\d\x14\x14", bytes(4), content)
    path.write_bytes(silent)
    refused(path, "records have gaps between them, but none says when it begins", "ECG")
    path.write_bytes(silent.replace(b"EDF+D", b"EDF+C"))
    recording, found = read(path, "ECG")
    np.testing.assert_allclose(found, values, atol=1e-12)
    assert recording.remarks == ["no record says when it begins: they are taken without gaps"]


# --- NumPy ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f2", "i1", ">f4", ">i2", "u2", "f8", "g"])
def test_types_of_numbers(tmp_path, dtype):
    values = (100 * np.sin(np.arange(400))).astype(dtype if dtype != "u2" else "i2").astype(dtype)
    np.save(tmp_path / "own.npy", values)
    np.testing.assert_array_equal(read(tmp_path / "own.npy")[1], values.astype(float))


@pytest.mark.parametrize("shape", [(300, 2), (2, 300)])
@pytest.mark.parametrize("order", "CF")
def test_a_channel_of_two_dimensions(tmp_path, monkeypatch, shape, order):
    monkeypatch.setattr(arrays, "BLOCK", 77)
    values = np.asarray(RANDOM.normal(size=shape), order=order)
    np.save(tmp_path / "own.npy", values)
    channel = values[:, 1] if shape[0] == 300 else values[1]
    np.testing.assert_array_equal(read(tmp_path / "own.npy", 1)[1], channel)
    refused(tmp_path / "own.npy", r"'' does not name exactly one of its columns \[0, 1\]")


def test_rate_units_and_names_in_an_archive(tmp_path):
    path = tmp_path / "own.npz"
    values = RANDOM.normal(size=(300, 2))
    np.savez(path, data=values, fs=250, units=["mV", "%"], names=["ECG", "SpO2"], subject="X")
    recording, found = read(path, "SpO2")
    assert (recording.sampling_rate, recording.units) == (250, "%")
    np.testing.assert_array_equal(found, values[:, 1])
    refused(path, "the file says 250 Hz, but the rate given is 100 Hz", "ECG", 100)
    np.savez(path, data=values, fs=[250, 50])
    assert [read(path, channel)[0].sampling_rate for channel in (0, 1)] == [250, 50]


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ({"fs": [250, 125, 50]}, "3 rates for 2 channels"),
        ({"fs": 250, "rate": 500}, "'rate' says .500.0. Hz, another .250.0."),
        ({"fs": "250 Hz"}, "array 'fs' says 250 Hz, no rate above 0"),
        ({"fs": 0}, "array 'fs' says 0, no rate above 0"),
        ({"names": ["I"]}, "1 names for 2 channels"),
    ],
)
def test_archives_that_contradict_themselves(tmp_path, others, sentence):
    np.savez(tmp_path / "own.npz", data=RANDOM.normal(size=(300, 2)), **others)
    refused(tmp_path / "own.npz", sentence, 0)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.ones(9, complex), "complex128 of shape"),
        (np.array(["a"] * 9), "<U1 of shape"),
        (np.array(5.0), r"float64 of shape \(\)"),
        (np.ones((9, 9)), r"shape \(9, 9\)"),
        (np.ones((2, 3, 4)), r"shape \(2, 3, 4\)"),
        (np.zeros(9, [("a", float)]), "of shape"),
        (np.arange(9).astype("datetime64[s]"), "datetime64"),
        (np.array([None]), "object of shape"),
    ],
)
@pytest.mark.parametrize("save", [np.save, np.savez])
def test_arrays_that_are_no_signals(tmp_path, array, sentence, save):
    path = tmp_path / ("own.npy" if save is np.save else "own.npz")
    save(path, array, allow_pickle=True)
    is_mapped = array.dtype == object and save is np.save
    refused(path, "holds no array of numbers" if is_mapped else sentence)


class Trap:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_archives_that_cannot_be_used(tmp_path):
    path = tmp_path / "own.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"123")
    content = bytearray(path.read_bytes())
    refused(path, "'x' is not a signal")
    with zipfile.ZipFile(tmp_path / "sheet.npz", "w") as archive:
        archive.writestr("sheet.csv", "1,2")
    refused(tmp_path / "sheet.npz", "'sheet.csv' is not a signal")
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(Trap()))
    refused(tmp_path / "pickle.npy", "holds no array of numbers")
    np.save(tmp_path / "object.npy", np.array([Trap()]), allow_pickle=True)
    refused(tmp_path / "object.npy", "holds no array of numbers")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 broken")
    refused(tmp_path / "broken.npz", "cannot be read: ")
    for place in (6, content.index(b"PK\x01\x02") + 8):
        content[place] |= 1
    path.write_bytes(content)
    refused(path, "the archive is encrypted")


def test_endless_archive_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "LARGEST", 2**20)
    path = tmp_path / "own.npz"
    np.savez_compressed(path, x=np.zeros(1_000_000))
    assert path.stat().st_size < 10**5
    refused(path, "8000[0-9]+ bytes, more than")


def test_clock_of_a_continuous_edf_may_drift(tmp_path):
    onsets = [f"{1.001 * record:.3f}" for record in range(40)]
    content, values = edf_bytes(onsets=onsets, **TIMED)
    path = tmp_path / "x.edf"
    path.write_bytes(content)
    assert np.isnan(read(path, "ECG")[1]).sum() == 2  # of EDF+D: the onsets decide
    path.write_bytes(content.replace(b"EDF+D", b"EDF+C"))
    recording, found = read(path, "ECG")
    np.testing.assert_allclose(found, values, atol=1e-12)
    assert recording.remarks == ["the times end 0.039 s from what the rate says"]


@pytest.mark.parametrize("name", ["sf", "srate", "sampling_frequency"])
def test_other_names_of_rates(tmp_path, name):
    np.savez(tmp_path / "x.npz", **{name: 250, "ecg": np.arange(9.0)})
    assert open_recording(tmp_path / "x.npz").sampling_rate == 250


TIMES = np.arange(400) * 0.004


@pytest.mark.parametrize(
    ("moments", "start"),
    [
        (TIMES, None),
        (TIMES.astype(np.float32), None),
        (1.6e9 + TIMES, datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)),
        (
            np.datetime64("2021-05-04T01:02:03") + (1e6 * TIMES).astype("timedelta64[us]"),
            datetime(2021, 5, 4, 1, 2, 3, tzinfo=UTC),
        ),
    ],
)
def test_times_in_an_archive_tell_rate_start_and_gaps(tmp_path, monkeypatch, moments, start):
    monkeypatch.setattr(arrays, "BLOCK", 77)
    path, kept = tmp_path / "x.npz", np.r_[:200, 300:400]
    values = RANDOM.normal(size=400)
    np.savez(path, t=moments[kept], ecg=values[kept])
    recording, found = read(path)
    assert (recording.sampling_rate, recording.start) == (250, start)
    np.testing.assert_array_equal(found, np.where(np.isin(np.arange(400), kept), values, np.nan))
    refused(path, "array 't' says 250 Hz, but the rate given is 100 Hz", "ecg", 100)
    recording = open_recording(path, "ecg", 100, time="none")
    np.testing.assert_array_equal(np.concatenate([*recording.blocks(9)]), values[kept])


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [(7, np.nan, "element 7 of the times 't' is missing"),
     (7, 0, "the time in element 7 of column 't' is earlier than the one before")],
)  # fmt: skip
def test_times_in_an_archive_that_cannot_be_used(tmp_path, place, value, sentence):
    moments = TIMES.copy()
    moments[place] = value
    np.savez(tmp_path / "x.npz", t=moments, ecg=TIMES)
    refused(tmp_path / "x.npz", sentence, "ecg")
    with pytest.raises(FileError, match=r"array 'u' holds no times of 400 samples"):
        open_recording(tmp_path / "x.npz", "ecg", time="u")
