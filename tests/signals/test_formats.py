"""Files as people have them: right samples, rate, units and times, or one sentence.

The files in `cases` are made by hand after public reports of what recorders write.
"""

import io
import os
import sys
import threading
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sanbook.signals.formats import FileError, open_file, open_recording

CASES = Path(__file__).parent / "cases"
WAVE = [0.0, 0.2026, 0.3834, 0.5252]  # what most of the cases begin with
WATCH = [0.0, 20.26, 38.34, 52.52]
ADC = [0.001221, 0.4969475, 0.93650794]


def read(path, column="", rate=None, **overrides):
    """The recording and all its samples."""
    recording = open_recording(path, column, rate, **overrides)
    return recording, np.concatenate([np.empty(0), *recording.blocks(64)])


@pytest.mark.parametrize(
    ("file", "column", "rate", "units", "samples", "first"),
    [
        ("wfdb-several-samples-per-frame/spf.hea", "ECG", 100, "mV", 2000, [0, 0.45, 0.85]),
        ("wfdb-several-samples-per-frame/spf.hea", "RESP", 50, "mV", 1000, [0, -0.45, -0.85]),
        ("wfdb-several-samples-per-frame/spf.dat", 1, 50, "mV", 1000, [0, -0.45, -0.85]),
        ("csv-decimal-comma-two-names/watch.csv", "", None, "µV", 400, WATCH),
        ("csv-decimal-comma-two-names/trailing.csv", "EKG", None, "unknown", 400, WATCH),
        ("plot-and-events-in-other-units/mv.hea", "", 250, "mV", 3000, [0, 0.45, 0.85]),
        ("plot-and-events-in-other-units/uv.hea", "", 250, "uV", 3000, [0, 450, 850]),
        ("csv-time-column-with-gap/other-rate.csv", "", 250, "unknown", 400, WAVE),
        ("csv-lines-that-are-not-rows/marker.csv", "", 100, "unknown", 400, WAVE),
        ("csv-lines-that-are-not-rows/pause.csv", "", 100, "unknown", 400, WAVE),
        ("csv-lines-that-are-not-rows/footer.csv", "", 100, "unknown", 400, WAVE),
        ("edf-decimal-comma/comma.edf", "", 100, "mV", 1000, [0.00078144, 0.3180464]),
        ("edf-minus-1-records/minus1.edf", "", 100, "mV", 1000, ADC),
        ("edf-minus-1-records/interrupted.edf", "", 100, "mV", 1000, ADC),
        ("edf-minus-1-records/longer.edf", "", 100, "mV", 1000, ADC),
        ("edf-nul-padding/nul.edf", "ECG", 100, "mV", 1000, ADC),
        ("wfdb-no-length/nolen.hea", "", 250, "mV", 3000, [0, 0.45, 0.85]),
        ("wfdb-no-length/zero.hea", "", 250, "mV", 3000, [0, 0.45, 0.85]),
        ("wfdb-several-segments/multi.hea", "", 250, "mV", 2000, [0, 0.45, 0.85]),
        ("wfdb-upper-case-suffix/REC.HEA", "", 250, "mV", 3000, [0, 0.45, 0.85]),
        ("npz-called-npy/archive.npy", "", None, "unknown", None, []),
        ("npz-called-npy/array.npz", "", None, "unknown", None, []),
        ("csv-other-encodings/latin1.csv", "ECG (µV)", 100, "µV", 400, WAVE),
        ("csv-other-encodings/utf16.csv", "ECG", 100, "unknown", 400, WAVE),
        ("csv-other-encodings/utf16le-nobom.csv", "ECG", 100, "unknown", 400, WAVE),
        ("csv-semicolons-and-comma-in-a-name/german.csv", "EKG, Ableitung I", None, "unknown",
         400, [0, 202, 383]),
        ("csv-semicolons-and-comma-in-a-name/spaces.csv", "ECG, lead I", 100, "unknown", 400,
         WAVE),
        ("e4-start-time-and-rate-rows/bvp.csv", "", 64, "unknown", 400, WAVE),
        ("e4-start-time-and-rate-rows/as-advised.csv", "BVP", 64, "unknown", 400, WAVE),
        ("csv-lines-above-the-names/01-apple-watch.csv", "", 512, "µV", 600, WATCH),
        ("csv-lines-above-the-names/04-opensignals.csv", "A1", 1000, "unknown", 600, [500, 560]),
        ("csv-lines-above-the-names/05b-shimmer-comma.csv", "", 500, "mV", 600, WAVE),
        ("csv-lines-above-the-names/05c-units-row.csv", "ECG", 100, "mV", 600, WAVE),
        ("csv-lines-above-the-names/06-labchart.csv", "Pulse", 100, "V", 600, WAVE),
        ("csv-lines-above-the-names/14-openbci.csv", "", 250, "uV", 600, WAVE),
        ("csv-lines-above-the-names/biosppy.csv", "ECG", 1000, "unknown", 400, [0, 101, 191]),
    ],
)  # fmt: skip
def test_file_of_a_recorder(file, column, rate, units, samples, first):
    recording, values = read(CASES / file, column)
    assert (recording.sampling_rate, recording.units) == (rate, units)
    assert len(values) == (samples or (len(values) > 0 and len(values)))
    assert np.isfinite(values).all()
    np.testing.assert_allclose(values[: len(first)], first, rtol=0, atol=1e-6)
    assert recording.decision.startswith("read as: ")
    again = np.concatenate(list(recording.blocks(7)))  # a file can be read again
    np.testing.assert_array_equal(values, again)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("csv-open-quote/open.csv", "line 252 has a quotation mark"),
        ("csv-open-quote/closed-later.csv", "line 252 has a quotation mark"),
        ("csv-time-column-with-gap/unordered.csv", "line 3 of column 'time' is earlier"),
        ("edf-digital-min-equals-max/equal.edf", "'ECG' has .* digital 0 to 0"),
        ("edf-record-duration-0/zero.edf", "no rate can be told from records of 0 s"),
        ("wfdb-several-segments/layout.hea", "of several segments. Name the header of the record"),
    ],
)
def test_file_of_a_recorder_that_cannot_be_used(file, sentence):
    with pytest.raises(FileError, match=rf"^{Path(file).name}: .*{sentence}.*\.$"):
        read(CASES / file)


