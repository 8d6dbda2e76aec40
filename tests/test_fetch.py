"""Tests of sanbook.fetch: what goes wrong with downloads and files, on a server on this machine.

Each fault is checked for three things: what the user is told, that nothing wrong is accepted, and
that nothing is lost.
"""

import dataclasses
import errno
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest
import requests
from conftest import known, sha256

import sanbook.data
import sanbook.fetch

REAL = Path(os.environ.get("SAN_DATA") or "no such folder")
needs_data = pytest.mark.skipif(
    not (REAL / "physionet").is_dir(), reason="needs recordings: set SAN_DATA to their folder"
)
CONTENT = bytes(range(256)) * 1000  # no two neighbouring parts are equal
COMPLAINT = functools.partial(sanbook.fetch.mismatch, sha256=sha256(CONTENT), size=len(CONTENT))


@pytest.fixture
def target(tmp_path, server):
    """Where a file is to be downloaded; the server has it."""
    server.files["100.dat"] = CONTENT
    return tmp_path / "data" / "100.dat"


def fetch(server, target, **options):
    options = {"size": len(CONTENT)} | options
    return sanbook.fetch.fetch(server.url + "100.dat", target, COMPLAINT, **options)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def check_whole(target):
    """The file is there, right, and nothing else is."""
    assert target.read_bytes() == CONTENT
    assert names(target.parent) == [target.name]


def check_refused(server, target, *words, left=()):
    """It fails with a message that says what to do; the file is not there, `left` are."""
    with pytest.raises(sanbook.fetch.FetchError) as caught:
        fetch(server, target)
    message = str(caught.value)
    for part in ("100.dat", "expected ", "got", "run `make data` again", *words):
        assert part in message
    assert "\n" not in message
    assert not target.exists()
    assert names(target.parent) == sorted(left)
    return message


# A download


def test_download(server, target):
    assert fetch(server, target) is True
    check_whole(target)
    assert fetch(server, target) is False  # it is there: nobody is asked
    assert server.asked == [("100.dat", 0)]


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_empty_part_is_no_file(server, target, size):
    target.parent.mkdir()
    (target.parent / ".part-100.dat").touch()
    assert fetch(server, target, size=size)
    check_whole(target)


def test_whole_part_needs_no_server(server, target):
    target.parent.mkdir()
    (target.parent / ".part-100.dat").write_bytes(CONTENT)
    assert fetch(server, target)
    check_whole(target)
    assert server.asked == []


def test_a_file_that_is_there_is_never_written_over(server, target):
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(
        sanbook.fetch.FetchError, match=r"expected 256000 bytes, got 4; move it away"
    ):
        fetch(server, target)
    assert target.read_bytes() == b"mine"
    assert names(target.parent) == ["100.dat"]
    assert server.asked == []


def test_before_placing_decides(server, target):
    def refuse(path):
        assert path.read_bytes() == CONTENT
        assert not target.exists()
        raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"):
        fetch(server, target, before_placing=refuse)
    assert names(target.parent) == [".part-100.dat"]
    assert fetch(server, target, before_placing=lambda path: None)
    check_whole(target)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "/a", "a/b", "a\\b", ".a", "-a", "~a", "a\0", "a\n", "a b"]
)
def test_only_plain_names(name):
    with pytest.raises(ValueError, match=r"^100\.hea: expected plain file names, got .*do not use"):
        sanbook.fetch.plain_name(name, "100.hea")


def test_no_more_than_four_at_once(server, target, monkeypatch):
    now, most = [], []
    transfer = sanbook.fetch._transfer

    def counted(*arguments):
        now.append(1)
        most.append(len(now))
        time.sleep(0.02)
        transfer(*arguments)
        now.pop()

    monkeypatch.setattr(sanbook.fetch, "_transfer", counted)
    folder = target.parent
    threads = [
        threading.Thread(target=fetch, args=(server, folder / f"{i}.dat")) for i in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(folder)) == 12
    assert max(most) == 4


# What goes wrong on the way


def test_connection_refused(server, target):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server.url = f"http://127.0.0.1:{port}/"
    check_refused(
        server,
        target,
        f"100.dat: expected 256000 bytes of {server.url}100.dat, got ConnectionRefusedError: ",
        "Connection refused in 3 tries; check the connection",
        left=[".part-100.dat"],
    )


