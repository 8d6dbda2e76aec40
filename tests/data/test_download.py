"""Tests of downloads, verification and the manifest, with a local server.

Each fault is checked for three things: what the user is told, that nothing wrong is accepted, and
that nothing is left behind.
"""

import builtins
import dataclasses
import errno
import gzip
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pooch
import pytest
from conftest import REAL, known, needs, sha256

import sanbook.data
import sanbook.data.__main__
import sanbook.data.download
import sanbook.data.manifest
import sanbook.data.physionet
import sanbook.data.verify
from sanbook.data.__main__ import main
from sanbook.data.manifest import MANIFEST, KnownFile

ROOT = Path(__file__).parent.parent.parent
needs_data = needs("physionet")
CONTENT = bytes(range(256)) * 1000  # no two neighbouring parts are equal
PACKED = gzip.compress(CONTENT, compresslevel=0)  # about as long, so that it too can be slow
HASHES = {"100.dat": sha256(CONTENT), "100.dat.gz": f"md5:{hashlib.md5(PACKED).hexdigest()}"}


@pytest.fixture
def target(tmp_path, server):
    """Where a file is to be downloaded; the server has it, also packed."""
    server.files |= {"100.dat": CONTENT, "100.dat.gz": PACKED}
    return tmp_path / "a folder of data" / "100.dat"


@pytest.fixture(params=HASHES)
def served(request):
    """The name of the file at the server."""
    return request.param


def download(server, target, served="100.dat"):
    processor = pooch.Decompress("gzip") if served.endswith(".gz") else None
    sanbook.data.download.download(server.url + served, target, HASHES[served], processor)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def check_whole(target):
    """The file is there, right, and nothing else is."""
    assert target.read_bytes() == CONTENT
    assert names(target.parent) == [target.name]


def check_refused(server, target, served, *words):
    """It fails with a sentence that says why, and nothing is there."""
    with pytest.raises(sanbook.data.download.FetchError) as caught:
        download(server, target, served)
    message = str(caught.value)
    for part in words:
        assert part in message
    assert "\n" not in message
    assert ". " not in message
    assert not target.parent.exists() or names(target.parent) == []


# A download


def test_download(server, target, served):
    download(server, target, served)
    check_whole(target)
    assert server.asked == [served]
    assert target.stat().st_mode & 0o777 == 0o644  # a folder of data is shared


def test_progress_is_shown_in_a_terminal_only(server, target, capsys, monkeypatch):
    download(server, target)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    download(server, target)
    assert "100%" in capsys.readouterr().err


# What goes wrong on the way


def test_server_that_ends_is_noticed(server, target, served):
    download(server, target, served)
    target.unlink()
    server.end()
    check_refused(server, target, served, f"100.dat: {server.url}{served} gives ", "refused")


def test_silent_server_is_asked_once_for_a_limited_time(server, target):
    server.silent = True
    started = time.monotonic()
    for _ in range(2):
        check_refused(server, target, "100.dat", server.url[:-1], "cannot be reached")
    assert time.monotonic() - started < 1.5 * sanbook.data.download.ANSWER
    assert (server.heads, server.asked) == (1, [])


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("hang", ["gives ", "timed out"]),
        ("hang in body", ["gives ", "timed out"]),
        (404, ["gives 404 "]),
        (503, ["gives 503 "]),
        ("cut off", ["gives ", "IncompleteRead", "more expected"]),
        ("no length", ["does not verify", "does not match the known hash"]),
    ],
)
def test_fault_of_a_server_is_told_and_asked_again_all_is_well(
    server, target, served, fault, words
):
    server.faults[served] = [fault]
    started = time.monotonic()
    check_refused(server, target, served, f"100.dat: {server.url}{served} ", *words)
    assert time.monotonic() - started < 5
    assert server.asked == [served]
    download(server, target, served)
    check_whole(target)


