"""Files as people have them: right samples, rate, units and times, or one sentence.

The files in `cases` are made by hand after public reports of what recorders write.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sanbook.signals.formats import FileError, open_recording

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