def test_gap_in_times_is_missing_samples():
    recording, values = read(CASES / "csv-time-column-with-gap/gap.csv")
    assert recording.sampling_rate == 100
    assert np.flatnonzero(np.isnan(values)).tolist() == [*range(200, 700)]
    assert len(values) == 900
    stored = pd.read_csv(CASES / "csv-time-column-with-gap/gap.csv")
    places = (stored.time * 100).round().astype(int)
    np.testing.assert_array_equal(values[places], stored.ECG)


def test_rate_that_times_contradict():
    path = CASES / "csv-time-column-with-gap/other-rate.csv"
    with pytest.raises(FileError, match=r"'time' says 250 Hz, but the rate given is 100 Hz"):
        read(path, rate=100)
    assert read(path, rate=250)[0].sampling_rate == 250
    assert read(path, "ECG", rate=100, time="none")[0].sampling_rate == 100


def test_times_over_a_change_of_offset():
    recording, values = read(CASES / "csv-time-column-with-gap/clock.csv")
    stored = pd.read_csv(CASES / "csv-time-column-with-gap/clock.csv")
    seconds = pd.to_datetime(stored.timestamp, utc=True)
    places = (seconds - seconds[0]).dt.total_seconds().astype(int)
    assert recording.start == seconds[0]
    assert recording.sampling_rate == 1
    np.testing.assert_array_equal(values[places], stored.ECG)
    assert np.isfinite(values).sum() == 400


def test_records_of_edf_that_are_not_as_announced_are_named():
    for name, said in (("minus1", -1), ("interrupted", 20), ("longer", 5)):
        recording, _ = read(CASES / f"edf-minus-1-records/{name}.edf")
        assert recording.remarks == [f"the header says {said} records, 10 are there"]


def test_lines_that_are_no_rows_are_named():
    recording, _ = read(CASES / "csv-lines-that-are-not-rows/marker.csv")
    assert recording.remarks == ["1 line is no row and left out, line 52, '# marker'"]


