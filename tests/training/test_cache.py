"""Tests of the cache: what its keys depend on, and that no entry is trusted that is not whole."""

import dataclasses
import functools
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

import san_core
import sanbook.code
import sanbook.data.dataset
from sanbook.methods.fixed import block_dct, dct, own_count
from sanbook.training import PROTOCOLS, cache, encoding, sweep
from sanbook.training.classifiers import CNN, FNN

CALLS, CODE_OF = [], cache.code_of
X = torch.arange(6.0).view(2, 3)


@cache.cached
def double(x, settings=None):
    CALLS.append(x)
    return {"twice": 2 * x, "table": pd.DataFrame({"a": [1.5, float("nan")], "b": ["c", "d"]})}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The cache is on, in a folder of its own; this module counts as one that computes."""
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "cache")
    monkeypatch.setattr(cache, "code_of", lambda module: "code")
    CALLS.clear()
    return tmp_path / "cache"


def calls(*arguments, **options):
    """How often the function is computed by one more call."""
    before = len(CALLS)
    result = double(*arguments, **options)
    assert torch.equal(result["twice"], 2 * arguments[0])
    assert result["table"].equals(pd.DataFrame({"a": [1.5, float("nan")], "b": ["c", "d"]}))
    return len(CALLS) - before


def test_a_result_is_computed_once(folder):
    assert [calls(X), calls(X), calls(X.clone(), settings=None)] == [1, 0, 0]
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    "ingredient",
    [
        {"settings": PROTOCOLS["mnist"]},
        {"settings": dataclasses.replace(PROTOCOLS["mnist"], epochs=1)},
        {"settings": [1]},
        {"settings": (1,)},
        {"settings": "1"},
        {"settings": CNN},
        {"settings": FNN},
        {"settings": own_count(dct)},
        {"settings": own_count(block_dct)},
        {"settings": functools.partial(own_count(dct), scale_paid=True)},
        {"settings": san_core.SAN([3], "relu", init="constant")},
        {"settings": san_core.SAN([3], "extrema", init="constant")},
        {"settings": pd.DataFrame({"a": [1]})},
    ],
)
def test_each_argument_has_its_own_entry(ingredient):
    calls(X)
    assert [calls(X, **ingredient), calls(X, **ingredient)] == [1, 0]
    calls(X, settings=PROTOCOLS["mnist"])
    assert calls(X) == 0


def test_the_key_depends_on_bytes_shape_precision_code_and_libraries(monkeypatch):
    calls(X)
    last_bit = X.clone()
    last_bit[1, 2] = torch.nextafter(last_bit[1, 2], torch.tensor(9.0))
    assert [calls(x) for x in (last_bit, X.view(3, 2), X.double())] == [1, 1, 1]
    monkeypatch.setattr(cache, "code_of", lambda module: "other code")
    assert calls(X) == 1


def test_an_expanded_tensor_is_told_by_what_it_repeats():
    assert calls(X[:1].expand(2, -1)) == 1
    assert calls(X[:1].expand(3, -1)) == 1
    assert calls(X[:1].expand(3, -1)) == 0


def test_code_is_hashed_without_words_but_with_what_it_imports(tmp_path, monkeypatch):
    monkeypatch.setattr(sanbook.code, "ROOT", tmp_path)
    package = tmp_path / "sanbook"
    package.mkdir()

    def code_of(one, other):
        (package / "one.py").write_text(f"from sanbook.other import f\nimport numpy\n{one}")
        (package / "other.py").write_text(other)
        CODE_OF.cache_clear()
        return CODE_OF("sanbook.one")

    first, libraries = code_of("x = f()", "def f():\n    return 1")
    assert libraries.keys() == {"numpy", "python"}
    assert code_of("x = f()  # told", 'def f():\n    """Told."""\n    return 1')[0] == first
    assert code_of("x = f() + 1", "def f():\n    return 1")[0] != first
    assert code_of("x = f()", "def f():\n    return 2")[0] != first
    monkeypatch.setattr(sanbook.code, "version_of", lambda name: "0")
    assert code_of("x = f()", "def f():\n    return 1")[1]["numpy"] == "0"
    CODE_OF.cache_clear()


def test_what_cannot_be_told_apart_is_computed_every_time(folder):
    assert [calls(X, settings=lambda x: x) for _ in range(2)] == [1, 1]
    assert not folder.exists()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda x, shift=1: x + shift, lambda x, shift=2: x + shift),
        (lambda x, *, shift=1: x + shift, lambda x, *, shift=2: x + shift),
        (lambda x: x + 1, lambda x: x + 2),
        (lambda x: x.min(), lambda x: x.max()),
    ],
)
def test_functions_that_differ_in_defaults_constants_or_names_are_told_apart(
    first, second, monkeypatch
):
    monkeypatch.setattr(encoding, "OURS", first.__module__.split("."))
    assert encoding.encode(first, {}) == encoding.encode(first, {})
    assert encoding.encode(first, {}) != encoding.encode(second, {})


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:20], lambda b: b"", "bit"])
def test_a_damaged_entry_is_computed_again(folder, damage):
    calls(X)
    (path,) = folder.iterdir()
    content = path.read_bytes()
    if damage == "bit":
        at = len(content) - 3
        content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    path.write_bytes(content if damage == "bit" else damage(content))
    assert [calls(X), calls(X)] == [1, 0]


def test_an_interrupted_write_leaves_the_entry_as_it_was(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            calls(X)
    assert [calls(X), calls(X)] == [1, 0]


def test_a_full_disk_is_told_and_the_result_returned(monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(UserWarning, match="could not be kept: no space left"):
        assert calls(X) == 1


def test_fresh_computes_again(monkeypatch):
    calls(X)
    monkeypatch.setenv("FRESH", "1")
    assert [calls(X), calls(X)] == [1, 1]
    monkeypatch.setenv("FRESH", "0")
    assert calls(X) == 0


def test_entries_that_were_not_used_for_longest_go_first(folder, monkeypatch):
    for settings in (1, 2, 3):
        calls(X, settings=settings)
    old = dict(zip(sorted(folder.iterdir(), key=os.path.getmtime), (1, 2, 3), strict=True))
    for path, time in old.items():
        os.utime(path, (time, time))
    first, second, _ = old
    assert calls(X, settings=1) == 0  # used now
    monkeypatch.setattr(cache, "LIMIT", sum(path.stat().st_size for path in old))
    calls(X, settings=4)
    assert first.exists()
    assert not second.exists()


def test_without_a_folder_nothing_is_kept(folder, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", None)
    assert [calls(X), calls(X)] == [1, 1]
    assert not folder.exists()


def test_uses_are_logged(tmp_path, monkeypatch):
    monkeypatch.setenv("SAN_CACHE_LOG", str(tmp_path / "log"))
    calls(X)
    calls(X)
    made, used = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert (made.pop("cached"), used.pop("cached")) == (False, True)
    assert made == used
    assert made.keys() == {"function", "parts", "commit", "date", "seconds"}
    assert (made["function"], made["parts"]) == (f"{__name__}.double", 1)


# --- sweeps, a part for each kernel size ----------------------------------------------------------


def data(seed=0):
    x = torch.randn(6, 40, generator=torch.Generator().manual_seed(seed))
    return SimpleNamespace(train=x[:2], validation=x[2:4], test=x[4:])


def trained(tmp_path, monkeypatch, *arguments, **options):
    """A sweep, and how many of its networks were computed."""
    log = tmp_path / "log"
    log.unlink(missing_ok=True)
    monkeypatch.setenv("SAN_CACHE_LOG", str(log))
    result = sweep(*arguments, **options)
    uses = [json.loads(line) for line in log.read_text().splitlines()]
    return result, sum(use["parts"] for use in uses if not use["cached"])


def test_a_sweep_trains_what_no_sweep_has_trained(tmp_path, monkeypatch):
    protocol = dataclasses.replace(PROTOCOLS["physionet"], epochs=2)
    small, count = trained(tmp_path, monkeypatch, data(), "extrema", [3, 5], protocol=protocol)
    assert count == 2
    large, count = trained(
        tmp_path, monkeypatch, data(), "extrema", [2, 3, 5], seeds=[1, 2], protocol=protocol
    )
    assert count == 4
    again, count = trained(tmp_path, monkeypatch, data(), "extrema", [5, 3], protocol=protocol)
    assert count == 0
    pd.testing.assert_frame_equal(again.table, small.table)
    assert all(torch.equal(again.best[key], small.best[key]) for key in small.best)
    both = large.table[(large.table.seed == 1) & (large.table.kernel_size > 2)]
    pd.testing.assert_frame_equal(both.reset_index(drop=True), small.table)
    assert trained(tmp_path, monkeypatch, data(1), "extrema", [3], protocol=protocol)[1] == 1
    assert trained(tmp_path, monkeypatch, data(), "relu", [3], protocol=protocol)[1] == 1


def test_another_function_under_the_same_name_is_trained_again(tmp_path, monkeypatch):
    options = {"protocol": dataclasses.replace(PROTOCOLS["physionet"], epochs=1)}
    trained(tmp_path, monkeypatch, data(), "extrema", [3], **options)
    monkeypatch.setitem(san_core.ACTIVATION_FUNCTIONS, "extrema", (lambda s: 2 * s, None))
    for _ in range(2):  # it has no entry
        assert trained(tmp_path, monkeypatch, data(), "extrema", [3], **options)[1] == 1


def test_processes_that_want_the_same_entry_do_not_disturb_each_other(folder):
    code = (
        "import sys, torch; from pathlib import Path\n"
        "from sanbook.training import cache, evaluate\n"
        f"cache.FOLDER = Path({str(folder)!r})\n"
        "for i in range(60):\n"
        "    entry = cache.Entry(evaluate, torch.ones(9))\n"
        "    part = (int(sys.argv[1]), i % 6)\n"
        "    assert all(value == sum(key) for key, value in entry.found.items()), entry.found\n"
        "    assert entry.complete({part: sum(part)}, 0, [part]) == [sum(part)]\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(i)]) for i in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    (path,) = folder.iterdir()
    assert path.name.startswith("evaluate-")


def test_provenance_travels_through_an_entry():
    card = sanbook.data.dataset.Provenance("a", "b", None, "c", "real", "d", classes=("e",))
    tensors = {}
    assert encoding.decode(json.loads(json.dumps(encoding.encode(card, tensors))), tensors) == card
