"""Tests of san_data's labelled data sets: made-up files, the real ones if there, no network."""

import csv
import dataclasses
import gzip
import hashlib
import http.client
import io
import math
import os
import random
import sys
import urllib.error
import urllib.request
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import requests
import torch

import san_data

REAL = Path(os.environ.get("SAN_DATA") or "no such folder")
needs_uci = pytest.mark.skipif(
    not (REAL / "uci-epilepsy" / "data.csv").is_file(),
    reason="needs UCI's file: set SAN_DATA to a folder that has uci-epilepsy/data.csv",
)
LABELLED = ("uci-epilepsy", "mnist", "fashion-mnist")
FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
needs_images = pytest.mark.skipif(
    not all(
        (REAL / folder / "raw" / file).is_file() for folder in FOLDERS.values() for file in FILES
    ),
    reason="needs the images: set SAN_DATA to a folder that has MNIST/raw and FashionMNIST/raw",
)


@pytest.fixture(autouse=True)
def offline_too(monkeypatch, offline):
    """No connection for torchvision either, which uses urllib."""

    def refuse(request, *arguments, **options):
        offline.append(getattr(request, "full_url", request))
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture
def answering(monkeypatch):
    """Servers answer when asked whether they can be reached."""
    monkeypatch.setattr(requests, "head", lambda url, *, timeout: requests.Response())


def parts_of(data_set):
    return {part: getattr(data_set, part) for part in ("train", "validation", "test")}


def sizes_of(data_set):
    return [len(x) for x in parts_of(data_set).values()]


def together(data_set):
    return torch.cat([*parts_of(data_set).values()])


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def check_note(card, *said):
    """The note of a stand-in is one sentence, with the words `said`."""
    assert card.source == "simulated"
    assert all(words in card.note for words in said)
    assert card.note.endswith(".")
    assert not any(end in card.note for end in ("..", ". ", "\n"))


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


TABLE = make_up()
VALUES = TABLE.iloc[:, 1:-1].to_numpy()
MERGED = {1: 0, 2: 1, 3: 1, 4: 2, 5: 2}


def to_csv(table):
    return table.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC).encode()


CSV = to_csv(TABLE)


@pytest.fixture
def uci(monkeypatch, tmp_path):
    """A folder whose made-up file passes for UCI's."""
    monkeypatch.setattr(san_data, "UCI_SHA256", sha256(CSV))
    (tmp_path / "uci-epilepsy").mkdir()
    (tmp_path / "uci-epilepsy" / "data.csv").write_bytes(CSV)
    return tmp_path


def load_uci(root, **options):
    return san_data.load("uci-epilepsy", directory=root, **options)


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
    assert offline == []