def test_unreachable_server_is_asked_once(server):
    server.end()
    for file in ("a", "b"):
        with pytest.raises(ConnectionError, match=r"127.*cannot be reached \(ConnectionError\)"):
            sanbook.fetch.check_reachable(server.url + file)
    assert sanbook.fetch._unreachable.cache_info().misses == 1


@pytest.mark.parametrize("fault", ["hang", "hang in body"])
def test_hang(server, target, fault):
    server.faults["100.dat"] = [fault] * 3
    started = time.monotonic()
    message = check_refused(server, target, "timed out", "in 3 tries", left=[".part-100.dat"])
    assert time.monotonic() - started < 5
    kept = (target.parent / ".part-100.dat").stat().st_size
    assert (f"; {kept} bytes are kept to continue with" in message) == (kept > 0)
    assert (kept > 0) == (fault == "hang in body")
    assert fetch(server, target)
    check_whole(target)


def test_not_found_is_not_asked_again(server, target):
    del server.files["100.dat"]
    with pytest.raises(sanbook.fetch.FetchError) as caught:
        fetch(server, target)
    assert str(caught.value).startswith(
        f"100.dat: expected {server.url}100.dat, got 404 Client Error: Not Found"
    )
    assert "try again later or fetch it by hand" in str(caught.value)
    assert not target.exists()
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_server_error_then_success(server, target, status):
    server.faults["100.dat"] = [status, status]
    assert fetch(server, target)
    check_whole(target)
    assert len(server.asked) == 3


def test_server_error_to_the_end(server, target):
    server.faults["100.dat"] = [500] * 3
    check_refused(server, target, "500 Internal Server Error in 3", left=[".part-100.dat"])
    assert len(server.asked) == 3


def test_pauses_double(server, target, monkeypatch):
    pauses = []
    # Of this module only: other libraries' threads sleep too.
    clock = types.SimpleNamespace(sleep=pauses.append, monotonic=time.monotonic)
    monkeypatch.setattr(sanbook.fetch, "time", clock)
    monkeypatch.setattr(sanbook.fetch, "PATIENCE", sanbook.fetch.Patience(tries=4, pause=1))
    server.faults["100.dat"] = [500] * 3
    assert fetch(server, target)
    assert pauses == [1, 2, 4]


@pytest.mark.parametrize("fault", ["cut off", "no length"])
def test_truncated_body_is_continued(server, target, fault):
    server.faults["100.dat"] = [fault, "cut off"]
    assert fetch(server, target)
    check_whole(target)
    assert server.asked == [("100.dat", 0), ("100.dat", 128_000), ("100.dat", 192_000)]


def test_truncated_body_is_never_a_whole_file(server, target):
    server.faults["100.dat"] = ["cut off"] * 3
    check_refused(server, target, "in 3 tries; 224000 bytes are kept", left=[".part-100.dat"])
    assert (target.parent / ".part-100.dat").read_bytes() == CONTENT[:224_000]
    assert fetch(server, target)
    check_whole(target)
    assert server.asked[-1] == ("100.dat", 224_000)


def test_server_without_ranges_begins_anew(server, target):
    server.faults["100.dat"] = ["cut off", "no ranges"]
    assert fetch(server, target)
    check_whole(target)


def test_part_that_is_too_long_begins_anew(server, target):
    target.parent.mkdir()
    (target.parent / ".part-100.dat").write_bytes(CONTENT + b"more")
    assert fetch(server, target)
    check_whole(target)


def test_other_size_is_set_aside(server, target):
    server.files["100.dat"] = CONTENT[:-1]
    words = "100.dat: expected 256000 bytes, got 255999, from"
    check_refused(server, target, words, left=["100.dat.corrupt-1"])
    assert len(server.asked) == 1  # it is not a broken connection


def test_wrong_bytes_with_the_right_size_are_set_aside(server, target):
    wrong = CONTENT[:1000] + b"\xff" + CONTENT[1001:]
    server.files["100.dat"] = wrong
    folder = target.parent
    first = folder / "100.dat.corrupt-1"
    check_refused(
        server,
        target,
        f"100.dat: expected sha256 {sha256(CONTENT)}, got {sha256(wrong)}, from {server.url}",
        f"what came is kept as {first}; run `make data` again",
        left=[first.name],
    )
    assert first.read_bytes() == wrong
    # Again: nothing is written over.
    check_refused(server, target, "100.dat.corrupt-2", left=[first.name, "100.dat.corrupt-2"])
    server.files["100.dat"] = CONTENT
    assert fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert names(folder) == ["100.dat", "100.dat.corrupt-1", "100.dat.corrupt-2"]


