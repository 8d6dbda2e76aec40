"""Tests of sanbook.data's labelled data sets: made-up files, the real ones if there, no network."""

import csv
import dataclasses
import gzip
import hashlib
from math import inf, nan

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from conftest import REAL, known, needs, sha256

import sanbook.data
import sanbook.data.download
import sanbook.data.labelled
from sanbook.data.dataset import DataSet, Provenance
from sanbook.data.labelled import read_idx
from sanbook.data.manifest import MANIFEST, KnownFile

UCI_CLASSES = ("seizure", "tumour or healthy area", "eyes closed or open")
FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
LAST = FILES[-1]


def parts_of(data_set):
    return {part: getattr(data_set, part) for part in ("train", "validation", "test")}


def sizes_of(data_set):
    return [len(x) for x in parts_of(data_set).values()]


def together(data_set):
    return torch.cat([*parts_of(data_set).values()])


def check_note(card, *said):
    """The note of simulated data is one sentence, with the words `said`."""
    assert card.source == "simulated"
    assert all(words in card.note for words in said)
    assert card.note.endswith(".")
    assert not any(end in card.note for end in ("..", ":.", ". ", "\n"))


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
def uci(tmp_path, change_source):
    """A folder whose made-up file passes for UCI's."""
    change_source("uci-epilepsy", files=known({"data.csv": CSV}))
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
    assert card.classes == UCI_CLASSES
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


@pytest.fixture
def uci_server(server, change_source):
    """A made-up server of UCI's file."""
    change_source("uci-epilepsy", download=server.url, files=known({"data.csv": CSV}))
    server.files["data.csv"] = CSV
    return server


def test_uci_download(tmp_path, uci_server, monkeypatch):
    monkeypatch.chdir(tmp_path)
    card = load_uci("my data", data="real").card
    assert (card.source, card.origin) == ("real", "official")
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files == [tmp_path / "my data" / "uci-epilepsy" / "data.csv"]
    assert load_uci("my data").card == card
    assert uci_server.asked == ["data.csv"]


# Images: made-up files


COUNTS = {"train": 10_020, "t10k": 300}


def idx(sizes, values):
    """An IDX file of unsigned bytes."""
    header = bytes([0, 0, 8, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes)
    return header + bytes(values)


@pytest.fixture(scope="module")
def content():
    """Four files with numbered images, image i in class i mod 7.

    Images are zero but for the first two pixels, which tell their number.
    """
    files = {}
    for kind, count in COUNTS.items():
        number = np.arange(count)
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 0, 0], images[:, 0, 1] = number % 256, number // 256
        files[f"{kind}-images-idx3-ubyte"] = idx(images.shape, images.tobytes())
        files[f"{kind}-labels-idx1-ubyte"] = idx([count], (number % 7).astype(np.uint8))
    return {file: files[file] for file in FILES}


@pytest.fixture
def numbered(content, tmp_path, change_source):
    """A folder where they pass for Fashion-MNIST, beside others in torchvision's old layout."""
    change_source("fashion-mnist", files=known(content))
    raw, processed = tmp_path / "FashionMNIST" / "raw", tmp_path / "FashionMNIST" / "processed"
    raw.mkdir(parents=True)
    processed.mkdir()
    for file in FILES:
        (raw / file).write_bytes(content[file])
    others = torch.ones(8, 28, 28, dtype=torch.uint8), torch.zeros(8, dtype=torch.int64)
    for old in ("training", "test"):
        torch.save(others, processed / f"{old}.pt")
    return tmp_path


def load_images(root, data="real"):
    return sanbook.data.load("fashion-mnist", data, root)