def test_units_of_a_power_of_ten_are_converted():
    folder = CASES / "plot-and-events-in-other-units"
    expected = read(folder / "mv.hea")[1]
    converted = open_recording(folder / "uv.hea").in_units("mV")
    assert converted.units == "mV"
    np.testing.assert_allclose(np.concatenate(list(converted.blocks(9))), expected, rtol=1e-15)
    with pytest.raises(FileError, match=r"units are mV, but mmHg are needed. Convert the signal"):
        open_recording(folder / "mv.hea").in_units("mmHg")


# --- text, as pandas reads it ---------------------------------------------------------------------


def wave(samples=600):
    return np.sin(np.arange(samples) / 7) * 1.7 + 0.3 * np.sin(np.arange(samples) / 3)


def table(samples=600, rate=100.0):
    return pd.DataFrame({"time": np.arange(samples) / rate, "ECG": wave(samples)})


def text(frame, **options):
    return frame.to_csv(index=False, **options)


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_numbers_as_pandas_wrote_them(tmp_path, decimal, separator, header, columns):
    frame = table().assign(PPG=-wave())[["ECG", "time", "PPG"][:columns]]
    frame.loc[7, "ECG"] = np.nan
    path = tmp_path / "own.csv"
    path.write_text(text(frame, sep=separator, decimal=decimal, header=header, na_rep="nan"))
    recording, values = read(path, 0)
    np.testing.assert_array_equal(values, frame.ECG)
    assert recording.sampling_rate == (100 if header and columns > 1 else None)
    assert recording.column == ("ECG" if header else "")
    again = pd.read_csv(path, sep=separator, decimal=decimal, header=0 if header else None,
                        float_precision="round_trip")  # fmt: skip
    np.testing.assert_array_equal(values, again.iloc[:, 0])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n", "\n\n"])
def test_encodings_and_line_ends(tmp_path, encoding, end):
    path = tmp_path / "own.csv"
    lines = text(table().rename(columns={"ECG": "ECG (µV)"}), decimal=",", sep=";")
    path.write_bytes(lines.replace("\n", end).encode(encoding))
    recording, values = read(path, "ECG (µV)")
    np.testing.assert_array_equal(values, wave())
    assert (recording.units, recording.sampling_rate) == ("µV", 100)


def test_column_without_a_name_is_an_index_of_pandas(tmp_path):
    path = tmp_path / "own.csv"
    frame = pd.DataFrame({"ecg": wave()})
    frame.to_csv(path)
    np.testing.assert_array_equal(read(path)[1], wave())
    frame.set_index(pd.date_range("2024-05-06 07:08:09", periods=600, freq="4ms")).to_csv(path)
    recording, values = read(path)
    np.testing.assert_array_equal(values, wave())
    assert (recording.sampling_rate, recording.start) == (250, datetime(2024, 5, 6, 7, 8, 9))
    pd.DataFrame(np.c_[wave(), -wave()]).to_csv(path)
    np.testing.assert_array_equal(read(path, "1")[1], -wave())
    np.testing.assert_array_equal(read(path, 1)[1], wave())  # 1 is a place, "1" a name