@pytest.mark.parametrize(
    ("options", "low", "high", "blank"),
    [
        ({}, -1, 1, 1),  # segment 40 is constant in the middle
        ({"value_range": (-1, 1)}, -1, 1, 1),
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
    assert (x.amin(1) == low).sum() == 1
    assert (x.amax(1) == high).sum() == 1
    assert result.card.blank == {"train": blank, "validation": 0, "test": 0}


def test_uci_blank_segment_takes_its_label_along(uci):
    with_blank, without = load_uci(uci, value_range=(0, 1)), load_uci(uci)
    assert sizes_of(with_blank) == [76, 12, 12]
    assert sizes_of(without) == [75, 12, 12]
    labels = with_blank.labels["train"]
    assert torch.equal(without.labels["train"], torch.cat([labels[:40], labels[41:]]))


@pytest.mark.parametrize("options", [{}, {"split": "rows"}])
def test_uci_rows_keep_the_order_of_the_file_and_classes_are_merged(uci, options):
    result = load_uci(uci, value_range=(0, 1), **options)
    expected = torch.tensor((VALUES + 100) / 400, dtype=torch.float32)
    labels = [MERGED[y] for y in TABLE.y]
    for part, where in (
        ("train", slice(76)),
        ("validation", slice(76, 88)),
        ("test", slice(88, 100)),
    ):
        assert torch.equal(getattr(result, part), expected[where])
        assert result.labels[part].tolist() == labels[where]
    # Parts of the file share recordings, which the first value of a segment tells.
    sets = [set(x[:, 0].tolist()) for x in parts_of(result).values()]
    assert sets[0] & sets[1]
    assert sets[0] & sets[2]


def test_uci_recordings_stay_together(uci):
    result = load_uci(uci, value_range=(0, 1), split="recordings")
    assert sizes_of(result) == [76, 12, 12]
    # The first value of a segment tells its recording, and that its class.
    class_of = dict(zip(TABLE.X1, TABLE.y.map(MERGED), strict=True))
    recordings = {
        part: (x[:, 0] * 400 - 100).round().int().tolist() for part, x in parts_of(result).items()
    }
    sets = [set(numbers) for numbers in recordings.values()]
    assert list(map(len, sets)) == [19, 3, 3]
    assert len(set.union(*sets)) == 25
    for part, numbers in recordings.items():
        assert result.labels[part].tolist() == [class_of[number] for number in numbers]


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("data", ["auto", "sample"])
@pytest.mark.parametrize(
    "value_range",
    [(1, -1), (0, 0), (NAN, 1), (0, NAN), (0, INF), (-INF, 1), (0, 1, 2), (0,), 5, None, "ab"],
    ids=repr,
)
def test_uci_bad_value_range(uci, data, value_range):
    with pytest.raises(ValueError, match="value_range must be two numbers, the lower") as caught:
        load_uci(uci, data=data, value_range=value_range)
    assert str(caught.value).endswith(f"first, but is {value_range}")


@pytest.mark.parametrize("data", ["auto", "sample"])
@pytest.mark.parametrize("split", ["row", "Recordings", "", None])
def test_uci_bad_split(uci, data, split):
    with pytest.raises(ValueError, match='split must be "rows" or "recordings", but is') as caught:
        load_uci(uci, data=data, split=split)
    assert repr(split) in str(caught.value)


@pytest.mark.parametrize("data", san_data.MODES)
@pytest.mark.parametrize("name", san_data.NAMES)
def test_unknown_options_are_refused_before_a_server_is_asked(tmp_path, offline, name, data):
    options, has = (
        {"split": "rows", "value_range": (0, 1)},
        "no options, but got split, value_range",
    )
    if name == "uci-epilepsy":
        options["colour"], has = "red", "the options value_range and split, but got colour"
    with pytest.raises(TypeError, match=f"^{name} has {has}$"):
        san_data.load(name, data, tmp_path, **options)
    assert offline == []


# UCI-epilepsy: files that cannot be used; each has another hash too, which is said last


def with_cell(column, row, value):
    table = TABLE.astype({column: object})
    table.loc[row, column] = value
    return table


def check_complaint(root, content, words):
    """The complaint about a file, the same where a stand-in could hide it."""
    path = root / "uci-epilepsy" / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else to_csv(content))
    said = []
    for data in ("auto", "real"):
        with pytest.raises(ValueError, match="; fetch it again$") as caught:
            load_uci(root, data=data)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert said[0].startswith(f"{path}: expected {words}")


LINES = CSV.splitlines()
COLUMNS = "180 columns, one without a name, X1 to X178 and y, got "
UNUSABLE = {
    "empty": (b"", "a CSV file, got: No columns"),
    "packed": (gzip.compress(CSV), "a CSV file, got: 'utf-8' codec can't decode byte 0x8b"),
    "a long row": (
        b"\n".join([*LINES[:7], LINES[7] + b",5", *LINES[8:]]),
        "a CSV file, got: Error tokenizing data. C error: Expected 180 fields in line 8, saw 181",
    ),
    "long rows": (b"\n".join([LINES[0], *(line + b",5" for line in LINES[1:])]), COLUMNS),
    "no y": (TABLE.drop(columns="y"), COLUMNS + "179;"),
    "no name": (TABLE.drop(columns=""), COLUMNS + "179, 'X1' for 'Unnamed: 0';"),
    "Kaggle's": (
        TABLE.rename(columns={"": "Unnamed"}),
        COLUMNS + "180, 'Unnamed' for 'Unnamed: 0'",
    ),
    "one more": (TABLE.assign(z=1), COLUMNS + "181;"),
    "renamed": (TABLE.rename(columns={"X7": "x7"}), COLUMNS + "180, 'x7' for 'X7';"),
    "no X7": (TABLE.drop(columns="X7"), COLUMNS + "179, 'X8' for 'X7';"),
    "reversed": (TABLE.iloc[:, ::-1], COLUMNS + "180, 'y' for 'Unnamed: 0';"),
    "a page": (b"<html>\n<p>not found\n</html>\n", COLUMNS + "1, '<html>' for 'Unnamed: 0';"),
    "missing, first": (
        with_cell("X1", [7, 9], None),
        "no missing values, got 2 in column X1, the first in row 7;",
    ),
    "missing": (
        with_cell("X33", [7, 9], None),
        "no missing values, got 2 in column X33, the first in row 7;",
    ),
    "missing, last": (
        with_cell("X178", 99, None),
        "no missing values, got 1 in column X178, the first in row 99;",
    ),
    "missing, class": (
        with_cell("y", [7, 9], None),
        "no missing values, got 2 in column y, the first in row 7;",
    ),
    "cut off": (
        b"\n".join([*LINES[:-1], b'"X1.V1.0",5,-6']),
        "no missing values, got 1 in column X3, the first in row 99;",
    ),
    "text, first": (with_cell("X1", 0, "1O3"), "numbers, got '1O3' in column X1, row 0;"),
    "text": (with_cell("X5", 11, "?"), "numbers, got '?' in column X5, row 11;"),
    "text, last": (with_cell("X178", 99, "1O3"), "numbers, got '1O3' in column X178, row 99;"),
    "text, class": (with_cell("y", 11, "1O3"), "numbers, got '1O3' in column y, row 11;"),
    "no rows": (TABLE[:0], "the classes [1, 2, 3, 4, 5], got [];"),
    "from 0": (TABLE.assign(y=TABLE.y - 1), "the classes [1, 2, 3, 4, 5], got [0, 1, 2, 3, 4];"),
    "2 of 5": (TABLE.assign(y=TABLE.y.clip(upper=2)), "the classes [1, 2, 3, 4, 5], got [1, 2];"),
    "one 6": (with_cell("y", 50, 6), "the classes [1, 2, 3, 4, 5], got [1, 2, 3, 4, 5, 6];"),
    "not whole": (
        TABLE.assign(y=TABLE.y + 0.5),
        "the classes [1, 2, 3, 4, 5], got [1.5, 2.5, 3.5, 4.5, 5.5];",
    ),
    # Of several, columns matter more than what is in them, and values more than classes.
    "columns, text": (with_cell("X7", 4, "?").drop(columns="y"), COLUMNS + "179;"),
    "text, classes": (
        with_cell("X5", 11, "?").assign(y=7),
        "numbers, got '?' in column X5, row 11",
    ),
    "missing, text": (
        with_cell("X5", 11, "?").assign(X4=with_cell("X4", 12, None).X4),
        "no missing values, got 1 in column X4, the first in row 12;",
    ),
}


@pytest.mark.parametrize(("content", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_uci_file_that_cannot_be_used(uci, content, words):
    check_complaint(uci, content, words)


ANOTHER = {
    "a value": to_csv(with_cell("X9", 5, 31)),
    "too large": to_csv(with_cell("X7", 4, 10**25)),
    "infinite": to_csv(with_cell("X7", 4, "inf")),
    "no name": to_csv(with_cell("", [7, 9], None)),
    "the order": to_csv(TABLE[::-1]),
    "a row less": to_csv(TABLE[:-1]),
    "the line ends": CSV.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("content", ANOTHER.values(), ids=ANOTHER)
def test_uci_right_form_but_another_file(uci, content):
    words = f"sha256 {sha256(CSV)}, got {sha256(content)}: not the file of the UCI repository;"
    check_complaint(uci, content, words)


# UCI-epilepsy: download


@pytest.fixture
def uci_server(monkeypatch, answering):
    """A made-up server of UCI's file; change its `content` or `status`; `asked` are the calls."""

    class Server:
        content = CSV
        status = 200
        asked = []  # noqa: RUF012

        @classmethod
        def get(cls, url, *, timeout, stream):
            cls.asked.append((url, timeout, stream))
            response = requests.Response()
            response.url, response.status_code = url, cls.status
            response.reason = "OK" if cls.status == 200 else "Not Found"
            response.headers["content-length"] = str(len(cls.content))
            response.raw = io.BytesIO(cls.content)
            return response

    monkeypatch.setattr(requests, "get", Server.get)
    monkeypatch.setattr(san_data, "UCI_SHA256", sha256(CSV))
    return Server


@pytest.mark.parametrize(
    ("directory", "folder"), [("data", "data"), ("~/data", "home/data"), (None, "data")]
)
def test_uci_download(tmp_path, uci_server, monkeypatch, directory, folder):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / folder / "uci-epilepsy"
    card = load_uci(directory or tmp_path / "data", data="real").card
    assert card.source == "real"
    assert [file.name for file in folder.iterdir()] == ["data.csv"]
    assert (folder / "data.csv").read_bytes() == CSV
    assert uci_server.asked == [(san_data.UCI_URL, 30, True)]
    assert load_uci(folder.parent).card == card
    assert len(uci_server.asked) == 1


@pytest.mark.parametrize("content", [b"", b"wrong", CSV[:1000], CSV[:-1]], ids=len)
def test_uci_download_of_wrong_bytes_is_refused(tmp_path, uci_server, content):
    uci_server.content = content
    check_note(load_uci(tmp_path).card, "hash", sha256(CSV), sha256(content))
    assert list((tmp_path / "uci-epilepsy").iterdir()) == []
    with pytest.raises(FileNotFoundError) as caught:
        load_uci(tmp_path, data="real")
    for words in (sha256(content), f"Put the file of {san_data.UCI_URL} into {tmp_path}/uci-ep"):
        assert words in str(caught.value)


def test_uci_download_of_a_missing_page(tmp_path, uci_server):
    uci_server.status = 404
    check_note(load_uci(tmp_path).card, "404 Client Error: Not Found")
    assert list((tmp_path / "uci-epilepsy").iterdir()) == []


def test_uci_download_that_breaks_off(tmp_path, uci_server, monkeypatch):
    def broken(response, chunk_size):
        yield CSV[:chunk_size]
        raise requests.exceptions.ChunkedEncodingError("connection broken")

    monkeypatch.setattr(requests.Response, "iter_content", broken)
    check_note(load_uci(tmp_path).card, "connection broken")
    assert list((tmp_path / "uci-epilepsy").iterdir()) == []


def test_uci_download_into_a_read_only_directory(tmp_path, uci_server, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "makedirs", refuse)
    check_note(load_uci(tmp_path).card, "Permission denied")
    assert uci_server.asked == []


def test_uci_sample_ignores_the_file_and_the_server(uci, uci_server):
    check_note(load_uci(uci, data="sample").card)
    assert uci_server.asked == []


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


def accept(monkeypatch, name, folder):
    """Let the files of `folder` pass for those of a data set; returns their hashes."""
    hashes = {file: sha256((folder / file).read_bytes()) for file in FILES}
    images = dataclasses.replace(san_data.IMAGES[name], sha256=hashes)
    monkeypatch.setitem(san_data.IMAGES, name, images)
    return hashes


def test_images_are_split_in_order_without_the_blank_ones(numbered, monkeypatch, offline):
    hashes = accept(monkeypatch, "fashion-mnist", numbered / "FashionMNIST" / "raw")
    monkeypatch.setattr(san_data, "_torchvision_datasets", None)  # for downloads only
    result = san_data.load("fashion-mnist", data="real", directory=numbered)
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


def test_images_download(numbered, monkeypatch, tmp_path, answering):
    raw, asked = numbered / "FashionMNIST" / "raw", []

    def link(url, *, download_root, filename, md5):
        asked.append(url)
        name = filename.removesuffix(".gz")
        (Path(download_root) / name).symlink_to(raw / name)

    mnist = san_data._torchvision_datasets().mnist
    monkeypatch.setattr(mnist, "download_and_extract_archive", link)
    monkeypatch.setattr(san_data, "_read_images", lambda name, root: (name, root))
    assert san_data.load("mnist", data="real", directory=tmp_path) == ("mnist", tmp_path)
    assert [url.rpartition("/")[2] for url in asked] == [f"{file}.gz" for file in FILES]
    assert sorted(file.name for file in (tmp_path / "MNIST" / "raw").iterdir()) == sorted(FILES)
    san_data.load("mnist", data="real", directory=tmp_path)
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (urllib.error.URLError("no route"), "Error downloading train-images-idx3-ubyte.gz"),
        (http.client.IncompleteRead(b"abc"), "IncompleteRead(3 bytes read)"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("name", FOLDERS)
def test_images_download_that_fails(tmp_path, monkeypatch, answering, name, error, words):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    check_note(san_data.load(name, directory=tmp_path).card, words)
    with pytest.raises(FileNotFoundError) as caught:
        san_data.load(name, data="real", directory=tmp_path)
    for part in (words, *FILES, str(tmp_path / FOLDERS[name] / "raw")):
        assert part in str(caught.value)
    assert str(error) in str(caught.value.__cause__.__cause__)  # in full
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


FAKE_TORCHVISION = """
import torch
if len(torch.library.define.call_args_list) < 2:
    raise RuntimeError("{error}")
"""


@pytest.mark.parametrize(
    ("error", "declared"),
    [
        ("operator torchvision::nms does not exist", ["torchvision::nms", "torchvision::qnms"]),
        ("something else", []),
    ],
)
def test_torchvision_without_its_operators(tmp_path, monkeypatch, error, declared):
    (tmp_path / "torchvision" / "datasets").mkdir(parents=True)
    (tmp_path / "torchvision" / "datasets" / "__init__.py").touch()
    (tmp_path / "torchvision" / "__init__.py").write_text(FAKE_TORCHVISION.format(error=error))
    monkeypatch.syspath_prepend(tmp_path)
    with (
        mock.patch.dict(sys.modules),
        mock.patch.object(torch.library, "define") as define,
    ):
        for module in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[module]
        if declared:
            datasets = san_data._torchvision_datasets()
            assert Path(datasets.__file__).is_relative_to(tmp_path)
            assert san_data._torchvision_datasets() is datasets
        else:
            with pytest.raises(RuntimeError, match=error):
                san_data._torchvision_datasets()
    assert [call.args[0] for call in define.call_args_list] == declared


# Images: files that cannot be used


LABELS = idx([10_000], bytes(range(10)) * 1000)
IMAGES = idx([10_000, 28, 28], bytes(10_000 * 28 * 28))
T10K_LABELS, T10K_IMAGES = "t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte"
TRAIN_LABELS, TRAIN_IMAGES = "train-labels-idx1-ubyte", "train-images-idx3-ubyte"
BEGINS = "an IDX file that begins with 0000080"
CUT_OFF = ": the file is cut off or has something appended;"
BAD_IDX = {
    "empty": (T10K_LABELS, b"", BEGINS + "1, got nothing;"),
    "cut off": (T10K_LABELS, LABELS[:2], BEGINS + "1, got 0000;"),
    "images as labels": (T10K_LABELS, IMAGES[:10_008], BEGINS + "1, got 00000803;"),
    "labels as images": (T10K_IMAGES, LABELS, BEGINS + "3, got 00000801;"),
    "signed": (T10K_LABELS, b"\0\0\x09\x01" + LABELS[4:], BEGINS + "1, got 00000901;"),
    "packed": (T10K_LABELS, gzip.compress(LABELS), BEGINS + "1, got 1f8b0800;"),
    "a page": (T10K_LABELS, b"<html>", BEGINS + "1, got 3c68746d;"),
    "no size": (T10K_LABELS, LABELS[:4], "10000 values by its header, got 0;"),
    "9999": (T10K_LABELS, idx([9999], LABELS[8:]), "10000 values by its header, got 9999;"),
    "test labels": (TRAIN_LABELS, LABELS, "60000 values by its header, got 10000;"),
    "27 rows": (
        T10K_IMAGES,
        idx([10_000, 27, 28], IMAGES[16:]),
        "10000 x 28 x 28 values by its header, got 10000 x 27 x 28;",
    ),
    "test images": (
        TRAIN_IMAGES,
        IMAGES,
        "60000 x 28 x 28 values by its header, got 10000 x 28 x 28;",
    ),
    "a byte less": (T10K_LABELS, LABELS[:-1], "10008 bytes, got 10007" + CUT_OFF),
    "no label": (T10K_LABELS, LABELS[:8], "10008 bytes, got 8" + CUT_OFF),
    "a byte more": (T10K_LABELS, LABELS + b"\n", "10008 bytes, got 10009" + CUT_OFF),
    "some labels": (
        TRAIN_LABELS,
        idx([60_000], LABELS[8:]),
        "60008 bytes, got 10008" + CUT_OFF,
    ),
    "some images": (T10K_IMAGES, IMAGES[:-784], "7840016 bytes, got 7839232" + CUT_OFF),
    "no image": (
        TRAIN_IMAGES,
        idx([60_000, 28, 28], b""),
        "47040016 bytes, got 16" + CUT_OFF,
    ),
}


@pytest.fixture
def only(monkeypatch, tmp_path):
    """Check the complaint about one file of MNIST, the only one there is."""

    def check(file, content, words, known):
        raw = tmp_path / "MNIST" / "raw"
        raw.mkdir(parents=True)
        (raw / file).write_bytes(content)
        mnist = dataclasses.replace(san_data.IMAGES["mnist"], sha256={file: sha256(known)})
        monkeypatch.setitem(san_data.IMAGES, "mnist", mnist)
        with pytest.raises(ValueError, match="; fetch it again$") as caught:
            san_data.load("mnist", directory=tmp_path)
        assert str(caught.value).startswith(f"{raw / file}: expected {words}")

    return check


@pytest.mark.parametrize(("file", "content", "words"), BAD_IDX.values(), ids=BAD_IDX)
def test_images_file_that_cannot_be_used(only, file, content, words):
    only(file, content, words, known=content)


@pytest.mark.parametrize("position", [8, 5000, 10_007])
def test_one_flipped_byte(only, position):
    flipped = bytearray(LABELS)
    flipped[position] ^= 1
    words = f"sha256 {sha256(LABELS)}, got {sha256(flipped)}: the file was changed"
    only(T10K_LABELS, bytes(flipped), words, known=LABELS)


@pytest.mark.parametrize("file", FILES)
def test_each_file_of_images_is_verified(numbered, monkeypatch, file):
    raw = numbered / "FashionMNIST" / "raw"
    hashes = accept(monkeypatch, "fashion-mnist", raw)
    found, hashes[file] = hashes[file], sha256(b"")
    with pytest.raises(ValueError, match="; fetch it again$") as caught:
        san_data.load("fashion-mnist", directory=numbered)
    said = f"{raw / file}: expected sha256 {sha256(b'')}, got {found}: the file was changed;"
    assert str(caught.value).startswith(said)


def test_files_of_the_other_data_set(numbered, monkeypatch, tmp_path):
    accept(monkeypatch, "mnist", numbered / "FashionMNIST" / "raw")
    with pytest.raises(ValueError, match="this is the file of mnist; fetch it again") as caught:
        san_data.load("fashion-mnist", directory=numbered)
    assert str(numbered / "FashionMNIST" / "raw" / FILES[0]) in str(caught.value)


@pytest.mark.parametrize("absent", [[FILES[1]], [FILES[0], FILES[3]]])
def test_some_files_of_images_are_missing(tmp_path, absent):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in set(FILES) - set(absent):
        (raw / file).write_bytes(b"")
    with pytest.raises(FileNotFoundError) as caught:
        san_data.load("mnist", data="real", directory=tmp_path)
    assert f"Put {', '.join(absent)} into {raw}, unpacked" in str(caught.value)
    assert san_data.load("mnist", directory=tmp_path).card.source == "simulated"


# What all have: parts with labels, stand-ins


CARD = san_data.Card("a", "b", None, "c", "real", "d", classes=("e", "f"))


def test_labelled_leaves_out_blank_examples():
    train = torch.tensor([[[0, 0], [0, 0]], [[0, 0], [0, -1]], [[0, 0], [0, 0]], [[1, 2], [3, 4]]])
    parts = {
        "train": (train, torch.tensor([0, 1, 2, 3])),
        "validation": (torch.ones(2, 2, 2), torch.tensor([4, 5])),
        "test": (torch.zeros(3, 2, 2), torch.tensor([6, 7, 8])),
    }
    result = san_data._labelled(parts, CARD)
    assert torch.equal(result.train, train[[1, 3]])
    assert {part: labels.tolist() for part, labels in result.labels.items()} == {
        "train": [1, 3],
        "validation": [4, 5],
        "test": [],
    }
    assert result.test.shape == (0, 2, 2)
    assert result.card == dataclasses.replace(CARD, blank={"train": 2, "validation": 0, "test": 3})
    assert CARD.blank == {}


def test_labelled_keeps_examples_that_are_constant_or_tiny():
    x = torch.stack([torch.full((4,), -1.0), torch.full((4,), 1e-45), torch.zeros(4)])
    result = san_data._labelled(dict.fromkeys(parts_of(result_of(x)), (x, torch.arange(3))), CARD)
    assert result.card.blank == {"train": 1, "validation": 1, "test": 1}
    assert result.labels["test"].tolist() == [0, 1]


def result_of(x):
    labels = dict.fromkeys(("train", "validation", "test"), torch.arange(len(x)))
    return san_data.DataSet(x, x, x, CARD, labels)


def test_first_keeps_labels_aligned():
    whole = result_of(torch.arange(10.0)[:, None])
    result = whole.first(train=4, validation=0, test=99)
    assert sizes_of(result) == [4, 0, 10]
    for part, x in parts_of(result).items():
        assert torch.equal(x[:, 0].long(), result.labels[part])
    assert result.card is whole.card
    assert sizes_of(whole) == [10, 10, 10]


def test_first_without_labels():
    result = dataclasses.replace(result_of(torch.ones(5, 2)), labels=None).first(1, 2, 3)
    assert sizes_of(result) == [1, 2, 3]
    assert result.labels is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "sizes", "shape", "low", "classes", "stands_in_for"),
    [
        ("uci-epilepsy", [1748, 276, 276], (178,), -1, san_data.UCI_CLASSES, "UCI's file"),
        ("mnist", [1297, 250, 250], (28, 28), 0, tuple("0123456789"), "MNIST"),
        ("fashion-mnist", None, (28, 28), 0, ("china", "flower"), "FashionMNIST"),
    ],
)
def test_stand_in(tmp_path, offline, name, sizes, shape, low, classes, stands_in_for):
    once, twice = (san_data.load(name, data="sample", directory=tmp_path) for _ in range(2))
    assert sizes is None or sizes_of(once) == sizes
    for part, x in parts_of(once).items():
        labels = once.labels[part]
        assert (x.dtype, x.shape[1:]) == (torch.float32, shape)
        assert (labels.dtype, labels.shape) == (torch.int64, x.shape[:1])
        assert x.isfinite().all()
        assert x.flatten(1).any(dim=1).all()
        assert x.min() >= low
        assert x.max() <= 1
        assert set(labels.tolist()) == set(range(len(classes)))  # each class in each part
        assert torch.equal(x, getattr(twice, part))
        assert torch.equal(labels, twice.labels[part])
    card = once.card
    assert card == twice.card
    assert card.classes == classes
    assert card.data_source == f"simulated: {card.simulator}"
    assert card.seed is not None
    assert (card.record, card.channel, card.sha256) == (None, None, {})
    assert stands_in_for in card.note
    assert card.note.endswith('because data="sample" asks for it.')
    assert offline == []


def test_stand_in_of_uci_takes_its_options():
    rows, scaled, recordings = (
        san_data.load("uci-epilepsy", data="sample", **options)
        for options in ({}, {"value_range": (0, 1)}, {"split": "recordings"})
    )
    assert (together(rows).min(), together(rows).max()) == (-1, 1)
    assert torch.allclose(together(scaled), (together(rows) + 1) / 2, atol=1e-6)
    assert sizes_of(recordings) == sizes_of(rows) == [1748, 276, 276]
    assert not torch.equal(recordings.train, rows.train)
    # 23 segments of a recording share its class.
    assert all((labels.bincount() % 23 == 0).all() for labels in recordings.labels.values())


def test_stand_ins_leave_the_global_random_states_alone():
    def states():
        return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()

    before = states()
    for name in LABELLED:
        san_data.load(name, data="sample")
    assert states() == before


@pytest.mark.parametrize("name", LABELLED)
def test_no_network_gives_the_stand_in_and_says_why(tmp_path, offline, name):
    result, again = (san_data.load(name, directory=tmp_path) for _ in range(2))
    assert len(offline) == 1  # asked once
    server = offline[0]
    expected = f"because the data are not at hand: {server} cannot be reached (ConnectionError)."
    assert result.card.source == "simulated"
    assert result.card.note.endswith(expected)
    assert result.card == again.card
    sample = san_data.load(name, data="sample")
    assert torch.equal(result.train, sample.train)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "folder", "named"),
    [
        ("uci-epilepsy", "uci-epilepsy", [san_data.UCI_URL, "data.csv"]),
        ("mnist", "MNIST/raw", FILES),
        ("fashion-mnist", "FashionMNIST/raw", FILES),
    ],
)
def test_real_without_network_says_what_to_put_where(tmp_path, name, folder, named):
    with pytest.raises(FileNotFoundError) as caught:
        san_data.load(name, data="real", directory=tmp_path)
    for part in (
        name,
        str(tmp_path / folder),
        *named,
        "cannot be reached (ConnectionError)",
        'data="auto"',
    ):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_main_lists_labelled_data_sets(uci, capsys):
    assert san_data.main(["--directory", str(uci), "uci-epilepsy", "mnist"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[:2] == ["uci-epilepsy", "real"]
    assert second.split()[:2] == ["mnist", "simulated"]


def test_main_fails_on_a_file_that_cannot_be_used(uci, monkeypatch, capsys):
    monkeypatch.setattr(san_data, "UCI_SHA256", sha256(b""))
    assert san_data.main(["--directory", str(uci), "uci-epilepsy"]) == 1
    assert "not the file of the UCI repository" in capsys.readouterr().out


# The files themselves


@pytest.fixture(scope="module")
def uci_lines():
    """Of each row of UCI's file its name, its values and its class, read without pandas."""
    lines = (REAL / "uci-epilepsy" / "data.csv").read_text().splitlines()[1:]
    names, values, classes = zip(
        *((line[: line.index(",")], line, int(line[-1])) for line in lines), strict=True
    )
    return [name.strip('"') for name in names], values, classes


@pytest.fixture(scope="module")
def uci_rows():
    return san_data.load("uci-epilepsy", data="real", directory=REAL)


@needs_uci
def test_uci_file(uci_rows):
    assert sizes_of(uci_rows) == [8740, 1380, 1380]
    assert uci_rows.card.source == "real"
    assert uci_rows.card.blank == {"train": 0, "validation": 0, "test": 0}
    assert (together(uci_rows).min(), together(uci_rows).max()) == (-1, 1)
    labels = torch.cat([*uci_rows.labels.values()])
    assert labels.bincount().tolist() == [2300, 4600, 4600]


@needs_uci
def test_uci_file_equals_its_lines(uci_rows, uci_lines):
    _, lines, classes = uci_lines
    assert torch.cat([*uci_rows.labels.values()]).tolist() == [
        (0, 1, 1, 2, 2)[number - 1] for number in classes
    ]
    chosen = [0, 1, 8739, 8740, 10_119, 10_120, 11_499]
    values = np.array([lines[i].split(",")[1:-1] for i in chosen], float)
    # The file's values go from -1885 to 2047.
    expected = torch.tensor(2 * (values + 1885) / 3932 - 1, dtype=torch.float32)
    assert torch.allclose(together(uci_rows)[chosen], expected, atol=1e-7)


@needs_uci
def test_uci_file_by_recordings(uci_rows, uci_lines):
    result = san_data.load("uci-epilepsy", data="real", directory=REAL, split="recordings")
    assert sizes_of(result) == [8740, 1380, 1380]
    # No two segments are equal, so each is found by its samples.
    recording_of = {
        row.tobytes(): (name.partition(".")[2], label)
        for row, name, label in zip(
            together(uci_rows).numpy(),
            uci_lines[0],
            torch.cat([*uci_rows.labels.values()]).tolist(),
            strict=True,
        )
    }
    assert len(recording_of) == 11_500
    sets = []
    for part, x in parts_of(result).items():
        found = [recording_of[row.tobytes()] for row in x.numpy()]
        assert [label for _, label in found] == result.labels[part].tolist()
        names = [name for name, _ in found]
        assert all(names.count(name) == 23 for name in set(names))
        sets.append(set(names))
    assert list(map(len, sets)) == [380, 60, 60]
    assert len(set.union(*sets)) == 500


@pytest.fixture(scope="module", params=FOLDERS)
def images(request):
    """A data set of images and the folder of its files."""
    name = request.param
    return san_data.load(name, data="real", directory=REAL), REAL / FOLDERS[name] / "raw"


def pixels(folder, kind):
    content = np.fromfile(folder / f"{kind}-images-idx3-ubyte", np.uint8, offset=16)
    return torch.from_numpy(content.reshape(-1, 28, 28))


@needs_images
def test_images_equal_their_bytes(images):
    result, folder = images
    assert sizes_of(result) == [50_000, 10_000, 10_000]
    assert result.card.blank == {"train": 0, "validation": 0, "test": 0}
    known = pixels(folder, "train")
    expected = {"train": known[:50_000], "validation": known[-10_000:]}
    expected["test"] = pixels(folder, "t10k")
    for part, x in parts_of(result).items():
        assert (x.dtype, x.shape[1:]) == (torch.float32, (28, 28))
        assert (x.min(), x.max()) == (0, 1)
        assert torch.equal((x * 255).round().to(torch.uint8), expected[part])
    assert torch.equal(result.validation, expected["validation"] / 255)


@needs_images
def test_labels_equal_their_bytes(images):
    result, folder = images
    known = np.fromfile(folder / "train-labels-idx1-ubyte", np.uint8, offset=8)
    assert np.array_equal(result.labels["train"], known[:50_000])
    assert np.array_equal(result.labels["validation"], known[-10_000:])
    test = np.fromfile(folder / "t10k-labels-idx1-ubyte", np.uint8, offset=8)
    assert np.array_equal(result.labels["test"], test)
    assert all(set(labels.tolist()) == set(range(10)) for labels in result.labels.values())
    assert len(result.card.classes) == 10


@needs_images
@pytest.mark.parametrize(
    ("name", "other"), [("fashion-mnist", "mnist"), ("mnist", "fashion-mnist")]
)
def test_folder_of_images_holds_the_other_files(tmp_path, name, other):
    (tmp_path / FOLDERS[name]).mkdir()
    (tmp_path / FOLDERS[name] / "raw").symlink_to(REAL / FOLDERS[other] / "raw")
    with pytest.raises(ValueError, match=f"this is the file of {other}; fetch it again") as caught:
        san_data.load(name, directory=tmp_path)
    assert str(tmp_path / FOLDERS[name] / "raw" / FILES[0]) in str(caught.value)