def test_another_part_does_not_spoil_the_file(server, target):
    """A part of something else gives wrong bytes once, which are set aside."""
    target.parent.mkdir()
    (target.parent / ".part-100.dat").write_bytes(b"something else")
    check_refused(server, target, "kept as", left=["100.dat.corrupt-1"])
    assert fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_full_disk(server, target, monkeypatch):
    write = sanbook.fetch._write

    def full(file, chunk):
        if os.fstat(file.fileno()).st_size > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(file, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(sanbook.fetch, "_write", full)
        words = f"{target}: expected to write it, got: No space left on device; make room"
        check_refused(server, target, words, left=[".part-100.dat"])
    kept = (target.parent / ".part-100.dat").stat().st_size
    assert kept > 100_000
    assert fetch(server, target)
    check_whole(target)
    assert server.asked == [("100.dat", 0), ("100.dat", kept)]


def test_full_disk_that_writes_a_part():
    """The system may write less than it was given before it says that the disk is full."""

    class Full:
        written = b""

        def write(self, view):
            if len(self.written) > 5:
                raise OSError(errno.ENOSPC, "full")
            self.written += bytes(view[:2])
            return 2

    file = Full()
    with pytest.raises(OSError, match="full"):
        sanbook.fetch._write(file, b"0123456789")
    assert file.written == b"012345"


def test_read_only_folder(server, target):
    target.parent.mkdir()
    target.parent.chmod(0o500)
    try:
        if os.access(target.parent, os.W_OK):
            pytest.skip("this user (root) may write into read-only folders: see the next test")
        check_refused(server, target, f"{target}: expected to write it, got: Permission denied")
    finally:
        target.parent.chmod(0o700)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_read_only_folder_simulated(server, target, monkeypatch, code):
    target.parent.mkdir()
    opened = Path.open

    def refuse(path, mode="r", *arguments, **options):
        if "r" not in mode:
            raise OSError(code, os.strerror(code), str(path))
        return opened(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    words = f"{target}: expected to write it, got: {os.strerror(code)}; make room or get the perm"
    check_refused(server, target, words, "point SAN_DATA to another folder")
    assert server.asked == []


def test_folder_that_is_a_file(server, target):
    target.parent.write_text("a file")
    with pytest.raises(sanbook.fetch.FetchError, match="expected to write it, got: "):
        fetch(server, target)
    assert target.parent.read_text() == "a file"


# Several at once


def test_two_threads_download_one_file(server, target):
    server.faults["100.dat"] = ["slow"]
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch(server, target))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, True]
    check_whole(target)
    assert len(server.asked) == 1


def test_lock_of_a_part_that_was_moved_is_none(tmp_path, monkeypatch):
    """Between opening and locking a part, the one who had it may give it its name."""
    part = tmp_path / ".part-100.dat"
    tries = []

    def locked(file):
        tries.append(file)
        if len(tries) == 1:
            part.rename(tmp_path / "100.dat")
        return True

    monkeypatch.setattr(sanbook.fetch, "_locked", locked)
    with sanbook.fetch._alone(part) as file:
        file.write(b"another")
    assert len(tries) == 2
    assert part.read_bytes() == b"another"
    assert (tmp_path / "100.dat").read_bytes() == b""


def test_waiting_for_another_has_an_end(server, target, monkeypatch):
    monkeypatch.setattr(sanbook.fetch, "PATIENCE", sanbook.fetch.Patience(others=0.1))
    target.parent.mkdir()
    with sanbook.fetch._alone(target.parent / ".part-100.dat"):
        words = "the other process that downloads it to finish within 0.1 s"
        check_refused(server, target, words, left=[".part-100.dat"])


def start(server, target):
    """Download in another process; its end is 0 if the file is there then."""
    code = (
        "import sys, pathlib, functools, sanbook.fetch\n"
        "url, target, sha256 = sys.argv[1:]\n"
        "complaint = functools.partial(sanbook.fetch.mismatch, sha256=sha256)\n"
        "sanbook.fetch.fetch(url, pathlib.Path(target), complaint)\n"
    )
    arguments = [server.url + "100.dat", str(target), sha256(CONTENT)]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=Path(__file__).parent.parent
    )


