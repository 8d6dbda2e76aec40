"""Tests of sanbook.data: recordings written by wfdb, a made-up PhysioNet on this machine."""

import dataclasses
import random
from pathlib import Path

import neurokit2
import numpy as np
import pytest
import torch
import wfdb
from conftest import REAL, known, needs, sha256

import sanbook.data
import sanbook.data.__main__
import sanbook.data.download
import sanbook.data.manifest
import sanbook.data.physionet
import sanbook.data.verify
from sanbook.data.__main__ import main
from sanbook.data.manifest import MANIFEST, KnownFile


@pytest.fixture
def no_hashes(change_source):
    """No hash is known of any record."""
    for name in sanbook.data.DATABASES:
        files = MANIFEST[name].official
        change_source(name, files=tuple(KnownFile(file, "official") for file in files))


@pytest.fixture
def publish(change_source):
    """Let the files of a record pass for the paper's of a database."""

    def official(header, name="mitdb"):
        paths = header.parent.glob(f"{header.stem}.*")
        files = known({path.name: path.read_bytes() for path in paths})
        change_source(name, files=files, record=header.stem)
        return header

    return official


@pytest.fixture
def online(server, no_hashes, change_source):
    """A made-up PhysioNet; `add` publishes the files of a folder as mitdb's, with their hashes."""
    for name in sanbook.data.DATABASES:
        change_source(name, download=f"{server.url}{name}/1.0.0/")

    def add(folder):
        list_of_hashes = server.files.setdefault("mitdb/1.0.0/SHA256SUMS.txt", b"")
        for file in folder.iterdir():
            server.files[f"mitdb/1.0.0/{file.name}"] = file.read_bytes()
            list_of_hashes += f"{sha256(file.read_bytes())} {file.name}\n".encode()
        server.files["mitdb/1.0.0/SHA256SUMS.txt"] = list_of_hashes

    server.add = add
    return server


def noise(samples=sanbook.data.physionet.SAMPLES):
    return np.random.default_rng(0).normal(size=samples)


def write(folder, record="100", channels=("MLII",), signal=None):
    """Write a record whose first channel is `signal`, (n,); returns the path of its header."""
    signal = noise() if signal is None else signal
    folder.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        record,
        fs=360,
        units=["mV"] * len(channels),
        sig_name=list(channels),
        p_signal=np.stack([signal] + [noise(len(signal))] * (len(channels) - 1), axis=1),
        fmt=["16"] * len(channels),
        write_dir=str(folder),
    )
    return folder / f"{record}.hea"


def mitdb(root):
    return root / "physionet" / "mitdb"


def check_refused_as_real(name, root, *words):
    """It is an error, of no more sentences than in ``words``, that says what to put where."""
    with pytest.raises(FileNotFoundError) as caught:
        sanbook.data.load(name, data="real", directory=root)
    source = MANIFEST[name]
    for part in (
        f"{name}: ",
        f"put {source.record}.hea",
        "the signal file that it names",
        f" into {root / source.folder}, from {source.source}",
        'or allow placeholder data with data="auto"',
        *words,
    ):
        assert part in str(caught.value)
    ends = str(caught.value).replace(str(root), "").count(". ")
    assert ends == sum(". " in word for word in words)


# The names


def test_databases_are_those_of_the_paper_in_its_order():
    assert " ".join(sanbook.data.DATABASES) == (
        "apnea-ecg bidmc bpssrat cebsdb ctu-uhb-ctgdb drivedb emgdb mitdb noneeg prcp shhpsgdb "
        "slpdb sufhsdb voiced wrist"
    )


def test_unknown_names_list_the_valid_ones(tmp_path):
    with pytest.raises(ValueError, match=r"name: unknown data set 'mit'.*apnea-ecg, bidmc.*wrist"):
        sanbook.data.load("mit", directory=tmp_path)
    with pytest.raises(ValueError, match=r"data: unknown mode 'fake'.*auto, real, sample"):
        sanbook.data.load("mitdb", data="fake", directory=tmp_path)


# Windows


def test_windows_by_hand():
    # Mean 1; squares sum to 1000, over 999: the unbiased standard deviation is sqrt(1000 / 999).
    alternating = torch.tensor([0.0, 2.0]).repeat(6000)
    expected = torch.tensor([-1.0, 1.0]).repeat(500) * (999 / 1000) ** 0.5
    result = sanbook.data.physionet.windows(alternating)
    assert result.shape == (12, 1000)
    assert result.dtype == torch.float32
    assert torch.allclose(result, expected.expand(12, 1000), atol=1e-6)


