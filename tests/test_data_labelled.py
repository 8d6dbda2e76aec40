"""Tests of sanbook.data's labelled data sets: made-up files, the real ones if there, no network."""

import csv
import dataclasses
import gzip
import os
import random
from math import inf, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import known, sha256

import sanbook.data

REAL = Path(os.environ.get("SAN_DATA") or "no such folder")
FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
FILES = TRAIN_IMAGES, TRAIN_LABELS, T10K_IMAGES, T10K_LABELS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def needs(*files):
    missing = [file for file in files if not (REAL / file).is_file()]
    return pytest.mark.skipif(bool(missing), reason=f"SAN_DATA must have {', '.join(missing)}")


needs_uci = needs("uci-epilepsy/data.csv")
needs_images = needs(*(f"{folder}/raw/{file}" for folder in FOLDERS.values() for file in FILES))


def parts_of(data_set):
    return {part: getattr(data_set, part) for part in ("train", "validation", "test")}


def sizes_of(data_set):
    return [len(x) for x in parts_of(data_set).values()]


def together(data_set):
    return torch.cat([*parts_of(data_set).values()])


def check_note(card, *said):
    """The note of a stand-in is one sentence, with the words `said`."""
    assert card.source == "simulated"
    assert all(words in card.note for words in said)
    assert card.note.endswith(".")
    assert not any(end in card.note for end in ("..", ":.", ". ", "\n"))


def check_complaint(name, root, path, words):
    """A file that cannot be used is named also where a stand-in could hide it."""
    for data in ("auto", "real"):
        with pytest.raises(ValueError, match="; fetch it again") as caught:
            sanbook.data.load(name, data, root)
        assert str(caught.value).startswith(f"{path}: expected {words}")


# UCI-epilepsy: made-up files


def make_up():
    """25 recordings of 4 segments, shuffled; the first value of a segment tells its recording.

    Values are integers from -100, once, to 300, once; segment 40 is 100 throughout. All segments of
    a recording have one class.
    """
    generator = np.random.default_rng(0)
    order = generator.permutation(100)
    recordings = order // 4
    values = generator.integers(-99, 300, (100, 178))
    values[:, 0] = 100 + recordings - recordings[40]
    values[3, 10], values[97, 20], values[40] = -100, 300, 100
    table = pd.DataFrame(values, columns=[f"X{i}" for i in range(1, 179)])
    table.insert(0, "", [f"X{1 + i % 4}.V1.{i // 4}" for i in order])
    return table.assign(y=1 + recordings % 5)


def to_csv(table):
    return table.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC).encode()


TABLE = make_up()
VALUES = TABLE.iloc[:, 1:-1].to_numpy()
CLASSES = TABLE.y.map({1: 0, 2: 1, 3: 1, 4: 2, 5: 2}).tolist()
CSV = to_csv(TABLE)


@pytest.fixture
def uci(monkeypatch, tmp_path):
    """A folder whose made-up file passes for UCI's."""
    monkeypatch.setattr(sanbook.data, "UCI_SHA256", sha256(CSV))
    (tmp_path / "uci-epilepsy").mkdir()
    (tmp_path / "uci-epilepsy" / "data.csv").write_bytes(CSV)
    return tmp_path


def load_uci(root, **options):
    return sanbook.data.load("uci-epilepsy", directory=root, **options)


def test_uci_is_real_and_asks_nobody(uci, offline):
    result = load_uci(uci, data="real")
    card = result.card
    assert (card.source, card.data_source, card.sampling_rate) == ("real", "real", 173.61)
    assert card.sha256 == {"data.csv": sha256(CSV)}
    assert card.classes == ("seizure", "tumour or healthy area", "eyes closed or open")
    assert (card.simulator, card.seed, card.record) == (None, None, None)
    for part, x in parts_of(result).items():
        assert (x.dtype, x.shape[1:]) == (torch.float32, (178,))
        assert (result.labels[part].dtype, result.labels[part].shape) == (torch.int64, x.shape[:1])
    assert load_uci(uci, data="sample").card.source == "simulated"
    assert offline == []