def test_two_processes_download_one_file(server, target):
    server.faults["100.dat"] = ["slow"]
    processes = [start(server, target) for _ in range(2)]
    assert [process.wait(20) for process in processes] == [0, 0]
    check_whole(target)
    assert len(server.asked) == 1


def test_killed_in_the_middle_and_again(server, target):
    server.faults["100.dat"] = ["slow"]
    process = start(server, target)
    part = target.parent / ".part-100.dat"
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size > 20_000):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait(20) == -signal.SIGKILL
    assert names(target.parent) == [".part-100.dat"]
    kept = part.stat().st_size
    assert 20_000 < kept < len(CONTENT)
    assert fetch(server, target)  # the lock of the killed process is no more
    check_whole(target)
    assert server.asked == [("100.dat", 0), ("100.dat", kept)]


# SAN_DATA


def test_san_data_pointing_nowhere(tmp_path, monkeypatch, capsys):
    nowhere = tmp_path / "nowhere"
    monkeypatch.setenv("SAN_DATA", str(nowhere))
    assert sanbook.fetch.main([]) == 1
    assert capsys.readouterr().out == (
        f"expected a folder of data, got {nowhere}, which is none; set SAN_DATA to yours\n"
    )
    with pytest.raises(FileNotFoundError, match=re.escape(str(nowhere / "physionet" / "mitdb"))):
        sanbook.data.load("mitdb", data="real")
    assert sanbook.data.load("uci-epilepsy").card.source == "simulated"
    assert not nowhere.exists()


def test_san_data_that_is_a_file(tmp_path, server, change_source):
    change_source("mitdb", download=server.url)
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match=r"mitdb: .*expected to write it, got"):
        sanbook.data.load("mitdb", data="real", directory=tmp_path / "file")


# Verification


OFFICIAL, COPY = b"official", b"a copy"
FILES = {"100.hea": b"header", "100.dat": OFFICIAL}


@pytest.fixture
def only(monkeypatch, tmp_path):
    """A manifest of mitdb alone: two official files, a copy of 100.dat; the folder to put them."""
    copy = sanbook.fetch.KnownFile("100.dat", "copy", len(COPY), sha256(COPY), "made so", True)
    source = dataclasses.replace(sanbook.fetch.MANIFEST["mitdb"], files=(*known(FILES), copy))
    monkeypatch.setattr(sanbook.fetch, "MANIFEST", {"mitdb": source})
    folder = tmp_path / "physionet" / "mitdb"
    folder.mkdir(parents=True)
    return folder


def check(folder, capsys, *words):
    """Run the check; returns its exit status and the state of each file."""
    status = sanbook.fetch.main(["--directory", str(folder.parent.parent)])
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
    for name in ("101.dat", ".part-100.dat", "100.dat.corrupt-1"):
        (only / name).write_bytes(b"something")
    (only / "SHA256SUMS.txt").write_text(f"{sha256(OFFICIAL)} 100.dat\n")
    status, states = check(only, capsys)
    assert status == 0
    assert states == {
        "101.dat": "unknown",
        ".part-100.dat": "unfinished",
        "100.dat.corrupt-1": "set",
        "SHA256SUMS.txt": "list",
        "100.hea": "absent",
        "100.dat": "absent",
    }


def test_check_names_a_wrong_file(only, capsys):
    (only / "100.hea").write_bytes(b"header")
    (only / "100.dat").write_bytes(b"0fficial")
    words = f"expected sha256 {sha256(OFFICIAL)}, got {sha256(b'0fficial')}, which is no known copy"
    status, states = check(only, capsys, f"{only / '100.dat'}: {words}", "1 files verified, 1 not")
    assert (status, states["100.dat"], states["100.hea"]) == (1, "wrong", "official")
    assert (only / "100.dat").read_bytes() == b"0fficial"