@pytest.mark.parametrize("shape", [(11_999,), (12_001,), (12_000, 1), (12, 1000), ()])
def test_windows_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"its shape is .*, not \(12000,\)"):
        sanbook.data.physionet.windows(torch.rand(shape))


# Recordings


def test_paper_record_is_real(tmp_path, publish, offline):
    header = publish(write(mitdb(tmp_path), channels=("MLII", "V5")))
    write(mitdb(tmp_path), record="099")
    result = sanbook.data.load("mitdb", data="real", directory=tmp_path)
    stored = wfdb.rdrecord(str(header.with_suffix(""))).p_signal[:, 0]
    expected = sanbook.data.physionet.windows(stored)
    assert torch.equal(result.train, expected[:6])
    assert torch.equal(result.validation, expected[6:8])
    assert torch.equal(result.test, expected[8:])
    card = result.card
    assert (card.source, card.data_source) == ("real", "real")
    assert (card.record, card.channel, card.sampling_rate, card.units) == ("100", "MLII", 360, "mV")
    assert card.note == (
        "Record 100, channel MLII, is the paper's. "
        "100.hea and 100.dat: the source's own bytes, verified by hash."
    )
    assert card.origin == "official"
    assert card.sha256 == {
        name: sha256((mitdb(tmp_path) / name).read_bytes()) for name in ("100.hea", "100.dat")
    }
    assert (card.simulator, card.seed) == (None, None)
    assert offline == []


def test_bytes_without_a_known_hash_are_never_real(tmp_path, no_hashes, offline):
    write(mitdb(tmp_path))
    card = sanbook.data.load("mitdb", directory=tmp_path).card
    assert (card.source, card.data_source) == ("unverified", "unverified: 100 MLII")
    assert card.note == (
        "Record 100, channel MLII, is the paper's by its name. "
        "100.hea and 100.dat: these bytes could not be verified."
    )
    assert card.origin == "unverified"
    check_refused_as_real(
        "mitdb", tmp_path, "these are unverified: 100 MLII. Move", "SHA256SUMS.txt"
    )
    assert offline == []


def test_one_file_without_a_known_hash_is_enough(tmp_path, publish, change_source):
    publish(write(mitdb(tmp_path)))
    files = MANIFEST["mitdb"].official
    for name in files:
        others = [file for file in files.values() if file.name != name]
        change_source("mitdb", files=(*others, KnownFile(name, "official")))
        assert sanbook.data.load("mitdb", directory=tmp_path).card.source == "unverified"


def test_only_the_first_samples_count(tmp_path, no_hashes):
    write(mitdb(tmp_path / "long"), signal=np.append(noise(), [np.nan] * 500))
    write(mitdb(tmp_path / "exact"))
    long, exact = (
        sanbook.data.load("mitdb", directory=tmp_path / folder).test for folder in ("long", "exact")
    )
    # Each file has its own resolution, 16 bits over the range of its own samples.
    assert torch.allclose(long, exact, atol=1e-3)


def test_channel_name_with_trailing_comma_is_real(tmp_path, publish):
    folder = tmp_path / "physionet" / "bidmc"
    publish(write(folder, record="bidmc01", channels=("RESP,", "PLETH,")), "bidmc")
    assert sanbook.data.load("bidmc", directory=tmp_path).card.source == "real"


def test_channel_that_was_never_seen_is_not_checked(tmp_path, publish):
    folder = tmp_path / "physionet" / "shhpsgdb"
    publish(write(folder, record="0000", channels=("SaO2",)), "shhpsgdb")
    card = sanbook.data.load("shhpsgdb", directory=tmp_path).card
    assert card.source == "real"
    assert "could not be checked" in card.note


def test_other_record_is_a_substitute(tmp_path, offline):
    write(mitdb(tmp_path), record="102")
    write(mitdb(tmp_path), record="101")
    card = sanbook.data.load("mitdb", directory=tmp_path).card
    assert (card.source, card.data_source) == ("substitute", "substitute: 101 MLII")
    assert card.note.startswith(
        "Record 101, channel MLII, stands in for the paper's record 100, channel MLII. "
    )
    assert offline == []
    check_refused_as_real("mitdb", tmp_path, "https://physionet.org cannot be reached")