@pytest.mark.parametrize(
    ("options", "low", "high", "blank"),
    [
        ({}, -1, 1, 1),  # segment 40 is constant in the middle
        ({"value_range": (0, 1)}, 0, 1, 0),
        ({"value_range": [-3.5, -1.25]}, -3.5, -1.25, 0),
    ],
)
def test_uci_scales_the_whole_file(uci, options, low, high, blank):
    result = load_uci(uci, **options)
    # The file's values go from -100 to 300.
    expected = low + (high - low) * (VALUES + 100) / 400
    kept = np.delete(expected, 40, axis=0) if blank else expected
    x = together(result)
    assert torch.equal(x, torch.tensor(kept, dtype=torch.float32))
    # One segment has the smallest, one the largest value: the others do not reach the ends.
    assert (x.amin(1) == low).sum() == (x.amax(1) == high).sum() == 1
    assert result.card.blank == {"train": blank, "validation": 0, "test": 0}
    # A blank segment takes its label along.
    assert sizes_of(result) == [76 - blank, 12, 12]
    assert result.labels["train"].tolist() == CLASSES[:40] + CLASSES[40 + blank : 76]


@pytest.mark.parametrize("options", [{}, {"split": "rows"}])
def test_uci_rows_keep_the_order_of_the_file(uci, options):
    result = load_uci(uci, value_range=(0, 1), **options)
    expected = torch.tensor((VALUES + 100) / 400, dtype=torch.float32)
    for part, start, stop in (("train", 0, 76), ("validation", 76, 88), ("test", 88, 100)):
        assert torch.equal(getattr(result, part), expected[start:stop])
        assert result.labels[part].tolist() == CLASSES[start:stop]
    # Parts share recordings, which the first value of a segment tells.
    sets = [set(x[:, 0].tolist()) for x in parts_of(result).values()]
    assert sets[0] & sets[1]
    assert sets[0] & sets[2]


def test_uci_recordings_stay_together(uci):
    result = load_uci(uci, value_range=(0, 1), split="recordings")
    assert sizes_of(result) == [76, 12, 12]
    # The first value of a segment tells its recording, and that its class.
    class_of = dict(zip(TABLE.X1, CLASSES, strict=True))
    recordings = {
        part: (x[:, 0] * 400 - 100).round().int().tolist() for part, x in parts_of(result).items()
    }
    sets = [set(numbers) for numbers in recordings.values()]
    assert list(map(len, sets)) == [19, 3, 3]
    assert len(set.union(*sets)) == 25
    for part, numbers in recordings.items():
        assert result.labels[part].tolist() == [class_of[number] for number in numbers]


RANGES = [(1, -1), (0, 0), (nan, 1), (0, nan), (0, inf), (-inf, 1), (0, 1, 2), (0,), 5, None, "ab"]
BAD_OPTIONS = [
    *(({"value_range": x}, f"two numbers, the lower first, but is {x}") for x in RANGES),
    *(({"split": x}, f'"rows" or "recordings", but is {x!r}') for x in ("row", "Rows", "", None)),
]


@pytest.mark.parametrize("data", ["auto", "sample"])
@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS, ids=str)
def test_uci_bad_options(uci, data, options, words):
    with pytest.raises(ValueError, match="must be") as caught:
        load_uci(uci, data=data, **options)
    assert str(caught.value) == f"{next(iter(options))} must be {words}"


@pytest.mark.parametrize("data", sanbook.data.MODES)
@pytest.mark.parametrize("name", sanbook.data.NAMES)
def test_unknown_options_are_refused_before_a_server_is_asked(tmp_path, offline, name, data):
    options, has = {"split": "rows", "value_range": 0}, "no options, but got split, value_range"
    if name == "uci-epilepsy":
        options["colour"], has = "red", "the options value_range and split, but got colour"
    with pytest.raises(TypeError, match=f"^{name} has {has}$"):
        sanbook.data.load(name, data, tmp_path, **options)
    assert offline == []


# UCI-epilepsy: files that cannot be used; each has another hash too, which is said last


def cell(column, row, value):
    table = TABLE.astype({column: object})
    table.loc[row, column] = value
    return table