@pytest.mark.parametrize(
    ("times", "rate", "start"),
    [
        ([f"{i / 256:.3f}" for i in range(600)], 256, None),
        ([f"{1000 * i / 360:.4f}" for i in range(600)], None, None),
        ([f"{1.7e9 + i / 130:.3f}" for i in range(600)], 130, "2023-11-14T22:13:20+00:00"),
        ([f"{1_700_000_000_000 + 8 * i}" for i in range(600)], 125, "2023-11-14T22:13:20+00:00"),
        ([f"{i}" for i in range(600)], None, None),
        ([f"0:{i // 60:02}:{i % 60:02}" for i in range(600)], 1, None),
        ([f"{t:%H:%M:%S.%f}" for t in pd.date_range("2024-01-01 23:59:59", periods=600,
                                                     freq="4ms")], 250, None),
        ([f"{t:%d.%m.%Y %H:%M:%S.%f}" for t in pd.date_range("2024-01-31", periods=600,
                                                              freq="10ms")], 100,
         "2024-01-31T00:00:00"),
        ([*map(str, pd.date_range("2024-10-27 02:59:58", periods=500, freq="4ms")),
          *map(str, pd.date_range("2024-10-27 02:00:00", periods=100, freq="4ms"))], 250,
         "2024-10-27T02:59:58"),
        ([*map(str, pd.date_range("2024-03-31 01:59:58", periods=500, freq="4ms")),
          *map(str, pd.date_range("2024-03-31 03:00:00", periods=100, freq="4ms"))], 250,
         "2024-03-31T01:59:58"),
        (pd.date_range("2024-10-27 00:59:58Z", periods=600, freq="4ms").tz_convert(
            "Europe/Berlin").map(lambda t: t.isoformat()), 250, "2024-10-27T00:59:58+00:00"),
        ([f"{t:%d/%m/%Y %H:%M:%S.%f}" for t in pd.date_range("2021-04-03 23:59:59", periods=600,
                                                              freq="4ms")], 250,
         "2021-04-03T23:59:59"),
        ([f"{t:%m/%d/%Y %I:%M:%S %p}" for t in pd.date_range("2021-04-03 23:58", periods=600,
                                                              freq="s")], 1,
         "2021-04-03T23:58:00"),
        ([f"{t:%I:%M:%S %p}" for t in pd.date_range("2021-04-03 11:58", periods=600, freq="s")], 1,
         None),
        ([f"{t:%H:%M:%S}:{t.microsecond // 1000:03}" for t in pd.date_range(
            "2021-04-03 23:59:59", periods=600, freq="4ms")], 250, None),
    ],
)  # fmt: skip
def test_times_tell_the_rate(tmp_path, times, rate, start):
    path = tmp_path / "own.csv"
    path.write_text(text(pd.DataFrame({"time": times, "ECG": wave()})))
    recording, values = read(path)
    np.testing.assert_array_equal(values, wave())
    assert recording.sampling_rate == rate
    assert (recording.start and recording.start.isoformat()) == start


def test_times_without_a_unit_take_it_from_the_rate(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(text(table().assign(time=4 * np.arange(600))))
    assert read(path)[0].sampling_rate is None
    assert "of which no unit is known" in read(path)[0].decision
    assert read(path, rate=250)[0].sampling_rate == 250
    with pytest.raises(FileError, match=r"says 0\.25 Hz, but the rate given is 100 Hz"):
        read(path, rate=100)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: np.repeat(t[::2], 2), "line 3 of column 'time' is repeated"),
        (lambda t: t[::-1], "line 3 of column 'time' is earlier"),
        (lambda t: np.cumsum(np.random.default_rng(0).exponential(0.01, len(t))), "irregular"),
        (lambda t: t + 1e9 * (t > 3), "samples are missing before line 303"),
    ],
)
def test_times_that_cannot_be_used(tmp_path, change, sentence):
    path = tmp_path / "own.csv"
    frame = table()
    path.write_text(text(frame.assign(time=change(frame.time.to_numpy()))))
    with pytest.raises(FileError, match=sentence):
        read(path)
    np.testing.assert_array_equal(read(path, time="none")[1], wave())


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("nan\n1\n2\n3\n", {}, [np.nan, 1, 2, 3]),
        ('ecg\n1\n""\n3\n', {}, [1, np.nan, 3]),
        ("ecg\n1\n\n2\n\n\n3\n", {}, [1, 2, 3]),
        ("ecg\n1\nN/A\nnull\n3\n", {}, [1, np.nan, np.nan, 3]),
        ("a,b\n1,2\n3,4\n5,6,\n", {"column": "b"}, [2, 4, 6]),
        ("sep=;\na;b\n1;2\n3;4\n", {"column": "b"}, [2, 4]),
        ("# rate\n#a b\n1 2\n3 4\n", {"column": "b"}, [2, 4]),
        ('"ecg"\n"1" 2\n"2" 3\n', {"column": "ecg"}, [2, 3]),
        ("x\n1,5\n2,25\n", {}, [1.5, 2.25]),
        ("x,y\n1,5\n2,25\n", {"column": "y"}, [5, 25]),
        ("x,y\n1,5\n2,25\n", {"decimal": ",", "separator": ";"}, [1.5, 2.25]),
        ("note\nmore\nx,y\n1,5\n2,6\n", {"column": "x", "skip": 2}, [1, 2]),
        ("7,8\n9,9\nx,y\n1,5\n2,6\n", {"column": "x", "skip": 2}, [1, 2]),
        ("a,b,note\n1,2,N\n3,4,V\n", {"column": "b"}, [2, 4]),
        ("value,label\n1,N\n3,V\n", {}, [1, 3]),
        ("0,1\n0.5,2.5\n0.25,2.5\n", {"column": "1"}, [2.5, 2.5]),
    ],
)
def test_small_texts(tmp_path, content, options, expected):
    path = tmp_path / "own.txt"
    path.write_text(content)
    np.testing.assert_array_equal(read(path, **options)[1], expected)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("ecg\n", "no column of numbers"),
        ("ecg\n1\nlost\n3\n", "line 3 is no row of 1 fields, but 'lost'"),
        ("a,ecg\n1,1\n2,lost\n3,3\n", r"column 'ecg' has 'lost' in line 3"),
        ("a,ecg\n1,1\n3,2\npause\n3,3\n", "line 4 is no row of 2 fields, but 'pause'"),
        ("ecg\n1\n0x1F\n3\n", "line 3 is no row of 1 fields, but '0x1F'"),
        ("a,ecg\n1,1\n2,1_0\n3,3\n", "'1_0' in line 3"),
        ('a,ecg\n1,"1,000"\n2,"1,001"\n', r"'1,000' in line 2"),
        ("a;ecg\n0,1;1.000\n0,2;1.001\n", r"'1.000' in line 2"),
        ("a,ecg\n1,5%\n2,6%\n", r"'5%' in line 2"),
        ("a,ecg\n1,1D3\n2,2D3\n", r"'1D3' in line 2"),
        ("t,ecg\n0,00,1,5\n0,01,1,25\n", "commas stand between the columns and in the numbers"),
        ("ecg,b,c\n1,2\n3,4\n5,6\n1,2,3,4\n1,2\n", "line 5 is no row of 2 fields"),
        ("ecg,b\n1,2,3\n3,4,5\n", r"line 2 has 3 fields below 2 names"),
        ("ecg\n1\n\0\n3\n", "line 3 is no line of text"),
        ("version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        ("<!DOCTYPE html>", "HTML or XML"),
        ("PK\x03\x04", "a zip or Excel file. Save the sheet as CSV"),
        ('a,ecg\n1,"2\n2,3\n', "line 2 has a quotation mark"),
    ],
)
def test_texts_that_cannot_be_used(tmp_path, content, sentence):
    path = tmp_path / "own.csv"
    path.write_text(content)
    with pytest.raises(FileError, match=rf"own.csv: .*{sentence}.*\.$"):
        read(path, "ecg" if "ecg" in content.splitlines()[0:1].__repr__() else "")