def test_check_with_the_list_of_physionet(only, capsys, change_source):
    """Where the manifest has no official hash, the list beside the file has it."""
    unknown = tuple(sanbook.fetch.KnownFile(name, "official") for name in FILES)
    change_source("mitdb", files=unknown)
    for name, content in FILES.items():
        (only / name).write_bytes(content)
    status, states = check(only, capsys, "expected a hash that is known", "put the official")
    assert (status, set(states.values())) == (1, {"unverified"})
    lines = [f"{sha256(content)} {name}\n" for name, content in FILES.items()]
    (only / "SHA256SUMS.txt").write_text("".join(lines))
    status, states = check(only, capsys, "as in SHA256SUMS.txt")
    assert (status, states["100.hea"], states["100.dat"]) == (0, "official", "official")
    (only / "100.dat").write_bytes(b"0fficial")
    status, states = check(only, capsys, str(only / "100.dat"))
    assert (status, states["100.hea"], states["100.dat"]) == (1, "official", "wrong")


def test_check_of_a_list_that_is_none(only, change_source, capsys):
    change_source("mitdb", files=(sanbook.fetch.KnownFile("100.dat", "official"),))
    (only / "100.dat").write_bytes(OFFICIAL)
    (only / "SHA256SUMS.txt").write_text("<html>")
    words = f"{only / 'SHA256SUMS.txt'}: expected lines of a sha256 and a file name, got '<html>'"
    assert check(only, capsys, words, "0 files verified, 1 not")[0] == 1


def test_check_asks_nobody(only, capsys, offline):
    check(only, capsys)
    assert offline == []


# The manifest


def test_manifest_is_complete():
    names = [*sanbook.data.DATABASES, "uci-epilepsy", "mnist", "fashion-mnist"]
    assert list(sanbook.fetch.MANIFEST) == names
    for name, source in sanbook.fetch.MANIFEST.items():
        for fact in ("title", "signal", "source", "version", "licence", "citation", "units", "why"):
            assert getattr(source, fact), (name, fact)
        assert re.fullmatch(r"https?://\S+/", source.download)
        assert (f"{source.record}.hea" in source.official) == bool(source.record)
        for file in source.files:
            assert sanbook.fetch.plain_name(file.name, name) == file.name
            assert file.bytes in ("official", "copy", "substitute")
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert bool(file.how) == (file.bytes != "official")
            assert file.bytes == "official" or file.sha256
            assert file.bytes == "copy" or not file.interchangeable


def test_databases_are_those_of_the_manifest():
    for name, database in sanbook.data.DATABASES.items():
        source = sanbook.fetch.MANIFEST[name]
        for fact in ("record", "channel", "signal", "sampling_rate", "simulator"):
            assert getattr(database, fact) == getattr(source, fact)
        assert database.simulator in sanbook.data.SIMULATORS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a]\ntitle = 'b'", "a: expected the keys of Source, got 'files'"),
        ("[a]\nfiles = []\ncolour = 'red'", "unexpected keyword argument 'colour'"),
        ("[a]\nfiles = [{name = 'b', md5 = 'c'}]", "unexpected keyword argument 'md5'"),
    ],
)
def test_manifest_that_is_wrong(tmp_path, text, words):
    path = tmp_path / "manifest.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        sanbook.fetch.read_manifest(path)


# The data themselves


@needs_data
def test_all_data_verify(capsys):
    assert sanbook.fetch.main(["--directory", str(REAL)]) == 0
    assert re.search(r"\n\d+ files verified, 0 not, in ", capsys.readouterr().out)


@needs_data
def test_a_changed_bit_of_any_file_is_caught_by_name(tmp_path):
    flipped = 0
    for source in sanbook.fetch.MANIFEST.values():
        folder = tmp_path / source.folder
        folder.mkdir(parents=True)
        for name in {file.name for file in source.files}:
            original = REAL / source.folder / name
            # The training images are large, and not verified in another way than the others.
            if original.is_file() and original.stat().st_size < 10**7:
                shutil.copyfile(original, folder / name)
        assert not any(finding.failed for finding in sanbook.fetch.check(source, tmp_path))
        for path in folder.iterdir():
            content = path.read_bytes()
            middle = len(content) // 2
            changed = bytes([content[middle] ^ 1])
            path.write_bytes(content[:middle] + changed + content[middle + 1 :])
            failed = [found.path for found in sanbook.fetch.check(source, tmp_path) if found.failed]
            assert path in failed
            path.write_bytes(content)
            flipped += 1
    assert flipped > 20


def test_requests_of_tests_stay_on_this_machine():
    with pytest.raises(requests.ConnectionError, match="no network in tests"):
        requests.get("https://physionet.org", timeout=1)