LINES = CSV.splitlines()
NO_CSV, NO_NUMBER, GAP = "a CSV file, got: ", "numbers, got ", "no missing values, got "
COLUMNS = "180 columns, one without a name, X1 to X178 and y, got "
CODES = "the classes [1, 2, 3, 4, 5], got "
OTHER = f"sha256 {sha256(CSV)}, got {{}}: not the file of the UCI repository;"
UNUSABLE = {
    "empty": (b"", NO_CSV + "No columns"),
    "packed": (gzip.compress(CSV), NO_CSV + "'utf-8' codec can't decode byte 0x8b"),
    "long row": (CSV.replace(LINES[7], LINES[7] + b",5"), NO_CSV + "Error tokenizing data"),
    "long rows": (b"\n".join([LINES[0], *(line + b",5" for line in LINES[1:])]), COLUMNS),
    "no y": (TABLE.drop(columns="y"), COLUMNS + "179;"),
    "no name": (TABLE.drop(columns=""), COLUMNS + "179, 'X1' for 'Unnamed: 0';"),
    "Kaggle's": (TABLE.rename(columns={"": "Un"}), COLUMNS + "180, 'Un' for 'Unnamed: 0';"),
    "one more": (TABLE.assign(z=1), COLUMNS + "181;"),
    "renamed": (TABLE.rename(columns={"X7": "x7"}), COLUMNS + "180, 'x7' for 'X7';"),
    "no X7": (TABLE.drop(columns="X7"), COLUMNS + "179, 'X8' for 'X7';"),
    "reversed": (TABLE.iloc[:, ::-1], COLUMNS + "180, 'y' for 'Unnamed: 0';"),
    "a page": (b"<html>\n<p>not found\n</html>\n", COLUMNS + "1, '<html>' for 'Unnamed: 0';"),
    "gap, first": (cell("X1", [7, 9], None), GAP + "2 in column X1, the first in row 7;"),
    "gap": (cell("X33", [7, 9], None), GAP + "2 in column X33, the first in row 7;"),
    "gap, last": (cell("X178", 99, None), GAP + "1 in column X178, the first in row 99;"),
    "gap, class": (cell("y", [7, 9], None), GAP + "2 in column y, the first in row 7;"),
    "cut off": (CSV.replace(LINES[-1], b'"X1",5'), GAP + "1 in column X2, the first in row 99;"),
    "text, first": (cell("X1", 0, "1O3"), NO_NUMBER + "'1O3' in column X1, row 0;"),
    "text": (cell("X5", 11, "?"), NO_NUMBER + "'?' in column X5, row 11;"),
    "text, last": (cell("X178", 99, "1O3"), NO_NUMBER + "'1O3' in column X178, row 99;"),
    "text, class": (cell("y", 11, "1O3"), NO_NUMBER + "'1O3' in column y, row 11;"),
    "no rows": (TABLE[:0], CODES + "[];"),
    "from 0": (TABLE.assign(y=TABLE.y - 1), CODES + "[0, 1, 2, 3, 4];"),
    "2 of 5": (TABLE.assign(y=TABLE.y.clip(upper=2)), CODES + "[1, 2];"),
    "one 6": (cell("y", 50, 6), CODES + "[1, 2, 3, 4, 5, 6];"),
    "not whole": (TABLE.assign(y=TABLE.y + 0.5), CODES + "[1.5, 2.5, 3.5, 4.5, 5.5];"),
    # Of several, columns matter more than what is in them, and values more than classes.
    "columns, text": (cell("X7", 4, "?").drop(columns="y"), COLUMNS + "179;"),
    "text, classes": (cell("X5", 11, "?").assign(y=7), NO_NUMBER + "'?' in column X5, row 11;"),
    "gap, text": (cell("X5", 3, "?").assign(X4=None), GAP + "100 in column X4, the first in row"),
    # Only the hash tells these.
    "a value": (cell("X9", 5, 31), OTHER),
    "too large": (cell("X7", 4, 10**25), OTHER),
    "infinite": (cell("X7", 4, "inf"), OTHER),
    "gap, name": (cell("", [7, 9], None), OTHER),
    "the order": (TABLE[::-1], OTHER),
    "a row less": (TABLE[:-1], OTHER),
    "line ends": (CSV.replace(b"\n", b"\r\n"), OTHER),
}