def test_real_fetches_the_record_where_another_one_is(tmp_path, online):
    online.add(write(tmp_path / "server").parent)
    write(mitdb(tmp_path), record="099")
    assert sanbook.data.load("mitdb", directory=tmp_path).card.record == "099"
    card = sanbook.data.load("mitdb", data="real", directory=tmp_path).card
    assert (card.source, card.record) == ("real", "100")


def test_other_channel_is_a_substitute(tmp_path, publish):
    publish(write(mitdb(tmp_path), channels=("V5",)))
    card = sanbook.data.load("mitdb", directory=tmp_path).card
    assert (card.data_source, card.origin) == ("substitute: 100 V5", "official")
    check_refused_as_real(
        "mitdb", tmp_path, "these are substitute: 100 V5. Move what is there away"
    )


def test_known_substitute_is_one_whatever_its_names(tmp_path, publish, change_source):
    publish(write(mitdb(tmp_path)))
    files = [
        dataclasses.replace(file, bytes="substitute", how="made here")
        for file in MANIFEST["mitdb"].files
    ]
    official = [KnownFile(file.name, "official") for file in files]
    change_source("mitdb", files=(*official, *files))
    card = sanbook.data.load("mitdb", directory=tmp_path).card
    assert (card.data_source, card.origin) == ("substitute: 100 MLII", "substitute")
    check_refused_as_real("mitdb", tmp_path, "these are substitute: 100 MLII. Move")


def test_channels_in_files_of_their_own(tmp_path, publish):
    header = write(mitdb(tmp_path))
    text = header.read_text().replace("100 1", "100 2", 1)
    header.write_text(text + "other.dat 16 200/mV 16 0 0 0 0 V5\n")
    publish(header)
    assert sanbook.data.load("mitdb", directory=tmp_path).card.source == "real"


# Recordings that cannot be used: an error, never placeholder data


@pytest.fixture
def unverified(no_hashes, tmp_path):
    """The folder of mitdb, where any record may be put."""
    return mitdb(tmp_path)


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        ([77, 900, 901], np.nan, r"3 samples are NaN.*first at index 77"),
        (slice(11_000, None), 0, r"windows \[11\] .* are constant"),
    ],
)
def test_samples_that_cannot_be_standardized(tmp_path, unverified, where, value, words):
    signal = noise()
    signal[where] = value
    write(unverified, signal=signal)
    with pytest.raises(ValueError, match=rf"mitdb, record 100, channel MLII: .*{words}"):
        sanbook.data.load("mitdb", directory=tmp_path)


def test_short_record(tmp_path, unverified):
    write(unverified, signal=noise(11_999))
    with pytest.raises(ValueError, match=r"100\.hea: has 11999 samples, fewer than 12000"):
        sanbook.data.load("mitdb", directory=tmp_path)


# Bytes


@pytest.fixture
def copied(tmp_path, change_source):
    """A record of mitdb whose files are a known copy; the official ones are another record."""
    write(mitdb(tmp_path))
    content = {name: (mitdb(tmp_path) / name).read_bytes() for name in ("100.hea", "100.dat")}
    copies = [
        KnownFile(name, "copy", len(content), sha256(content), how="made here")
        for name, content in content.items()
    ]
    official = write(tmp_path / "official", signal=noise()[::-1]).parent
    files = known({name: (official / name).read_bytes() for name in content})
    change_source("mitdb", files=(*files, *copies))
    return tmp_path


def test_a_known_copy_says_so(copied):
    card = sanbook.data.load("mitdb", data="real", directory=copied).card
    assert (card.source, card.data_source, card.origin) == ("real", "real", "copy")
    assert card.note == (
        "Record 100, channel MLII, is the paper's. 100.hea and 100.dat: a known copy, made here."
    )


@pytest.mark.parametrize("data", ["auto", "real"])
@pytest.mark.parametrize("file", ["100.hea", "100.dat"])
def test_a_changed_file_is_an_error_that_names_it(copied, file, data):
    path = mitdb(copied) / file
    path.write_bytes(path.read_bytes() + b"# one line more\n")
    with pytest.raises(
        ValueError, match=r"either; move the files of record 100 away .* fetch it"
    ) as caught:
        sanbook.data.load("mitdb", data, copied)
    official = MANIFEST["mitdb"].official[file].sha256
    words = f"{path}: its sha256 is {sha256(path.read_bytes())}, the official one {official}"
    assert str(caught.value).startswith(words)