@pytest.mark.parametrize("change", [
    lambda content: content[:-1],
    lambda content: content[:1000] + b"\xfe" + content[1001:],  # of the right size
    lambda content: b"<html>",
    lambda content: gzip.compress(bytes(10**7)),
], ids=["shorter", "one byte", "a page", "another archive"])  # fmt: skip
def test_wrong_bytes(server, target, served, change):
    wrong = server.files[served] = change(server.files[served])
    algorithm, _, expected = HASHES[served].rpartition(":")
    got = hashlib.new(algorithm or "sha256", wrong).hexdigest()
    check_refused(server, target, served, f"100.dat: {server.url}{served}", expected, got)
    assert server.asked == [served]


@pytest.mark.parametrize(("served", "end"), [
    ("100.dat", ""), ("100.dat.gz", ""), ("100.dat.gz", ".decomp"),
])  # fmt: skip
def test_full_disk(server, target, monkeypatch, served, end):
    opened, full = builtins.open, []  # the device is a disk without space

    def fill(path, mode="r", *arguments, **options):
        if "w" in mode and str(path).endswith(end) and str(target.parent) in str(path):
            full.append(opened(path, "wb").write(b"in part"))
            return opened("/dev/full", "wb")
        return opened(path, mode, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", fill)
        words = f"{target}: cannot be written: No space left on device"
        check_refused(server, target, served, words)
    assert full
    download(server, target, served)
    check_whole(target)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_read_only_folder(server, target, monkeypatch, code):
    def refuse(path, *arguments, **options):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(os, "mkdir", refuse)
    words = f"{target}: cannot be written: {os.strerror(code)}"
    check_refused(server, target, "100.dat", words)
    assert server.asked == []


# Several at once


PROCESS = """
import os, pathlib, pooch, shutil, signal, sys, sanbook.data.download

url, target, known_hash, killed = sys.argv[1:]
copy = shutil.copyfileobj


def copy_half(source, target):
    target.write(source.read(100_000))
    target.flush()
    os.kill(os.getpid(), signal.SIGKILL)


if killed:
    shutil.copyfileobj = copy_half
processor = pooch.Decompress("gzip") if url.endswith(".gz") else None
sanbook.data.download.download(url, pathlib.Path(target), known_hash, processor)
"""


def start(server, target, served, killed_while_unpacking=False):
    """Download in another process; its end is 0 if the file is there then."""
    arguments = [server.url + served, str(target), HASHES[served], "x" * killed_while_unpacking]
    return subprocess.Popen([sys.executable, "-c", PROCESS, *arguments], cwd=ROOT)


def test_two_processes_download_one_file(server, target, served):
    server.faults[served] = ["slow", "slow"]
    processes = [start(server, target, served) for _ in range(2)]
    deadline = time.monotonic() + 30
    while None in [process.poll() for process in processes]:
        if target.exists():  # never in part
            assert target.stat().st_size == len(CONTENT)
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert [process.returncode for process in processes] == [0, 0]
    check_whole(target)


def test_killed_while_unpacking_and_again(server, target):
    process = start(server, target, "100.dat.gz", killed_while_unpacking=True)
    assert process.wait(20) == -signal.SIGKILL
    (aside,) = target.parent.iterdir()
    assert aside.name.startswith(".download-")
    assert any(file.stat().st_size for file in aside.iterdir())
    download(server, target, "100.dat.gz")
    assert target.read_bytes() == CONTENT


# Files of a data set


@pytest.fixture
def mitdb(server, tmp_path, change_source):
    """A source of two official files, the hash of the second is unknown; the folder for them."""
    files = {"100.hea": b"header", "100.dat": CONTENT}
    header, data = known(files)
    source = change_source(
        "mitdb", download=server.url, files=(header, dataclasses.replace(data, sha256=None))
    )
    server.files |= files | {"SHA256SUMS.txt": f"{sha256(CONTENT)} 100.dat\n".encode()}
    return source, tmp_path


@pytest.mark.parametrize(("content", "words"), [
    (b"<html>", "does not verify: line 1 is no sha256 and file name, but '<html>'"),
    (b"", "does not verify: holds no line of a sha256 and a file name"),
    (b"0" * 64 + b" 102.hea", "SHA256SUMS.txt holds no hash to verify it by"),
])  # fmt: skip
def test_without_a_hash_nothing_is_accepted(mitdb, server, content, words):
    source, folder = mitdb
    server.files["SHA256SUMS.txt"] = content
    with pytest.raises(sanbook.data.download.FetchError, match=re.escape(words)):
        sanbook.data.download.obtain(source, folder, "100.dat")
    assert "100.dat" not in server.asked
    assert names(folder) == ([] if "does not verify" in words else ["SHA256SUMS.txt"])


# SAN_DATA


def checkout(folder):
    """A folder that looks like one of the project, seen from its package."""
    (folder / "sanbook").mkdir(parents=True)
    (folder / "notebooks").mkdir()
    (folder / "pyproject.toml").touch()
    return folder


@pytest.mark.parametrize("value", ["", "data", "my data"])
def test_relative_folder_starts_at_the_checkout(tmp_path, monkeypatch, value):
    root = checkout(tmp_path / "the book")
    monkeypatch.setattr(sanbook.data.manifest, "__file__", str(root / "sanbook/data/manifest.py"))
    monkeypatch.setenv("SAN_DATA", value)
    monkeypatch.chdir(tmp_path)
    assert sanbook.data.manifest.data_folder() == root / (value or "data")
    shutil.rmtree(root / "notebooks")  # such as in site-packages
    assert sanbook.data.manifest.data_folder() == tmp_path / (value or "data")


def test_other_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("~/my data", str(tmp_path / "my data")):
        monkeypatch.setenv("SAN_DATA", value)
        assert sanbook.data.manifest.data_folder() == tmp_path / "my data"
        assert sanbook.data.manifest.data_folder("here") == Path("here")
        assert sanbook.data.manifest.data_folder("~/there") == tmp_path / "there"


def test_san_data_pointing_nowhere(tmp_path, monkeypatch, capsys):
    nowhere = tmp_path / "nowhere"
    monkeypatch.setenv("SAN_DATA", str(nowhere))
    assert main(["--check"]) == 1
    assert capsys.readouterr().out == (
        f"SAN_DATA: {nowhere} is not a folder. Set SAN_DATA to the folder of your data.\n"
    )
    with pytest.raises(FileNotFoundError, match=re.escape(str(nowhere / "physionet" / "mitdb"))):
        sanbook.data.load("mitdb", data="real")
    assert sanbook.data.load("uci-epilepsy").card.source == "simulated"
    assert not nowhere.exists()


# Verification


OFFICIAL, COPY = b"official", b"a copy"
FILES = {"100.hea": b"header", "100.dat": OFFICIAL}


@pytest.fixture
def only(monkeypatch, tmp_path):
    """Two official files of mitdb, and a copy of 100.dat; returns the folder of the files."""
    copy = KnownFile("100.dat", "copy", len(COPY), sha256(COPY), "made so", True)
    source = dataclasses.replace(MANIFEST["mitdb"], files=(*known(FILES), copy))
    monkeypatch.setitem(MANIFEST, "mitdb", source)
    folder = tmp_path / "physionet" / "mitdb"
    folder.mkdir(parents=True)
    return folder


def check(folder, capsys, *words):
    """Run the check; returns its exit status and the state of each file."""
    status = main(["mitdb", "--check", "--directory", str(folder.parent.parent)])
    out = capsys.readouterr().out
    for part in words:
        assert part in out
    rows = [line.split() for line in out.splitlines() if line.startswith("mitdb ")]
    return status, {row[1]: row[2] for row in rows}


def test_check_official_copy_absent(only, capsys):
    assert check(only, capsys) == (0, {"100.hea": "absent", "100.dat": "absent"})
    (only / "100.hea").write_bytes(b"header")
    (only / "100.dat").write_bytes(COPY)
    expected = {"100.hea": "official", "100.dat": "copy"}
    assert check(only, capsys, "made so", "2 files verified, 0 not") == (0, expected)


def test_check_names_what_else_is_there(only, capsys):
    (only / ".download-abc").mkdir()
    (only / "101.dat").write_bytes(b"something")
    (only / "SHA256SUMS.txt").write_text(f"{sha256(OFFICIAL)} 100.dat\n")
    status, states = check(only, capsys)
    assert status == 0
    assert states == {
        "101.dat": "unknown",
        ".download-abc": "unfinished",
        "SHA256SUMS.txt": "list",
        "100.hea": "absent",
        "100.dat": "absent",
    }


def test_check_names_a_wrong_file(only, capsys):
    (only / "100.hea").write_bytes(b"header")
    (only / "100.dat").write_bytes(b"0fficial")
    hashes = f"its sha256 is {sha256(b'0fficial')}, the official one {sha256(OFFICIAL)}"
    words = f"{hashes}, which is no known copy"
    status, states = check(only, capsys, f"{only / '100.dat'}: {words}", "1 files verified, 1 not")
    assert (status, states["100.dat"], states["100.hea"]) == (1, "wrong", "official")
    assert (only / "100.dat").read_bytes() == b"0fficial"


def test_check_with_the_list_of_physionet(only, capsys, change_source):
    """Where the manifest has no official hash, the list beside the file has it."""
    unknown = tuple(KnownFile(name, "official") for name in FILES)
    change_source("mitdb", files=unknown)
    for name, content in FILES.items():
        (only / name).write_bytes(content)
    status, states = check(only, capsys, "is not known. Put the official")
    assert (status, set(states.values())) == (1, {"unverified"})
    lines = [f"{sha256(content)} {name}\n" for name, content in FILES.items()]
    (only / "SHA256SUMS.txt").write_text("".join(lines))
    status, states = check(only, capsys, "as in SHA256SUMS.txt")
    assert (status, states["100.hea"], states["100.dat"]) == (0, "official", "official")
    (only / "100.dat").write_bytes(b"0fficial")
    status, states = check(only, capsys, str(only / "100.dat"))
    assert (status, states["100.hea"], states["100.dat"]) == (1, "official", "wrong")


def test_check_of_a_list_that_is_none(only, change_source, capsys):
    change_source("mitdb", files=(KnownFile("100.dat", "official"),))
    (only / "100.dat").write_bytes(OFFICIAL)
    (only / "SHA256SUMS.txt").write_text("<html>")
    words = f"{only / 'SHA256SUMS.txt'}: line 1 is no sha256 and file name, but '<html>'"
    assert check(only, capsys, words, "0 files verified, 1 not")[0] == 1


# The manifest


def test_manifest_is_complete():
    names = [*sanbook.data.DATABASES, "uci-epilepsy", "mnist", "fashion-mnist"]
    assert list(MANIFEST) == names
    for name, source in MANIFEST.items():
        for fact in ("title", "signal", "source", "version", "licence", "citation", "units", "why"):
            assert getattr(source, fact), (name, fact)
        assert re.fullmatch(r"https?://\S+/", source.download) or source.torchvision
        assert bool(source.record) == (source.simulator in sanbook.data.physionet.SIMULATORS)
        assert (f"{source.record}.hea" in source.official) == bool(source.record)
        for file in source.files:
            assert re.fullmatch(r"[\w-]+(\.\w+)?", file.name)
            assert file.bytes in ("official", "copy", "substitute")
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert bool(file.how) == (file.bytes != "official")
            assert file.bytes == "official" or file.sha256
            assert file.bytes == "copy" or not file.interchangeable


def test_seeds_of_placeholder_data_are_those_of_the_record():
    seeds = [MANIFEST[name].seed for name in sanbook.data.DATABASES]
    assert seeds == list(range(1907, 1922))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a]\ntitle = 'b'", "a: the entry is wrong: 'files'"),
        ("[a]\nfiles = []\ncolour = 'red'", "unexpected keyword argument 'colour'"),
        ("[a]\nfiles = [{name = 'b', md5 = 'c'}]", "unexpected keyword argument 'md5'"),
        ("[a]\nfiles = []", r"missing .* required .*'seed'"),
    ],
)
def test_manifest_that_is_wrong(tmp_path, text, words):
    path = tmp_path / "manifest.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        sanbook.data.manifest.read_manifest(path)


# The data themselves


@needs_data
def test_all_data_verify(capsys):
    assert main(["--check", "--directory", str(REAL)]) == 0
    assert re.search(r"\n\d+ files verified, 0 not, in ", capsys.readouterr().out)