def test_images_are_split_in_order_without_the_blank_ones(numbered, content, offline):
    result = load_images(numbered)
    # Image 0 of either file is blank.
    assert sizes_of(result) == [19, 10_000, 299]
    assert result.card.blank == {"train": 1, "validation": 0, "test": 1}
    for part, start in (("train", 1), ("validation", 20), ("test", 1)):
        x, labels = getattr(result, part), result.labels[part]
        assert (x.dtype, x.shape[1:], labels.dtype) == (torch.float32, (28, 28), torch.int64)
        pixels = (x[:, 0, :2].double() * 255).round().long()
        expected = torch.arange(start, start + len(x))
        assert torch.equal(pixels[:, 0] + 256 * pixels[:, 1], expected)
        assert torch.equal(labels, expected % 7)
    assert result.validation.max() == 1  # 255 is one
    card = result.card
    assert (card.source, card.data_source, card.sampling_rate) == ("real", "real", None)
    assert card.sha256 == {file: sha256(bytes) for file, bytes in content.items()}
    assert len(card.classes) == 10
    assert offline == []


@pytest.mark.parametrize(("file", "data"), [*zip(FILES, ["auto", "real"] * 2, strict=True)])
def test_each_file_of_images_is_verified(numbered, content, file, data):
    path = numbered / "FashionMNIST" / "raw" / file
    wrong = content[file][:-1] + b"\xff"
    path.write_bytes(wrong)
    with pytest.raises(ValueError, match="; move it away and run `make data` to fetch") as caught:
        load_images(numbered, data)
    words = f"{path}: its sha256 is {sha256(wrong)}, the official one {sha256(content[file])}"
    assert str(caught.value).startswith(words)
    assert path.read_bytes() == wrong


def test_files_without_a_known_hash_are_not_real(numbered, change_source):
    change_source("fashion-mnist", files=tuple(KnownFile(file, "official") for file in FILES))
    card = load_images(numbered, "auto").card
    assert (card.source, card.data_source, card.origin) == ("unverified",) * 3
    with pytest.raises(
        FileNotFoundError, match=r"these are unverified. Move what is there away and put"
    ):
        load_images(numbered)


@pytest.fixture
def mirrors(content, server, monkeypatch, change_source):
    """A made-up server with two mirrors of the numbered images, which pass for Fashion-MNIST."""
    published = torchvision.datasets.FashionMNIST
    packed = {f"{file}.gz": gzip.compress(content[file], compresslevel=1) for file in FILES}
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in packed.items()}
    monkeypatch.setattr(published, "resources", list(md5.items()))
    monkeypatch.setattr(published, "mirrors", [f"{server.url}first/", f"{server.url}second/"])
    server.files = {f"{m}/{name}": packed[name] for m in ("first", "second") for name in packed}
    change_source("fashion-mnist", files=known(content))
    return server


def test_images_download(tmp_path, mirrors, content):
    root = tmp_path / "my data"
    card = load_images(root).card
    assert (card.source, card.origin) == ("real", "official")
    raw = root / "FashionMNIST" / "raw"
    assert {file.name: file.read_bytes() for file in raw.iterdir()} == content
    assert mirrors.asked == [f"first/{file}.gz" for file in FILES]
    (raw / FILES[1]).unlink()
    load_images(root)
    assert mirrors.asked[4:] == [f"first/{FILES[1]}.gz"]  # the others are there


def test_images_from_the_next_mirror(tmp_path, mirrors, content):
    packed = f"first/{LAST}.gz"
    mirrors.files[packed] = gzip.compress(content[LAST] + b"more")
    assert load_images(tmp_path).card.source == "real"
    assert mirrors.asked[3:] == [packed, f"second/{LAST}.gz"]


def test_images_that_no_mirror_has(tmp_path, mirrors):
    for mirror in ("first", "second"):
        mirrors.files[f"{mirror}/{LAST}.gz"] = b"<html>"
    raw = tmp_path / "FashionMNIST" / "raw"
    with pytest.raises(FileNotFoundError, match=f"first/{LAST}.* and .*second/") as caught:
        load_images(tmp_path)
    assert f"put {', '.join(FILES[:-1])} and {LAST} into {raw}, unpacked, from" in str(caught.value)
    check_note(load_images(tmp_path, "auto").card, "does not verify")
    # Nothing else is left behind, and the good ones are kept.
    assert {file.name for file in raw.iterdir()} == set(FILES) - {LAST}


