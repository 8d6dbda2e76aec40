"""Mutated files of every format: samples, or one sentence; no traceback, no hang, no flood."""

import contextlib
import io
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sanbook.signals.formats import FileError, open_file

CASES = Path(__file__).parent / "cases"
TABLES = CASES / "csv-lines-above-the-names"
SECONDS, BYTES = 10, 2**30  # for each file


def saved(save, *arrays, **named):
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


WAVE = np.sin(np.arange(300.0))
#: Name of the file that is opened, and the content of each file.
SEEDS = [
    ("a.csv", {"a.csv": (CASES / "csv-time-column-with-gap/gap.csv").read_bytes()[:3000]}),
    ("a.csv", {"a.csv": (CASES / "csv-time-column-with-gap/clock.csv").read_bytes()[:3000]}),
    ("a.csv", {"a.csv": (CASES / "csv-decimal-comma-two-names/watch.csv").read_bytes()[:2000]}),
    ("a.csv", {"a.csv": (CASES / "csv-other-encodings/utf16.csv").read_bytes()[:2000]}),
    *[("a.txt", {"a.txt": path.read_bytes()[:2500]}) for path in sorted(TABLES.iterdir())],
    ("a.npy", {"a.npy": saved(np.save, WAVE)}),
    ("a.npz", {"a.npz": saved(np.savez, x=WAVE, fs=250, units="mV")}),
    ("a.npz", {"a.npz": saved(np.savez_compressed, x=np.c_[WAVE, WAVE])}),
    ("a.edf", {"a.edf": (CASES / "edf-minus-1-records/minus1.edf").read_bytes()}),
    ("a.bdf", {"a.bdf": b"\xffBIOSEMI"
               + (CASES / "edf-minus-1-records/minus1.edf").read_bytes()[8:]}),
    ("spf.hea", {name: (CASES / "wfdb-several-samples-per-frame" / name).read_bytes()
                 for name in ("spf.hea", "spf.dat")}),
    ("multi.hea", {name: (CASES / "wfdb-several-segments" / name).read_bytes()
                   for name in ("multi.hea", "seg1.hea", "seg2.hea", "a.dat")}),
]  # fmt: skip
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "digit", "insert", "cut", "double", "end"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=6,
)


def mutated(content, edits):
    """Headers are short, so places are nearer to the beginning than to the end."""
    content = bytearray(content)
    for kind, part, value in edits:
        place = int(part**3 * len(content))
        if kind == "set":
            content[place : place + 1] = bytes([value])
        elif kind == "digit":
            content[place : place + 1] = str(value % 10).encode()
        elif kind == "insert":
            content[place:place] = bytes([value]) * (1 + value % 9)
        elif kind == "cut":
            del content[place : place + value]
        elif kind == "double":
            content[place:place] = content[place : place + value]
        else:
            del content[len(content) - place :]
    return bytes(content)


@contextlib.contextmanager
def limited():
    """What takes more memory than is allowed raises MemoryError; what takes longer fails."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + BYTES, before[1]))
    start = time.process_time()
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert time.process_time() - start < SECONDS


def check(folder, seed, edits, which):
    """Open and read a file of which one part is mutated."""
    name, files = seed
    for number, (part, content) in enumerate(files.items()):
        changed = mutated(content, edits) if number == which % len(files) else content
        (folder / part).write_bytes(changed)
    with limited():
        sentence, cause = read_all(folder / name)
    assert not isinstance(cause, MemoryError)
    assert sentence == "" or (sentence.endswith(".") and len(sentence.splitlines()) == 1)


def read_all(path):
    """Read up to three channels; returns the sentence and its cause if that cannot be."""
    try:
        opened = open_file(path)
        for channel in range(min(3, len(opened.names))):
            recording = opened.channel(channel)
            samples = sum(map(len, recording.blocks(100)))
            assert recording.samples in (None, samples)
            assert recording.sampling_rate is None or recording.sampling_rate > 0
    except (FileError, FileNotFoundError) as error:
        return str(error), error.__cause__
    return "", None


OPTIONS = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=100, **OPTIONS)
@given(st.sampled_from(SEEDS), EDITS, st.integers(0, 3))
def test_mutated_files(tmp_path, seed, edits, which):
    check(tmp_path, seed, edits, which)


@pytest.mark.slow
@settings(max_examples=2000, **OPTIONS)
@given(st.sampled_from(SEEDS), EDITS, st.integers(0, 3))
def test_many_mutated_files(tmp_path, seed, edits, which):
    check(tmp_path, seed, edits, which)