def test_a_copy_with_the_official_signal_is_an_error(copied):
    """The header of a conversion makes nonsense of the official signal file."""
    path = mitdb(copied) / "100.dat"
    path.write_bytes((copied / "official" / "100.dat").read_bytes())
    with pytest.raises(ValueError, match=r"does not belong to the known copy 100\.hea"):
        sanbook.data.load("mitdb", directory=copied)


# Download


def test_download_takes_the_whole_record_and_nothing_else(tmp_path, online, offline):
    online.add(write(tmp_path / "server", channels=("MLII", "V5")).parent)
    online.add(write(tmp_path / "server", record="101").parent)
    card = sanbook.data.load("mitdb", directory=tmp_path).card
    assert (card.source, card.origin) == ("real", "official")
    assert sanbook.data.load("mitdb", directory=tmp_path).card == card  # nobody is asked again
    assert sorted(file.name for file in mitdb(tmp_path).iterdir()) == [
        "100.dat",
        "100.hea",
        "SHA256SUMS.txt",
    ]
    assert [path.split("/")[-1] for path in online.asked] == [
        "SHA256SUMS.txt",
        "100.hea",
        "100.dat",
    ]
    assert offline == []


def test_other_bytes_than_listed_are_refused(tmp_path, online):
    online.add(write(tmp_path / "server").parent)
    expected = sha256(online.files["mitdb/1.0.0/100.dat"])
    online.files["mitdb/1.0.0/100.dat"] = b"other"
    card = sanbook.data.load("mitdb", directory=tmp_path).card
    assert card.source == "simulated"
    assert "100.dat: http://127.0.0.1" in card.note
    assert f"expected {expected} but got {sha256(b'other')}" in card.note
    assert {file.name for file in mitdb(tmp_path).iterdir()} == {"SHA256SUMS.txt", "100.hea"}


@pytest.mark.parametrize("absent", ["100.dat", "100.hea"])
@pytest.mark.parametrize("data", ["auto", "real"])
def test_half_a_record_is_none_and_is_fetched(tmp_path, online, absent, data):
    online.add(write(tmp_path / "server").parent)
    write(mitdb(tmp_path))
    (mitdb(tmp_path) / absent).unlink()
    online.faults[f"mitdb/1.0.0/{absent}"] = [404]
    assert "404" in sanbook.data.load("mitdb", directory=tmp_path).card.note
    card = sanbook.data.load("mitdb", data, tmp_path).card
    assert (card.source, card.origin) == ("real", "official")
    asked = [path.split("/")[-1] for path in online.asked]
    assert asked == ["SHA256SUMS.txt", absent, absent]


@pytest.mark.parametrize("name", ["../100.dat", "/tmp/100.dat", "~100.dat"])
def test_header_cannot_name_a_file_outside_its_folder(tmp_path, online, name):
    header = write(tmp_path / "server")
    header.write_text(header.read_text().replace("100.dat", name))
    online.add(header.parent)
    with pytest.raises(
        ValueError, match=r"100\.hea: .*(not a plain file name|does not describe a WFDB signal)"
    ):
        sanbook.data.load("mitdb", directory=tmp_path)
    assert {path.split("/")[-1] for path in online.asked} == {"SHA256SUMS.txt", "100.hea"}
    assert [path.name for path in tmp_path.rglob("100.*") if "server" not in str(path)] == [
        "100.hea"
    ]


# Placeholder data


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", sanbook.data.DATABASES)
def test_placeholder_data(name, tmp_path, offline):
    source = MANIFEST[name]
    write(tmp_path / source.folder, record=source.record)
    once, twice = (sanbook.data.load(name, data="sample", directory=tmp_path) for _ in range(2))
    for part, count in (("train", 6), ("validation", 2), ("test", 4)):
        tensor = getattr(once, part)
        assert tensor.shape == (count, 1000)
        assert tensor.dtype == torch.float32
        assert tensor.isfinite().all()
        assert torch.equal(tensor, getattr(twice, part))
    card = once.card
    assert card == twice.card
    how = f"{source.simulator} by neurokit2 {neurokit2.__version__}"
    assert (card.data_source, card.seed) == (f"simulated: {how}", source.seed)
    assert card.note == (
        f"Simulated data in place of the paper's record {source.record}: {how}, "
        'because data="sample" asks for it.'
    )
    assert (card.record, card.channel, card.sha256) == (None, None, {})
    assert offline == []