def test_named_pipe_is_read_once(tmp_path):
    path = tmp_path / "own.csv"
    os.mkfifo(path)
    content = text(table()).encode()
    writer = threading.Thread(target=lambda: path.write_bytes(content))
    writer.start()
    recording, values = read(path, "ECG")
    writer.join()
    np.testing.assert_array_equal(values, wave())
    assert recording.sampling_rate == 100


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("begin", ["", "\ufeff"])
def test_standard_input(monkeypatch, begin, end):
    content = (begin + text(table(), quoting=1)).replace("\n", end)
    stream = io.TextIOWrapper(io.BufferedReader(io.BytesIO(content.encode())))
    monkeypatch.setattr(sys, "stdin", stream)
    recording, values = read("-", "ECG")
    np.testing.assert_array_equal(values, wave())
    assert (recording.name, recording.sampling_rate) == ("standard input", 100)


def test_default_is_the_only_signal_beside_times(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(text(table().assign(note="x")))
    assert open_file(path).names == ("time", "ECG", "note")
    assert read(path)[0].column == "ECG"
    with pytest.raises(FileError, match=r"7 .* one of its columns \['time', 'ECG', 'note'\]"):
        read(path, 7)


def test_files_of_other_kinds(tmp_path):
    for name in ("own.xyz", "own"):
        (tmp_path / name).write_text("1\n2\n")
        with pytest.raises(FileError, match=r"none of the kinds \.csv"):
            read(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "own.npz", "w"):
        pass
    with pytest.raises(FileError, match=r"own.npz: holds no arrays"):
        read(tmp_path / "own.npz")
    with pytest.raises(FileError, match="separator, decimal and skip are for files of text"):
        read(tmp_path / "own.npz", decimal=",")