@pytest.mark.parametrize("file", FILES)
def test_idx_files_are_read_as_torchvision_reads_them(tmp_path, content, file):
    path = tmp_path / file
    path.write_bytes(content[file])
    assert torch.equal(
        read_idx(path), torchvision.datasets.mnist.read_sn3_pascalvincent_tensor(path)
    )


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_torchvision_knows_all_files(name):
    source = MANIFEST[name]
    published = getattr(torchvision.datasets, source.torchvision)
    assert [f"{file}.gz" for file in source.official] == [file for file, _ in published.resources]
    assert source.folder == f"{source.torchvision}/raw"  # its layout


# What all have: parts with labels, placeholder data


CARD = Provenance("a", "b", None, "c", "real", "d", classes=("e", "f"))


def test_first_keeps_labels_aligned():
    x = torch.arange(10)
    whole = DataSet(x, x, x, CARD, dict.fromkeys(("train", "validation", "test"), x))
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
    ("name", "sizes", "shape", "low", "classes", "replaced"),
    [
        ("uci-epilepsy", [1748, 276, 276], (178,), -1, UCI_CLASSES, "(UCI)"),
        ("mnist", [1297, 250, 250], (28, 28), 0, tuple("0123456789"), "MNIST"),
        ("fashion-mnist", None, (28, 28), 0, ("china", "flower"), "Fashion-MNIST"),
    ],
)
def test_placeholder_data(tmp_path, offline, name, sizes, shape, low, classes, replaced):
    once, twice = (sanbook.data.load(name, data="sample", directory=tmp_path) for _ in range(2))
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
    check_note(card, replaced, 'because data="sample" asks for it.')
    assert offline == []


def test_placeholder_data_of_uci_takes_its_options():
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
        ("mitdb", "physionet/mitdb", ["100.hea"]),
        ("uci-epilepsy", "uci-epilepsy", ["data.csv"]),
        ("mnist", "MNIST/raw", FILES),
        ("fashion-mnist", "FashionMNIST/raw", FILES),
    ],
)
def test_no_network(tmp_path, offline, name, folder, named):
    result, again = (sanbook.data.load(name, directory=tmp_path) for _ in range(2))
    assert len(set(offline)) == len(offline)  # each server is asked once
    reasons = [f"{server} cannot be reached (ConnectionError)" for server in offline]
    check_note(result.card, f"because the data are not at hand: {', and '.join(reasons)}.")
    assert result.card == again.card
    assert torch.equal(result.train, sanbook.data.load(name, data="sample").train)
    with pytest.raises(FileNotFoundError) as caught:
        sanbook.data.load(name, data="real", directory=tmp_path)
    for part in (f"{name}: {reasons[0]}", "; put", str(tmp_path / folder), *named, 'data="auto"'):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# The files themselves


@needs("uci-epilepsy/data.csv")
def test_uci_file_equals_its_lines():
    lines = (REAL / "uci-epilepsy" / "data.csv").read_text().splitlines()[1:]
    result = sanbook.data.load("uci-epilepsy", data="real", directory=REAL)
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


@needs(*(f"{folder}/raw/{file}" for folder in FOLDERS.values() for file in FILES))
@pytest.mark.parametrize("name", FOLDERS)
def test_images_of_the_files(name):
    result = sanbook.data.load(name, data="real", directory=REAL)
    assert sizes_of(result) == [50_000, 10_000, 10_000]
    assert result.card.blank == {"train": 0, "validation": 0, "test": 0}
    for part, x in parts_of(result).items():
        assert (x.min(), x.max()) == (0, 1)
        assert set(result.labels[part].tolist()) == set(range(10))