def test_placeholder_data_differ_between_databases():
    sets = [sanbook.data.load(name, data="sample") for name in sanbook.data.DATABASES]
    assert len({one.train.numpy().tobytes() for one in sets}) == len(sets)


def test_a_database_is_added_in_the_manifest_alone(tmp_path, monkeypatch):
    """Wherever it stands, the placeholder data of the others stay."""
    before = sanbook.data.load("mitdb", data="sample").train
    text = Path(sanbook.data.manifest.__file__).with_name("manifest.toml").read_text("utf-8")
    facts = "title signal folder source version download licence recorded_by citation units why"
    added = "".join(f'{fact} = "x"\n' for fact in facts.split())
    added += 'record = "r"\nsimulator = "PPG"\nsampling_rate = 100\nseed = 1922\nfiles = []\n'
    path = tmp_path / "manifest.toml"
    path.write_text(text.replace("[apnea-ecg]", f"[new]\n{added}\n[apnea-ecg]"), "utf-8")
    new = sanbook.data.manifest.read_manifest(path)["new"]
    monkeypatch.setitem(MANIFEST, "new", new)
    assert sanbook.data.load("new", data="sample").card.data_source.startswith("simulated: PPG")
    assert torch.equal(sanbook.data.load("mitdb", data="sample").train, before)


def test_placeholder_data_leave_the_global_random_states_alone():
    def states():
        return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()

    before = states()
    for name in sanbook.data.NAMES:
        sanbook.data.load(name, data="sample")
    assert states() == before


# The command line


def table(capsys):
    """The rows of the printed table, without its head."""
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "data set"
    return lines


def test_main_lists_what_is_used(tmp_path, no_hashes, capsys):
    write(mitdb(tmp_path))
    assert main(["--directory", str(tmp_path), "mitdb", "prcp"]) == 0
    first, second = table(capsys)
    assert first.split()[:3] == ["mitdb", "unverified", "unverified"]
    assert "Record 100, channel MLII, is the paper's by its name." in first
    assert second.split()[:3] == ["prcp", "simulated", "-"]
    assert "put 12726.hea, the signal file that it names and SHA256SUMS.txt into" in second


def test_main_defaults_to_all(capsys):
    assert main(["--data", "sample"]) == 0
    lines = table(capsys)
    assert [line.split()[0] for line in lines] == list(sanbook.data.NAMES)
    assert all(
        line.split("  ")[-1].endswith('because data="sample" asks for it.') for line in lines
    )


def test_main_fails_when_real_is_missing_and_goes_on(tmp_path, publish, capsys):
    publish(write(mitdb(tmp_path)))
    assert main(["--data", "real", "--directory", str(tmp_path), "prcp", "mitdb"]) == 1
    first, second = table(capsys)
    assert first.split()[:2] == ["prcp", "error"]
    assert "12726.hea" in first
    assert second.split()[:2] == ["mitdb", "real"]


# The recordings themselves


@needs("physionet/mitdb")
@pytest.mark.parametrize(
    ("name", "source", "rate", "origin"),
    [
        ("mitdb", "real", 360, "copy"),
        ("apnea-ecg", "real", 100, "copy"),
        ("prcp", "real", 250, "copy"),
        ("cebsdb", "substitute: b001 I", 5000, "substitute"),
        ("slpdb", "substitute: slp41 ECG", 250, "substitute"),
        ("sufhsdb", "substitute: f1 PCG", 16_000, "substitute"),
        ("bidmc", "real", 125, "copy"),
        ("drivedb", "real", 15.5, "copy"),
        ("voiced", "real", 8000, "official"),
    ],
)
def test_recordings_with_their_source(name, source, rate, origin):
    if not (REAL / "physionet" / name).is_dir():
        pytest.skip(f"needs physionet/{name} in SAN_DATA")
    result = sanbook.data.load(name, directory=REAL)
    if source.startswith("substitute") and result.card.source == "real":
        pytest.skip(f"SAN_DATA has the paper's record of {name}, not a substitute")
    assert (result.card.data_source, result.card.sampling_rate) == (source, rate)
    assert result.card.origin in (origin, "official")
    assert torch.allclose(result.train.std(1), torch.ones(6), atol=1e-5)