@pytest.mark.parametrize(("content", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_uci_file_that_cannot_be_used(uci, content, words):
    content = content if isinstance(content, bytes) else to_csv(content)
    path = uci / "uci-epilepsy" / "data.csv"
    path.write_bytes(content)
    check_complaint("uci-epilepsy", uci, path, words.format(sha256(content)))


# UCI-epilepsy: download


@pytest.fixture
def uci_server(server, monkeypatch, change_source):
    """A made-up server of UCI's file."""
    monkeypatch.setattr(sanbook.data, "UCI_SHA256", sha256(CSV))
    monkeypatch.setattr(sanbook.data, "UCI_URL", server.url + "data.csv")
    change_source("uci-epilepsy", files=known({"data.csv": CSV}))
    server.files["data.csv"] = CSV
    return server


@pytest.mark.parametrize(("directory", "found"), [("data", "data"), ("~/data", "home/data")])
def test_uci_download(tmp_path, uci_server, monkeypatch, directory, found):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    card = load_uci(directory, data="real").card
    assert (card.source, card.origin) == ("real", "official")
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files == [tmp_path / found / "uci-epilepsy" / "data.csv"]
    assert uci_server.asked == [("data.csv", 0)]
    assert load_uci(tmp_path / found).card == card
    assert len(uci_server.asked) == 1


@pytest.mark.parametrize("content", [b"", b"wrong", CSV[:1000], CSV[:-1], b"x" * len(CSV)], ids=len)
def test_uci_download_of_wrong_bytes_is_refused(tmp_path, uci_server, content):
    uci_server.files["data.csv"] = content
    if len(content) == len(CSV):
        words = f"data.csv: expected sha256 {sha256(CSV)}, got {sha256(content)}"
    else:
        words = f"data.csv: expected {len(CSV)} bytes, got {len(content)}"
    check_note(load_uci(tmp_path).card, words, "data.csv.corrupt-1")
    folder = tmp_path / "uci-epilepsy"
    assert [file.name for file in folder.iterdir()] == ["data.csv.corrupt-1"]
    assert (folder / "data.csv.corrupt-1").read_bytes() == content
    with pytest.raises(FileNotFoundError) as caught:
        load_uci(tmp_path, data="real")
    assert words in str(caught.value)
    assert f"Put the file of {sanbook.data.UCI_URL} into {folder}, or" in str(caught.value)
    assert len(list(folder.iterdir())) == 2


def test_uci_download_that_fails(tmp_path, uci_server, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    uci_server.faults["data.csv"] = [404]
    check_note(load_uci(tmp_path).card, "404 Client Error: Not Found")
    uci_server.faults["data.csv"] = ["cut off"] * 3
    check_note(load_uci(tmp_path).card, "in 3 tries")
    assert not (tmp_path / "uci-epilepsy" / "data.csv").exists()
    assert load_uci(tmp_path).card.source == "real"
    monkeypatch.setattr(Path, "mkdir", refuse)
    check_note(load_uci(tmp_path / "read-only").card, "Permission denied")


# Images: made-up files


def idx(sizes, values):
    """An IDX file of unsigned bytes."""
    header = bytes([0, 0, 8, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes)
    return header + bytes(values)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """A folder of FashionMNIST's four files with numbered images, image i in class i mod 7.

    Images are zero but for the first two pixels, which tell their number. Beside them lie files of
    torchvision's old layout, with other images.
    """
    root = tmp_path_factory.mktemp("numbered")
    raw, processed = root / "FashionMNIST" / "raw", root / "FashionMNIST" / "processed"
    raw.mkdir(parents=True)
    processed.mkdir()
    for kind, old, count in (("train", "training", 60_000), ("t10k", "test", 10_000)):
        number = np.arange(count)
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 0, 0], images[:, 0, 1] = number % 256, number // 256
        (raw / f"{kind}-images-idx3-ubyte").write_bytes(idx(images.shape, images.tobytes()))
        labels = (number % 7).astype(np.uint8)
        (raw / f"{kind}-labels-idx1-ubyte").write_bytes(idx(labels.shape, labels.tobytes()))
        others = torch.ones(8, 28, 28, dtype=torch.uint8), torch.zeros(8, dtype=torch.int64)
        torch.save(others, processed / f"{old}.pt")
    return root


def accept(monkeypatch, name, hashes):
    """Let files of these hashes pass for those of a data set."""
    images = dataclasses.replace(sanbook.data.IMAGES[name], sha256=hashes)
    monkeypatch.setitem(sanbook.data.IMAGES, name, images)


@pytest.fixture(scope="module")
def hashes(numbered):
    raw = numbered / "FashionMNIST" / "raw"
    return {file: sha256((raw / file).read_bytes()) for file in FILES}


def test_images_are_split_in_order_without_the_blank_ones(numbered, hashes, monkeypatch, offline):
    accept(monkeypatch, "fashion-mnist", hashes)
    result = sanbook.data.load("fashion-mnist", data="real", directory=numbered)
    # Image 0 of either file is blank.
    assert sizes_of(result) == [49_999, 10_000, 9_999]
    assert result.card.blank == {"train": 1, "validation": 0, "test": 1}
    for part, start in (("train", 1), ("validation", 50_000), ("test", 1)):
        x, labels = getattr(result, part), result.labels[part]
        assert (x.dtype, x.shape[1:], labels.dtype) == (torch.float32, (28, 28), torch.int64)
        pixels = (x[:, 0, :2].double() * 255).round().long()
        expected = torch.arange(start, start + len(x))
        assert torch.equal(pixels[:, 0] + 256 * pixels[:, 1], expected)
        assert torch.equal(labels, expected % 7)
        assert x.max() == 1  # 255 is one
    card = result.card
    assert (card.source, card.data_source, card.sampling_rate) == ("real", "real", None)
    assert card.sha256 == hashes
    assert len(card.classes) == 10
    assert offline == []


@pytest.fixture
def images_server(numbered, hashes, server, monkeypatch, change_source):
    """A made-up server of the numbered images, which pass for Fashion-MNIST."""
    accept(monkeypatch, "fashion-mnist", hashes)
    content = {file: (numbered / "FashionMNIST" / "raw" / file).read_bytes() for file in FILES}
    for file in FILES:
        server.files[f"{file}.gz"] = gzip.compress(content[file], compresslevel=1)
    change_source("fashion-mnist", download=server.url, files=known(content))
    return server


def test_images_download(tmp_path, images_server, hashes):
    card = sanbook.data.load("fashion-mnist", data="real", directory=tmp_path).card
    assert (card.source, card.origin) == ("real", "official")
    raw = tmp_path / "FashionMNIST" / "raw"
    assert {file.name: sha256(file.read_bytes()) for file in raw.iterdir()} == hashes
    assert sorted(images_server.asked) == sorted((f"{file}.gz", 0) for file in FILES)
    sanbook.data.load("fashion-mnist", data="real", directory=tmp_path)
    assert len(images_server.asked) == 4
    (raw / FILES[1]).unlink()
    sanbook.data.load("fashion-mnist", data="real", directory=tmp_path)
    assert images_server.asked[4:] == [(f"{FILES[1]}.gz", 0)]


PACKED = gzip.compress(b"another file")
BAD_GZIP = {
    "a page": (b"<html>", "expected a whole gzip file, got: Not a gzipped file"),
    "empty": (b"", "expected 10008 bytes, got 0"),
    "cut off": (PACKED[:-4], "expected a whole gzip file, got: Compressed file ended before"),
    "damaged": (PACKED[:-5] + b"\0" + PACKED[-4:], "expected a whole gzip file, got: CRC check"),
    "another": (PACKED, "expected 10008 bytes, got 12"),
    "too much": (gzip.compress(bytes(10**7)), "expected 10008 bytes, got 10009"),
}


@pytest.mark.parametrize(("content", "words"), BAD_GZIP.values(), ids=BAD_GZIP)
def test_images_archive_that_cannot_be_used(tmp_path, images_server, content, words):
    images_server.files[f"{T10K_LABELS}.gz"] = content
    card = sanbook.data.load("fashion-mnist", directory=tmp_path).card
    check_note(card, f"{T10K_LABELS}: {words}", f"{T10K_LABELS}.gz.corrupt-1")
    raw = tmp_path / "FashionMNIST" / "raw"
    assert (raw / f"{T10K_LABELS}.gz.corrupt-1").read_bytes() == content
    # Nothing else is left behind, and the good ones are kept.
    others = {file.name for file in raw.iterdir()} - {f"{T10K_LABELS}.gz.corrupt-1"}
    assert others == set(FILES) - {T10K_LABELS}


def test_images_download_that_fails(tmp_path, images_server):
    images_server.faults = {f"{file}.gz": [404] for file in FILES}
    with pytest.raises(FileNotFoundError) as caught:
        sanbook.data.load("fashion-mnist", data="real", directory=tmp_path)
    for part in ("404 Client Error", ", ".join(FILES), str(tmp_path / "FashionMNIST" / "raw")):
        assert part in str(caught.value)
    assert not list((tmp_path / "FashionMNIST" / "raw").glob("[!.]*"))


# Images: files that cannot be used


LABELS = idx([10_000], bytes(range(10)) * 1000)
IMAGES = idx([10_000, 28, 28], bytes(10_000 * 28 * 28))
BEGIN = "an IDX file that begins with 0000080"
SIZES = " values by its header, got 10000"
CUT_OFF = ": the file is cut off or has something appended;"
CHANGED = f"sha256 {sha256(LABELS)}, got {{}}: the file was changed;"
BAD_IDX = {
    "empty": (T10K_LABELS, b"", BEGIN + "1, got nothing;"),
    "cut off": (T10K_LABELS, LABELS[:2], BEGIN + "1, got 0000;"),
    "images as labels": (T10K_LABELS, IMAGES[:10_008], BEGIN + "1, got 00000803;"),
    "labels as images": (T10K_IMAGES, LABELS, BEGIN + "3, got 00000801;"),
    "signed": (T10K_LABELS, b"\0\0\x09\x01" + LABELS[4:], BEGIN + "1, got 00000901;"),
    "packed": (T10K_LABELS, gzip.compress(LABELS), BEGIN + "1, got 1f8b0800;"),
    "a page": (T10K_LABELS, b"<html>", BEGIN + "1, got 3c68746d;"),
    "no size": (T10K_LABELS, LABELS[:4], "10000 values by its header, got 0;"),
    "9999": (T10K_LABELS, idx([9999], LABELS[8:]), "10000 values by its header, got 9999;"),
    "test labels": (TRAIN_LABELS, LABELS, f"60000{SIZES};"),
    "27 rows": (T10K_IMAGES, idx([10_000, 27, 28], b""), f"10000 x 28 x 28{SIZES} x 27 x 28;"),
    "test images": (TRAIN_IMAGES, IMAGES, f"60000 x 28 x 28{SIZES} x 28 x 28;"),
    "a byte less": (T10K_LABELS, LABELS[:-1], "10008 bytes, got 10007" + CUT_OFF),
    "no label": (T10K_LABELS, LABELS[:8], "10008 bytes, got 8" + CUT_OFF),
    "a byte more": (T10K_LABELS, LABELS + b"\n", "10008 bytes, got 10009" + CUT_OFF),
    "some labels": (TRAIN_LABELS, idx([60_000], LABELS[8:]), "60008 bytes, got 10008" + CUT_OFF),
    "some images": (T10K_IMAGES, IMAGES[:-784], "7840016 bytes, got 7839232" + CUT_OFF),
    "no image": (TRAIN_IMAGES, idx([60_000, 28, 28], b""), "47040016 bytes, got 16" + CUT_OFF),
    "first bit": (T10K_LABELS, LABELS[:8] + b"\1" + LABELS[9:], CHANGED),
    "a bit": (T10K_LABELS, LABELS[:5008] + b"\1" + LABELS[5009:], CHANGED),
    "last bit": (T10K_LABELS, LABELS[:-1] + b"\x08", CHANGED),
}


@pytest.mark.parametrize(("file", "content", "words"), BAD_IDX.values(), ids=BAD_IDX)
def test_images_file_that_cannot_be_used(monkeypatch, tmp_path, file, content, words):
    path = tmp_path / "MNIST" / "raw" / file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    accept(monkeypatch, "mnist", {file: sha256(LABELS)})  # the only file there is
    check_complaint("mnist", tmp_path, path, words.format(sha256(content)))


@pytest.mark.parametrize("file", FILES)
def test_each_file_of_images_is_verified(numbered, hashes, monkeypatch, file):
    accept(monkeypatch, "fashion-mnist", {**hashes, file: "another"})
    words = f"sha256 another, got {hashes[file]}: the file was changed;"
    path = numbered / "FashionMNIST" / "raw" / file
    check_complaint("fashion-mnist", numbered, path, words)


@pytest.mark.parametrize("name", FOLDERS)
def test_files_of_the_other_data_set(numbered, hashes, monkeypatch, tmp_path, name):
    (other,) = set(FOLDERS) - {name}
    accept(monkeypatch, other, hashes)
    (tmp_path / FOLDERS[name]).symlink_to(numbered / "FashionMNIST")
    expected, found = sanbook.data.IMAGES[name].sha256[FILES[0]], hashes[FILES[0]]
    words = f"sha256 {expected}, got {found}: this is the file of {other};"
    check_complaint(name, tmp_path, tmp_path / FOLDERS[name] / "raw" / FILES[0], words)


@pytest.mark.parametrize("absent", [[FILES[1]], [FILES[0], FILES[3]]])
def test_some_files_of_images_are_missing(tmp_path, absent):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in set(FILES) - set(absent):
        (raw / file).write_bytes(b"")
    with pytest.raises(FileNotFoundError) as caught:
        sanbook.data.load("mnist", data="real", directory=tmp_path)
    assert f"Put {', '.join(absent)} into {raw}, unpacked" in str(caught.value)
    check_note(sanbook.data.load("mnist", directory=tmp_path).card, "cannot be reached")


# What all have: parts with labels, stand-ins


CARD = sanbook.data.Card("a", "b", None, "c", "real", "d", classes=("e", "f"))


def test_labelled_leaves_out_blank_examples_but_no_constant_or_tiny_ones():
    train = torch.zeros(4, 2, 2)
    train[1, 1, 1], train[3] = -1e-45, 2
    parts = {
        "train": (train, torch.tensor([0, 1, 2, 3])),
        "validation": (-torch.ones(2, 2, 2), torch.tensor([4, 5])),
        "test": (torch.zeros(3, 2, 2), torch.tensor([6, 7, 8])),
    }
    result = sanbook.data._labelled(parts, CARD)
    assert torch.equal(result.train, train[[1, 3]])
    assert [labels.tolist() for labels in result.labels.values()] == [[1, 3], [4, 5], []]
    assert result.test.shape == (0, 2, 2)
    assert result.card == dataclasses.replace(CARD, blank={"train": 2, "validation": 0, "test": 3})
    assert CARD.blank == {}


def test_first_keeps_labels_aligned():
    x = torch.arange(10)
    whole = sanbook.data.DataSet(x, x, x, CARD, dict.fromkeys(("train", "validation", "test"), x))
    result = whole.first(train=4, validation=0, test=99)
    assert sizes_of(result) == [4, 0, 10]
    for part, values in parts_of(result).items():
        assert torch.equal(values, result.labels[part])
    assert result.card is whole.card
    without = dataclasses.replace(whole, labels=None).first(1, 2, 3)
    assert sizes_of(without) == [1, 2, 3]
    assert without.labels is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "sizes", "shape", "low", "classes", "stands_in_for"),
    [
        ("uci-epilepsy", [1748, 276, 276], (178,), -1, sanbook.data.UCI_CLASSES, "UCI's file"),
        ("mnist", [1297, 250, 250], (28, 28), 0, tuple("0123456789"), "MNIST"),
        ("fashion-mnist", None, (28, 28), 0, ("china", "flower"), "FashionMNIST"),
    ],
)
def test_stand_in(tmp_path, offline, name, sizes, shape, low, classes, stands_in_for):
    def states():
        return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()

    before = states()
    once, twice = (sanbook.data.load(name, data="sample", directory=tmp_path) for _ in range(2))
    assert states() == before
    assert sizes is None or sizes_of(once) == sizes
    for part, x in parts_of(once).items():
        labels = once.labels[part]
        assert (x.dtype, x.shape[1:]) == (torch.float32, shape)
        assert (labels.dtype, labels.shape) == (torch.int64, x.shape[:1])
        assert x.flatten(1).any(dim=1).all()
        assert low <= x.min() <= x.max() <= 1
        assert set(labels.tolist()) == set(range(len(classes)))  # each class in each part
        assert torch.equal(x, getattr(twice, part))
        assert torch.equal(labels, twice.labels[part])
    card = once.card
    assert card == twice.card
    assert card.classes == classes
    assert card.data_source == f"simulated: {card.simulator}"
    assert card.seed is not None
    assert (card.record, card.channel, card.sha256) == (None, None, {})
    check_note(card, stands_in_for, 'because data="sample" asks for it.')
    assert offline == []


def test_stand_in_of_uci_takes_its_options():
    rows, scaled, recordings = (
        sanbook.data.load("uci-epilepsy", data="sample", **options)
        for options in ({}, {"value_range": (0, 1)}, {"split": "recordings"})
    )
    assert (together(rows).min(), together(rows).max()) == (-1, 1)
    assert torch.allclose(together(scaled), (together(rows) + 1) / 2, atol=1e-6)
    assert sizes_of(recordings) == sizes_of(rows) == [1748, 276, 276]
    assert not torch.equal(recordings.train, rows.train)
    # 23 segments of a recording share its class.
    assert all((labels.bincount() % 23 == 0).all() for labels in recordings.labels.values())


@pytest.mark.parametrize(
    ("name", "folder", "named"),
    [
        ("uci-epilepsy", "uci-epilepsy", [sanbook.data.UCI_URL, "data.csv"]),
        ("mnist", "MNIST/raw", FILES),
        ("fashion-mnist", "FashionMNIST/raw", FILES),
    ],
)
def test_no_network(tmp_path, offline, name, folder, named):
    result, again = (sanbook.data.load(name, directory=tmp_path) for _ in range(2))
    assert len(offline) == 1  # asked once
    reason = f"{offline[0]} cannot be reached (ConnectionError)"
    check_note(result.card, f"because the data are not at hand: {reason}.")
    assert result.card == again.card
    assert torch.equal(result.train, sanbook.data.load(name, data="sample").train)
    with pytest.raises(FileNotFoundError) as caught:
        sanbook.data.load(name, data="real", directory=tmp_path)
    for part in (f"{name}: {reason}. Put", str(tmp_path / folder), *named, 'data="auto"'):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_main_with_labelled_data_sets(uci, monkeypatch, capsys):
    arguments = ["--directory", str(uci), "uci-epilepsy", "mnist"]
    assert sanbook.data.main(arguments) == 0
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.split()[:3] == ["uci-epilepsy", "present", "official"]
    assert second.split()[:3] == ["mnist", "absent", "stand-in"]
    assert f"Put {', '.join(FILES)} into {uci / 'MNIST' / 'raw'}, unpacked." in second
    monkeypatch.setattr(sanbook.data, "UCI_SHA256", "another")
    assert sanbook.data.main(arguments) == 1
    _, first, same = capsys.readouterr().out.splitlines()
    assert first.split()[:2] == ["uci-epilepsy", "error"]
    assert "not the file of the UCI repository; fetch it again" in first
    assert same.split()[:3] == second.split()[:3]


# The files themselves


@pytest.fixture(scope="module")
def uci_file():
    """UCI's file as a data set, and its lines."""
    lines = (REAL / "uci-epilepsy" / "data.csv").read_text().splitlines()[1:]
    return sanbook.data.load("uci-epilepsy", data="real", directory=REAL), lines


@needs_uci
def test_uci_file_equals_its_lines(uci_file):
    result, lines = uci_file
    assert sizes_of(result) == [8740, 1380, 1380]
    assert result.card.source == "real"
    assert result.card.blank == {"train": 0, "validation": 0, "test": 0}
    assert (together(result).min(), together(result).max()) == (-1, 1)
    labels = torch.cat([*result.labels.values()])
    assert labels.bincount().tolist() == [2300, 4600, 4600]
    assert labels.tolist() == [(0, 1, 1, 2, 2)[int(line[-1]) - 1] for line in lines]
    chosen = [0, 1, 8739, 8740, 10_119, 10_120, 11_499]
    values = np.array([lines[i].split(",")[1:-1] for i in chosen], float)
    # The file's values go from -1885 to 2047.
    expected = torch.tensor(2 * (values + 1885) / 3932 - 1, dtype=torch.float32)
    assert torch.allclose(together(result)[chosen], expected, atol=1e-7)


@needs_uci
def test_uci_file_by_recordings(uci_file):
    rows, lines = uci_file
    result = sanbook.data.load("uci-epilepsy", data="real", directory=REAL, split="recordings")
    assert sizes_of(result) == [8740, 1380, 1380]
    # No two segments are equal, so each is found by its samples.
    recordings = [line.split(",", 1)[0].strip('"').partition(".")[2] for line in lines]
    labels = torch.cat([*rows.labels.values()]).tolist()
    segments = (row.tobytes() for row in together(rows).numpy())
    about = dict(zip(segments, zip(recordings, labels, strict=True), strict=True))
    assert len(about) == 11_500
    sets = []
    for part, x in parts_of(result).items():
        names, labels = zip(*(about[row.tobytes()] for row in x.numpy()), strict=True)
        assert list(labels) == result.labels[part].tolist()
        assert all(names.count(name) == 23 for name in set(names))
        sets.append(set(names))
    assert list(map(len, sets)) == [380, 60, 60]
    assert len(set.union(*sets)) == 500


@needs_images
@pytest.mark.parametrize("name", FOLDERS)
def test_images_equal_their_bytes(name):
    result, folder = (
        sanbook.data.load(name, data="real", directory=REAL),
        REAL / FOLDERS[name] / "raw",
    )
    assert sizes_of(result) == [50_000, 10_000, 10_000]
    assert result.card.blank == {"train": 0, "validation": 0, "test": 0}
    for part, kind, where in (
        ("train", "train", slice(50_000)),
        ("validation", "train", slice(50_000, None)),
        ("test", "t10k", slice(None)),
    ):
        x = getattr(result, part)
        assert (x.dtype, x.shape[1:]) == (torch.float32, (28, 28))
        assert (x.min(), x.max()) == (0, 1)
        pixels = np.fromfile(folder / f"{kind}-images-idx3-ubyte", np.uint8, offset=16)
        expected = torch.from_numpy(pixels.reshape(-1, 28, 28)[where])
        assert torch.equal((x * 255).round().to(torch.uint8), expected)
        assert part == "train" or torch.equal(x, expected / 255)
        labels = np.fromfile(folder / f"{kind}-labels-idx1-ubyte", np.uint8, offset=8)
        assert np.array_equal(result.labels[part], labels[where])
        assert set(result.labels[part].tolist()) == set(range(10))
