"""An EDF or BDF file by its specification, with what a test wants wrong in it."""

import numpy as np


def edf_file(labels=("ECG",), sizes=(50,), onsets=range(4), width=2, **changed):
    """The bytes of a file, and those of the samples of its first channel.

    It has a record for each of `onsets`, which its channels of annotations say; a sample has
    `width` bytes; `changed` are other fields of the header.
    """
    fields = {"version": "0" if width == 2 else "\xffBIOSEMI", "date": "24.08.23", "reserved": "",
              "records": str(len(onsets)), "duration": "1", "units": "mV", "low": "-1", "high": "1",
              "dlow": "-100", "dhigh": "100"} | changed  # fmt: skip
    count = len(labels)
    parts = [(fields["version"], 8), ("", 160), (fields["date"], 8), ("23.59.30", 8)]
    parts += [(256 * (1 + count), 8), (fields["reserved"], 44), (fields["records"], 8)]
    parts += [(fields["duration"], 8), (count, 4), *((label, 16) for label in labels)]
    parts += [("", 80)] * count
    for name in ("units", "low", "high", "dlow", "dhigh"):
        parts += [(fields[name], 8)] * count
    parts += [("", 80)] * count + [(size, 8) for size in sizes] + [("", 32)] * count
    header = "".join(str(text).ljust(size) for text, size in parts).encode("latin-1")
    random, body, first = np.random.default_rng(0), b"", b""
    for onset in onsets:
        for place, (label, size) in enumerate(zip(labels, sizes, strict=True)):
            content = random.bytes(width * size)
            if label == "EDF Annotations":
                content = f"+{onset}\x14\x14\0".encode().ljust(width * size, b"\0")
            body += content
            first += content if place == 0 else b""
    return header + body, first
