"""What a header, a name or a column of times means: rate, gaps and start, or a sentence."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from sanbook.signals.formats import FileError, open_recording

WAVE = np.round(np.sin(np.arange(600) / 7) * 1.7, 4)


def read(tmp_path, content, column=""):
    path = tmp_path / "own.csv"
    path.write_text(content)
    recording = open_recording(path, column)
    return recording, np.concatenate(list(recording.blocks(64)))


def rows(times, values=WAVE):
    return "".join(f"{time},{value}\n" for time, value in zip(times, values, strict=True))


@pytest.mark.parametrize(
    ("line", "rate"),
    [
        *((f"# {text}", None) for text in (
            "Number of samples: 600", "Sample ID: 4711", "Sampling date 2021-03-04",
            "Downsampling factor: 4", "Sampling rate: unknown (device 7)", "Low pass: 40 Hz",
            "Resampled from 1000 Hz to 250 Hz", "Sampling Resolution:= 12")),
        *((f"# {text}", 250) for text in (
            "Sampled with 12 bit ADC at 250 Hz", "Sample Rate (Hz) 16 bit: 250", "fs = 250",
            "sampling frequency [Hz]: 2.5e2", "Sample time: 4 ms", "Sampling-interval: 4 ms",
            "sampling_period=0.004 s", "Sample interval (us): 4000", "0.25 kHz sampling; 0.25 kHz",
            "Sampling Interval (microseconds): 4000", "サンプルレート,250ヘルツ", "Rate: 250 Hz",
            "采样率,250赫兹", "Częstotliwość próbkowania,250 herców", "4 msec/sample")),
    ],
)  # fmt: skip
def test_rate_of_a_header(tmp_path, line, rate):
    recording, values = read(tmp_path, f"{line}\necg\n" + "".join(f"{v}\n" for v in WAVE))
    assert recording.sampling_rate == rate
    np.testing.assert_array_equal(values, WAVE)


@pytest.mark.parametrize("names", ["'sample #',MLII5", "sample_index,EEG2", "Sample Number,CH2"])
def test_names_say_no_rate(tmp_path, names):
    assert read(tmp_path, names + "\n" + rows(range(600)))[0].sampling_rate is None


@pytest.mark.parametrize(
    ("times", "rate"),
    [
        ([f"{i / 100:.2f}" for i in range(600)], 100),
        ([f"{i / 100:.3f}" for i in range(600)], 100),
        ([f"08:{i // 60:02}:{i % 60:02}" for i in range(600)], 1),
        ([f"0 days 00:00:{i / 100:09.6f}" for i in range(600)], 100),
        ([f"{45000 + i / 250 / 86400:.10f}" for i in range(600)], 250),
        ([f"{i / 512:.3f}" for i in range(600)], 512),
    ],
)
@pytest.mark.parametrize("every", [1000, 10])
def test_single_lost_samples_are_missing(tmp_path, times, rate, every):
    kept = [i for i in range(600) if i % every != 9]
    if every == 10 and rate == 512:
        kept = [*range(600)]
    content = "time,ecg\n" + rows([times[i] for i in kept], WAVE[kept])
    recording, values = read(tmp_path, content)
    assert recording.sampling_rate == rate
    np.testing.assert_array_equal(values[kept], WAVE[kept])
    assert len(values) == 1 + kept[-1]
    assert np.isnan(values).sum() == len(values) - len(kept)


def test_start_has_one_meaning(tmp_path):
    def start(form):
        times = [form.format(f"{i / 100:06.3f}") for i in range(600)]
        return read(tmp_path, "time,ecg\n" + rows(times))[0].start

    assert start("2024-01-02T03:04:{}-05:00") == datetime.fromisoformat("2024-01-02T08:04:00Z")
    assert start("03/04/2021 08:00:{}") is None
    assert start("13/04/2021 08:00:{}") == datetime(2021, 4, 13, 8)
    assert start("13:00:{}") is None


def test_date_and_time_may_stand_in_two_columns(tmp_path):
    for date, day in (("2021-04-03", 3), ("03.04.2021", 3), ("03/04/2021", None)):
        content = "Date,Time,ecg\n" + rows(f"{date},23:59:5{i / 100:.2f}" for i in range(600))
        recording, values = read(tmp_path, content, "ecg")
        assert recording.start == (day and datetime(2021, 4, day, 23, 59, 50))
        assert recording.sampling_rate == 100
        np.testing.assert_array_equal(values, WAVE)


def test_later_rows_tell_day_and_month(tmp_path):
    hours = [datetime(2021, 3, 10) + timedelta(hours=i) for i in range(600)]
    recording, values = read(tmp_path, "time,ecg\n" + rows(f"{t:%d/%m/%Y %H:%M:%S}" for t in hours))
    assert recording.start == hours[0]
    np.testing.assert_array_equal(values, WAVE)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("ecg\n" + "".join(f"{900 + k:,}\n".replace(",", " ") for k in range(300)),
         "'1 000' in line 102"),
        ("ecg\n" + "".join(f'"{12000 + k:,}"\n' for k in range(300)), "no column of numbers"),
        ("time,ecg\n" + rows([k / 100 if k < 500 else 5 + (k - 500) / 200 for k in range(600)]),
         "irregular"),
        ("time,ecg\n" + rows(np.cumsum([0.01] * 1500 + [0.02] * 200), np.resize(WAVE, 1700)),
         "times in column 'time' are 0.02 apart from line 1502 on, 0.01 before"),
        ("[\n" + "0.5,\n" * 300 + "0.5\n]\n", "is JSON"),
        ("Type,Local Number,Message,Field 1,Value 1,\n" + "Data,0,record,heart_rate,98,\n" * 300,
         "messages of a FIT file"),
        (",".join(map(str, WAVE)) + "\n", "has 1 line of 600 fields. Save each sample"),
        ("Name X, 2, 3\n" + "word 4a\n" * 300, "no column of numbers"),
        (2 * "".join(["Interval=\t0.01 s\n", "ChannelTitle=\tecg\n",
                      *(f"{k / 100:.2f}\t{k}\n" for k in range(300))]),
         "line 303 begins a second block of LabChart"),
    ],
)  # fmt: skip
def test_ambiguous_texts_are_refused(tmp_path, content, sentence):
    with pytest.raises(FileError, match=sentence):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "column", "expected", "units"),
    [
        ("time,ecg\n0,1\n0.004,2\n0.008,3.5\n", "ecg", [1, 2, 3.5], "unknown"),
        ("ecg\n1\n#N/A\n3\n", "", [1, np.nan, 3], "unknown"),
        ("Time,ECG\n[s],[mV]\n0,1\n0.5,2\n1,3\n", "ECG", [1, 2, 3], "mV"),
        ("0.010,\t5\n0.020,\t6\n0.030,\t8\n", 1, [5, 6, 8], "unknown"),
        ("ecg,rise_time\n1,9\n2,3\n3,4\n", "ecg", [1, 2, 3], "unknown"),
        ("R,S,T\n1,5,3\n2,4,6\n3,9,1\n4,2,2\n", "R", [1, 2, 3, 4], "unknown"),
        ("EKG\n3,5E-05\n-1,25E+01\n2,0E+00\n", "", [3.5e-5, -12.5, 2], "unknown"),
        ("单位,µV\n\n1.5\n2.5\n3.5\n", "", [1.5, 2.5, 3.5], "µV"),
        ("time (s),flow (l/min)\n0,1\n0.5,2\n1,3\n", "flow (l/min)", [1, 2, 3], "l/min"),
    ],
)
def test_small_tables(tmp_path, content, column, expected, units):
    recording, values = read(tmp_path, content, column)
    np.testing.assert_array_equal(values, expected)
    assert recording.units == units


def test_quoted_commas_are_refused_until_the_decimal_mark_is_given(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("ecg\n" + "".join(f'"{12 + k},{500 + k}"\n' for k in range(30)))
    with pytest.raises(FileError, match="name separator and decimal"):
        open_recording(path)
    recording = open_recording(path, decimal=",")
    values = np.concatenate(list(recording.blocks(64)))
    np.testing.assert_array_equal(values, [12 + k + (500 + k) / 1000 for k in range(30)])


@pytest.mark.parametrize(
    ("above", "row", "rate", "names"),
    [
        ("sec,CH1,CH2,\n,600,600,\n", "{0},{1},{2},\n", 500, ["sec", "ECG", "RSP", ""]),
        ("CH1,CH2,\n600,600,\n", "{1},{2},\n", 500, ["ECG", "RSP", ""]),
        ("\tCH1\tCH2\t\n\t600\t300\t\n", "{1}\t{2}\t\n", 500, ["ECG", "RSP", ""]),
    ],
)
def test_counts_above_the_rows_of_acqknowledge_are_no_samples(tmp_path, above, row, rate, names):
    content = f"rec.acq\n2 msec/sample\n2 channels\nECG\nmV\nRSP\nVolts\n{above}" + "".join(
        row.format(f"{i / 500:.3f}", value, -value) for i, value in enumerate(WAVE)
    )
    recording, values = read(tmp_path, content, "ECG")
    np.testing.assert_array_equal(values, WAVE)
    assert (recording.sampling_rate, recording.units) == (rate, "mV")
    assert open_recording(tmp_path / "own.csv", names.index("RSP")).units == "Volts"


def test_moments_are_times_whatever_their_column_is_called(tmp_path):
    moments = [datetime(2021, 3, 4, 10, 11, 12) + timedelta(milliseconds=4 * i) for i in range(600)]
    for form in ("%d-%b-%Y %H:%M:%S.%f", "%Y/%m/%d %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S.%f"):
        content = "FormattedUnix,ecg\n" + rows(moment.strftime(form) for moment in moments)
        recording, values = read(tmp_path, content)
        assert (recording.sampling_rate, recording.start) == (250, moments[0])
        np.testing.assert_array_equal(values, WAVE)


@pytest.mark.parametrize("text", ["", "nan", "NA"])
def test_a_row_without_a_time_is_left_out(tmp_path, text):
    content = "time,ecg\n" + rows(k / 100 if k != 500 else text for k in range(600))
    recording, values = read(tmp_path, content)
    np.testing.assert_array_equal(values, np.where(np.arange(600) == 500, np.nan, WAVE))
    assert "1 line is no row and left out, line 502" in recording.remarks[0]


def test_an_oscilloscope_and_labview_have_one_signal(tmp_path):
    lines = [f"{i},{value},\n" for i, value in enumerate(WAVE)]
    content = "X,CH1,Start,Increment,\nSequence,Volt,-1.2e-03,4.0e-03\n" + "".join(lines)
    np.testing.assert_array_equal(read(tmp_path, content)[1], WAVE)
    lines = [f"{i / 250:.3f}\t{value}\t\n" for i, value in enumerate(WAVE)]
    content = "***End_of_Header***\t\t\nX_Value\tVoltage\tComment\n" + "".join(lines)
    recording, values = read(tmp_path, content)
    assert (recording.column, recording.sampling_rate) == ("Voltage", 250)
    np.testing.assert_array_equal(values, WAVE)
    (tmp_path / "own.csv").rename(tmp_path / "own.lvm")
    assert open_recording(tmp_path / "own.lvm").sampling_rate == 250


@pytest.mark.parametrize("rate", [250, 1])
def test_times_of_matlab_have_their_unit_in_each_row(tmp_path, rate):
    recording, values = read(tmp_path, "Time,ecg\n" + rows(f"{i / rate:g} sec" for i in range(600)))
    assert recording.sampling_rate == rate
    np.testing.assert_array_equal(values, WAVE)


def test_times_of_five_digits_tell_the_rate(tmp_path):
    wave = np.resize(WAVE, 8000)
    content = rows((f"{i / 512:.5g}" for i in range(8000)), wave)
    recording, values = read(tmp_path, content, 1)
    assert recording.sampling_rate == 512
    np.testing.assert_array_equal(values, wave)


def test_uneven_times_are_named(tmp_path):
    uneven = 0.8 * np.arange(600) + 0.05 * np.sin(np.arange(600) * 3)
    recording, _ = read(tmp_path, "time,RR\n" + rows(f"{time:.4f}" for time in uneven))
    assert "which are uneven by up to 12 % of a step, 1.25 Hz" in recording.decision
    even, _ = read(tmp_path, "time,RR\n" + rows(f"{i / 512:.3f}" for i in range(600)))
    assert "uneven" not in even.decision
