"""The laboratory: its training, other methods, readers and page beside those of Python."""

import base64
import json
import math
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pywt
import torch
import torch.nn.functional as F
import wasmtime
from conftest import barriers
from edf_file import edf_file

import sanbook.data
from san_core import (
    ACTIVATIONS,
    SAN,
    inverse_compression_ratio_from_counts,
    normalized_loss,
    phi,
)
from sanbook.data import DataSet
from sanbook.methods import base, fixed
from sanbook.reports import laboratory
from sanbook.signals.cli import main as san
from sanbook.signals.events import EventModel
from sanbook.signals.formats import open_file
from sanbook.training import INITS, Protocol, evaluate, initial_san, orders_of_epochs, sweep

STATIC = Path(__file__).parent.parent.parent / "book" / "_static"
PARTS = ("train", "validation", "test")


def data_set(shape, seed=0):
    """Noise in 5, 2 and 3 examples, so that a batch of two is ragged."""
    noise = torch.randn(10, *shape, generator=torch.Generator().manual_seed(seed))
    return DataSet(noise[:5], noise[5:7], noise[7:], card=None)


# --- training -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trainers(javascript):
    """``plain`` trains in double precision, ``simd`` with WebAssembly."""
    javascript.eval("const plain = sanTrainer(san), simd = sanTrainer(makeSan(sanSimd()))")
    javascript.eval("""function trained(of, data, spatial, activation, initial, protocol) {
      for (const part in data) data[part] = data[part].map((x) => Float32Array.from(x.flat()));
      const { rows, best, tested } = of.train(data, spatial, activation, initial, protocol);
      return { best, tested, rows: rows.map((row) => ({ ...row, w: [...row.w] })) };
    }""")
    return javascript


def train(javascript, trainer, data, activation, initial, seed, protocol):
    given = {part: getattr(data, part).double().tolist() for part in PARTS}
    spatial = list(data.train.shape[1:])
    options = {"seed": seed, "epochs": protocol.epochs, "q": len(initial)}
    options |= {"batchSize": protocol.batch_size, "borderTolerance": protocol.border_tolerance}
    arguments = [given, spatial, activation, initial.double().flatten().tolist(), options]
    call = f"trained({trainer}, ...{json.dumps(arguments)})"
    return json.loads(javascript.eval(f"JSON.stringify({call})"))


def train_slowly(data, activation, initial, seed, protocol):
    """Kernels and mean metrics by epoch, in double precision."""
    ndim, m = data.train.ndim - 1, len(initial[0])
    model = SAN([m] * len(initial), activation, ndim, protocol.border_tolerance).double()
    for parameter, w in zip(model.kernels, initial, strict=True):
        parameter.data = w.double()
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate)
    train, validation = data.train.double(), data.validation.double()

    def metrics(x):
        with torch.no_grad():
            a = model.encode(x)
            loss = normalized_loss(x, model.decode(a))
        counts = a.flatten(1).count_nonzero(dim=1).double()
        n = x[0].numel()
        cost = inverse_compression_ratio_from_counts(counts, model.num_weights, n, ndim)
        return torch.stack([loss, cost, phi(cost, loss)], dim=1)

    epochs = []
    for order in orders_of_epochs(len(train), seed, protocol):
        seen = []
        for batch in order.split(protocol.batch_size):
            seen.append(metrics(train[batch]))
            optimizer.zero_grad()
            F.l1_loss(model(train[batch]), train[batch]).backward()
            optimizer.step()
        w = torch.cat([kernel.detach().flatten() for kernel in model.kernels])
        epochs.append((w, torch.cat(seen).mean(0), metrics(validation).mean(0)))
    return epochs


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("shape", "q", "m"), [((60,), 1, 7), ((61,), 2, 8), ((60,), 3, 1), ((9, 8), 2, 3)]
)
def test_double_precision_is_that_of_a_plain_loop(trainers, activation, shape, q, m):
    data, protocol = data_set(shape), Protocol(epochs=3)
    kernels = torch.randn(q, *(m,) * len(shape), generator=torch.Generator().manual_seed(m))
    kernels = 0.3 * kernels.double()
    got = train(trainers, "plain", data, activation, kernels, 5, protocol)
    for row, expected in zip(
        got["rows"], train_slowly(data, activation, kernels, 5, protocol), strict=True
    ):
        for name, values in zip(("w", "train", "validation"), expected, strict=True):
            np.testing.assert_allclose(row[name], values, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("m", [3, 30, 61])
def test_simd_is_what_sweep_gives(trainers, activation, m):
    data, protocol = data_set((250,)), Protocol(epochs=3, init="normal")
    trained = sweep(data, activation, [m], seeds=[4], protocol=protocol)
    initial = initial_san(m, 4, activation, data.train, protocol).kernels[0].detach()[None]
    got = train(trainers, "simd", data, activation, initial, 4, protocol)
    np.testing.assert_allclose(got["rows"][-1]["w"], trained.last[m, 4][0], rtol=0, atol=1e-6)
    chosen = trained.select().set_index("rule")
    order = ["normalized_reconstruction_loss", "inverse_compression_ratio", "phi"]
    for rule, means in zip(("best", "last"), got["tested"], strict=True):
        np.testing.assert_allclose(means, chosen.loc[rule, order], rtol=0, atol=1e-6)
    assert got["best"] + 1 == chosen.loc["best", "epoch"]


@pytest.mark.parametrize("init", INITS)
def test_starts_are_those_of_python(trainers, init):
    train = data_set((100,), seed=1).train
    for seed in (0, 7, 2**32 - 1):
        for m in (1, 5, 15, 16, 17, 32, 50, 100):
            expected = initial_san(m, seed, "extrema", train, Protocol(init=init)).kernels[0]
            call = f"[...plain.start({init!r}, {m}, {seed}, {train.double().tolist()})]"
            got = np.array(json.loads(trainers.eval(f"JSON.stringify({call})")), np.float32)
            # A norm is a sum, and torch has logarithms, sines and cosines of its own: roundings.
            ulp = {"normal": 4, "constant": 0, "segment": 2}[init]
            np.testing.assert_array_max_ulp(got, expected.detach().numpy(), ulp)


def test_orders_are_those_of_torch(trainers):
    for count, seed in ((1, 0), (7, 5), (13, 2**32 - 1)):
        expected = orders_of_epochs(count, seed, Protocol(epochs=60)).tolist()
        assert trainers.call("plain.ordersOfEpochs", count, seed, 60) == expected


def test_webassembly_is_its_text():
    def sections(module, at=8):
        while at < len(module):
            number, size, shift, more = module[at], 0, 0, True
            while more:
                at += 1
                size |= (module[at] & 127) << shift
                shift, more = shift + 7, module[at] > 127
            yield number, bytes(module[at + 1 : at + 1 + size])
            at += 1 + size

    (shipped,) = re.findall('WASM = "(.+)"', (STATIC / "trainer.js").read_text())
    written = wasmtime.wat2wasm((STATIC / "correlate.wat").read_text())
    with_code = [section for section in sections(written) if section[0]]  # 0 is names
    assert list(sections(base64.b64decode(shipped))) == with_code


# --- other methods --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [200, 123])
def test_other_methods_are_those_of_python(javascript, n):
    time = torch.linspace(0, 9, 5 * n).view(5, n)
    data = torch.sin(time**2) + 0.3 * data_set((n,)).train
    names = ["db2", "db5"]
    filters = {name: [pywt.Wavelet(name).dec_lo, pywt.Wavelet(name).dec_hi] for name in names}
    parts = {"validation": data[:2].double().tolist(), "test": data[2:].double().tolist()}
    got = javascript.eval(f"otherMethods({json.dumps(filters)})({json.dumps(parts)})")
    levels = {name: pywt.dwt_max_level(n, name) for name in names}
    candidates = [
        fixed.Wavelets(wavelet=name, level=level)
        for name, deepest in levels.items()
        for level in sorted({max(1, deepest - above) for above in (2, 1, 0)})
    ]
    wavelet, _ = base.choose(candidates, data[:2], 1)
    expected = [fixed.DCT(), fixed.PiecewiseLinear(), wavelet]
    *others, samples = got
    for method, ours in zip(expected, others, strict=True):
        means = base.evaluate(method, data[2:]).mean(0)[[1, 0, 2]]
        np.testing.assert_allclose(list(ours["means"]), means, atol=1e-5)
    assert others[2]["label"] == f"Wavelets ({wavelet.wavelet}, {wavelet.level} levels)"
    rest = data[2:].abs().sort(descending=True).values
    loss = 1 - rest.cumsum(1)[:, : n // 2] / rest.sum(1, keepdim=True)
    of_samples = phi(2 * torch.arange(1, n // 2 + 1) / n, loss).min(dim=1).values
    assert samples["means"][2] == pytest.approx(of_samples.mean().item(), abs=1e-5)


def signal(kind):
    """Ten windows of 300 samples and a kernel: pulses of one shape, noise, or a slow wave."""
    random = np.random.default_rng(0)
    noise, half = random.normal(size=3000), random.normal(size=13)
    x, kernel = noise, np.concatenate([half, half[-2::-1]])
    if kind == "wave":
        x = 0.02 * noise + np.sin(np.arange(3000) / 30)
    if kind == "pulses":
        x = 0.02 * noise
        for place in np.cumsum(random.integers(50, 80, 40)):
            x[place : place + 25] += kernel
    windows = torch.from_numpy(x.reshape(10, 300))
    windows = (windows - windows.mean(1, keepdim=True)) / windows.std(1, keepdim=True)
    data = DataSet(windows[:5], windows[5:7], windows[7:], card=None)
    return data, torch.from_numpy(kernel / np.linalg.norm(kernel))[None]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("pulses", r"events stand out\. .*A SAN suits this recording\.$"),
        ("noise", r"No kernel beats doing without one.*A SAN is the wrong tool"),
        ("wave", r"no short events stand out\. A SAN is the wrong tool.*by the same stop\.$"),
    ],
)
def test_verdict_tells_events_from_other_signals(trainers, kind, said):
    data, kernel = signal(kind)
    tested = train(trainers, "plain", data, "extrema", kernel, 0, Protocol(epochs=9))["tested"]
    parts = {part: getattr(data, part).tolist() for part in PARTS}
    filters = {"db2": [pywt.Wavelet("db2").dec_lo, pywt.Wavelet("db2").dec_hi]}
    energies = (torch.cat([data.train, data.validation, data.test]) ** 2).flatten().sort().values
    strongest = (energies[-len(energies) // 10 :].sum() / energies.sum()).item()
    others = f"otherMethods({json.dumps(filters)})({json.dumps(parts)})"
    verdict = trainers.eval(f"verdictOf({tested[0][2]}, {others}, {strongest}, 0.01)")
    assert re.search(said, verdict), verdict
    assert "no better than sending nothing" in trainers.eval("verdictOf(1, [], 1, 0.01)")


# --- readers --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def read(browser):
    """What readers.js gives of files in a worker: a channel, or what it says."""
    tab = browser.new_page()
    tab.add_script_tag(path=STATIC / "readers.js")
    tab.evaluate(
        """(formats) => {
          const answer = ({ data: [files, column, rate] }) => {
            try {
              const opened = readers.openFile(files, rate);
              postMessage({ ...opened.channel(column), names: opened.names });
            } catch (error) {
              postMessage(error instanceof RangeError ? error.message : { error: error.stack });
            }
          };
          const made = `const readers = sanReaders(${JSON.stringify(formats)})`;
          const text = `${sanReaders}\n${made};\nonmessage = ${answer};`;
          globalThis.reader = new Worker(URL.createObjectURL(new Blob([text])));
        }""",
        laboratory.describe_formats(),
    )
    script = """async ([contents, column, rate]) => {
      const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
      const files = contents.map(([name, text]) => new File([bytes(text)], name));
      reader.postMessage([files, column, rate]);
      const answer = (resolve) => (reader.onmessage = ({ data }) => resolve(data));
      const found = await new Promise(answer);
      if (!found.values) return found;
      const url = await new Promise((resolve) => {
        const written = new FileReader();
        written.onload = () => resolve(written.result);
        written.readAsDataURL(new Blob([found.values]));
      });
      return { ...found, values: url.split(",")[1] ?? "" };
    }"""

    def read(paths, column="", rate=None):
        contents = [[p.name, base64.b64encode(p.read_bytes()).decode()] for p in paths]
        found = tab.evaluate(script, [contents, column, rate])
        if isinstance(found, dict):
            assert "error" not in found, found
            found["values"] = np.frombuffer(base64.b64decode(found["values"]))
        return found

    yield read
    tab.close()


def assert_read_alike(read, paths, column="", rate=None):
    """The same samples, names, rate and units, or the same refusal."""
    got = read(paths, column, rate)
    try:
        opened = open_file(paths[0], rate=rate)
        expected = opened.channel(column)
        values = np.concatenate([np.empty(0), *expected.blocks(1000)])
    except (ValueError, OSError) as error:
        refusal = str(error)
    else:
        refusal = None
    if refusal:
        assert got == refusal
        return
    assert isinstance(got, dict), got
    np.testing.assert_array_equal(got["values"].view(np.int64), values.view(np.int64))
    assert got["names"] == list(opened.names)
    assert (got["column"], got["units"]) == (expected.column, expected.units)
    assert got["rate"] == expected.sampling_rate
    assert got["decision"] == expected.decision
    assert got["remarks"] == expected.remarks


NOISE = np.random.default_rng(0)
HEADERS = {
    "16": "r 2 360 40\nr.dat 16 200(1024)/mV 11 1024 0 0 0 MLII\nr.dat 16 100 11 0 0 0 0 V5\n",
    "212": "r 2 250 40\nr.dat 212 200 12 0 0 0 0 a\nr.dat 212 0 12 5 0 0 0 b\n",
    "80": "r 1 4 40\nr.dat 80 7.5/uV\n",
    "32, frames, offset": "r 1 10 20\nr.dat 32x2+8 1e3(-7)/NU 0 0 0 0 0 x\n",
    "no length": "r 1 250\nr.dat 16 200 16 0 0 0 0 x\n",
    "no rate": "r 1\nr.dat 16\n",
    "too long": "r 1 250 4000\nr.dat 16 200 16 0 0 0 0 x\n",
    "skew": "r 2 100 30\nr.dat 16:3 200 16 0 0 0 0 x\nr.dat 16 200 16 0 0 0 0 x\n",
    "format": "r 1 250 40\nr.dat 17 200\n",
    "elsewhere": "r 1 250 40\nq.dat 16 200\n",
    "folder": "r 1 250 40\n../r.dat 16 200\n",
    "no signals": "r 0 250 40\n",
    "no header": "<html>'\x01\n",
    "no gain": "r 1 250 40\nr.dat 16 much\n",
}


@pytest.mark.parametrize("name", HEADERS)
def test_records_are_read_as_by_python(read, tmp_path, name):
    (tmp_path / "r.hea").write_text(HEADERS[name])
    content = NOISE.integers(0, 256, 200, np.uint8)
    content[20:22] = 0, 128  # the invalid value of format 16
    (tmp_path / "r.dat").write_bytes(content.tobytes())
    paths = [tmp_path / "r.hea", tmp_path / "r.dat"]
    for column in ("", 0, 1, "x", "MLII"):
        assert_read_alike(read, paths, column)
    assert_read_alike(read, paths, 0, rate=250.0)


def edf(labels=("ECG", "EDF Annotations"), sizes=(10, 4), onsets=(0, 1, 2), **changed):
    """An EDF or BDF file of three records."""
    return edf_file(labels, sizes, onsets, **changed)[0]


EDFS = {
    "edf": edf(),
    "gap": edf(onsets=(0, 1, 4.5)),
    "out of order": edf(onsets=(0, 1, 0.5)),
    "several rates": edf(labels=("a", "b"), sizes=(10, 7)),
    "bdf": edf(labels=("a",), sizes=(9,), width=3, dlow="-8388608", dhigh="8388607"),
    "open": edf(records="-1"),
    "cut off": edf()[:-5],
    "decimal commas": edf(low="-3,2", high="3,2"),
    "no range": edf(dlow="7", dhigh="7"),
    "no duration": edf(duration="0"),
    "no number": edf(low="much"),
    "no label": edf(labels=("EDF Annotations",), sizes=(8,)),
    "capitals": edf(labels=("ECG", "EDF ANNOTATIONS")),
    "times in the second": edf(labels=("a", "EDF annotations", "EDF Annotations"), sizes=(9, 5, 7)),
    "times that drift": edf(onsets=(0, 1.09, 2.18), reserved="EDF+C"),
    "pieces that drift": edf(onsets=(0, 1.09, 2.18), reserved="EDF+D"),
    "no times": edf(onsets=("", "", "")),
    "no times of pieces": edf(onsets=("", "", ""), reserved="EDF+D"),
    "no times of a record": edf(onsets=(0, "", 2)),
    "NUL in a label": edf(labels=("ECG\0II", "EDF Annotations")),
    "no header": b"<html>",
    "no channels": edf(labels=(), sizes=()),
}


@pytest.mark.parametrize("name", EDFS)
def test_edf_is_read_as_by_python(read, tmp_path, name):
    path = tmp_path / "x.edf"
    path.write_bytes(EDFS[name])
    for column in ("", "ECG", 1):
        assert_read_alike(read, [path], column)
    assert_read_alike(read, [path], 0, rate=11.0)


TEXTS = {
    "one column": "ecg\n1\n-2.5\n3e2\n",
    "no names": "0.1\n0.2\n0.4\n",
    "times": "time,ECG (mV)\n" + "".join(f"{i / 360:.4f},{i % 7}\n" for i in range(99)),
    "times with a gap": "t;x\n" + "".join(f"{i + 40 * (i > 20)};{i % 7}\n" for i in range(99)),
    "times in ms": "time_ms\tx\n" + "".join(f"{4 * i}\t{i % 7}\n" for i in range(99)),
    "times of which single ones are lost": "time,x\n"
    + "".join(f"{i / 100:.2f},{i % 7}\n" for i in range(600) if i % 10 != 5),
    "times that are rounded": "time,x\n" + "".join(f"{i / 512:.3f},{i % 7}\n" for i in range(600)),
    "times that are uneven": "time,x\n"
    + "".join(f"{0.8 * i + 0.05 * math.sin(3 * i):.4f},{i % 7}\n" for i in range(600)),
    "times of five digits": "t,x\n" + "".join(f"{i / 512:.5g},{i % 7}\n" for i in range(8000)),
    "messages of a watch": "Type,Local Number,Message,Field 1,Value 1\n" + "Data,0,x,y,7\n" * 30,
    "times in days": "time,x\n"
    + "".join(f"{45000 + i / 250 / 86400:.10f},{i % 7}\n" for i in range(600)),
    "times that are irregular late": "time,x\n"
    + "".join(f"{i / 100 if i < 20000 else i / 60:.3f},{i % 7}\n" for i in range(40000)),
    "times of which half are lost late": "time,x\n"
    + "".join(f"{i / 100:.2f},{i % 7}\n" for i in (*range(9000), *range(9000, 40000, 2))),
    "a time that is missing late": "time,x\n"
    + "".join(f"{i / 100 if i != 5000 else 'nan'},{i % 7}\n" for i in range(6000)),
    "a unit like a time": "uS,temp\n" + "".join(f"{i % 5},{i % 7}\n" for i in range(99)),
    "a length like a time": "x,rise_time\n" + "".join(f"{i % 5},{i % 7}\n" for i in range(99)),
    "a rate that is not quite": "t,x\n" + "".join(f"{i / 357:.6f},{i % 7}\n" for i in range(600)),
    "commas and tabs": "0.010,\t5\n0.020,\t6\n0.030,\t8\n",
    "times in disorder": "time,x\n" + "".join(f"{i ^ 1},{i % 7}\n" for i in range(99)),
    "irregular times": "time,x\n" + "".join(f"{i * i},{i % 7}\n" for i in range(99)),
    "decimal commas": "a;b\n1,5;2\n-0,25;3,125\n7;8\n",
    "missing": "a,b\n1,2\nNaN,3\n,4\n-,5\n6,n/a\n7,8\n9,1\n",
    "quotes": '"time","ecg, II"\n"1","2.5"\n"2","3.5"\n"3","4.5"\n',
    "an open quote": "a,b\n" + "1,2\n" * 30 + '3,"4\n' + "5,6\n" * 30,
    "a remark": "a,b\n" + "1,2\n" * 30 + "# pause\n" + "3,4\n" * 30,
    "a footer": "a,b\n" + "1,2\n" * 30 + "the end\n",
    "a pause": "a,b\n" + "1,2\n" * 30 + "the pause\n" + "3,4\n" * 30,
    "a word": "a,b\n" + "1,2\n" * 30 + "much,2\n" + "3,4\n" * 30,
    "line ends": "a\r\n1\r\n2\r\n3\r\n",
    "utf-16": "a (µV)\n1\n2\n3\n".encode("utf-16"),
    "latin-1": "a (µV)\n1\n2\n3\n".encode("latin-1"),
    "html": "<html>",
    "json": "{}",
    "empty": "\n\n",
    "a number of times": "n,x\n" + "".join(f"{i},{i * i}\n" for i in range(99)),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_read_as_by_python(read, tmp_path, name):
    path = tmp_path / "x.csv"
    text = TEXTS[name]
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for column in ("", 0, 1, "x", "ecg, II"):
        assert_read_alike(read, [path], column)
    assert_read_alike(read, [path], 0, rate=360.0)


@pytest.mark.parametrize(
    "text",
    [
        "Recorder 7\na,b\n1,2\n3,4\n",  # a line above the names
        "a,b\nmV,mV\n1,2\n3,4\n",  # a line of units
        "time,x\n2024-01-01T00:00:00,1\n2024-01-01T00:00:01,2\n",  # times in words
        "time,x\n0 sec,1\n0.5 sec,2\n1 sec,3\n",  # times with their unit
        "time,x,note\n0,1,\n0.5,2,\n1,3,\n",  # a column without numbers
        "1,5,2," * 50 + "4\n",  # samples in one line
        "x\n1,5\n-0,5\n2,5\n",  # decimal commas beside a comma
        "1700000000\n64\n1\n2\n3\n",  # a start and a rate
        "a,b\n1,x\n2,y\n3,z\n",  # a column of words
    ],
)
def test_what_is_more_than_a_plain_table_is_left_to_the_command(read, tmp_path, text):
    (tmp_path / "x.csv").write_text(text)
    assert "Use the command san" in read([tmp_path / "x.csv"])


# --- the page -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The live figure on a page of its own, with simulated recordings."""
    recordings = [sanbook.data.load(name, "sample") for name in ("mitdb", "bidmc")]
    figure = laboratory.laboratory(recordings).book["text/html"]
    scripts = ("san", "plot", "trainer", "methods", "readers", "laboratory")
    used = "".join(f"<script>{(STATIC / f'{name}.js').read_text()}</script>" for name in scripts)
    style = (STATIC / "book.css").read_text()
    path = tmp_path_factory.mktemp("laboratory") / "page.html"
    path.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Laboratory</title>'
        f"<style>{style}</style>{used}<main><h1>Laboratory</h1><figure>{figure}</figure></main>"
    )
    return path.as_uri()


@pytest.fixture
def visit(browser, page):
    """Opens the page; nothing may be asked for or go wrong."""
    asked, wrong, tabs = [], [], []

    def visit(browser=browser, settings="", **options):
        tab = browser.new_page(**options)
        tabs.append(tab)
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("console", lambda said: said.type == "error" and wrong.append(said.text))
        tab.goto(page + settings)
        tab.locator(".san-laboratory pre:not(:empty)").wait_for()
        return tab

    yield visit
    assert wrong == []
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []
    for tab in tabs:
        tab.close()


def take(tab, button, folder):
    with tab.expect_download() as started:
        tab.get_by_role("button", name=button).click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def numbers(tab):
    return tab.locator(".san-numbers b").all_text_contents()


def test_a_recording_of_ones_own_goes_all_the_way(visit, tmp_path, monkeypatch):
    signal = sanbook.data.load("mitdb", data="sample")
    samples = torch.cat([getattr(signal, part) for part in PARTS]).flatten().double().numpy()
    path = tmp_path / "minute.csv"
    path.write_text("ecg\n" + "\n".join(f"{3 + 0.5 * value:.5f}" for value in samples) + "\n")
    tab = visit(reduced_motion="reduce")
    transfer = tab.evaluate_handle(
        """(text) => {
          const data = new DataTransfer();
          data.items.add(new File([text], "minute.csv"));
          return data;
        }""",
        path.read_text(),
    )
    tab.locator(".san-laboratory").dispatch_event("drop", {"dataTransfer": transfer})
    tab.locator("pre", has_text="minute.csv").wait_for()
    said = " ".join(tab.locator(".san-hint").all_text_contents())
    assert "6 are for training, 2 for choosing, 4 for testing" in said
    tab.get_by_label("Samples a second").fill("360")
    tab.get_by_label("Samples a second").press("Enter")
    tab.locator(".san-hint", has_text="of 2.78 s").wait_for()
    # After many epochs a last bit decides which entries are kept, here and in Python.
    tab.get_by_label("Epochs", exact=True).fill("4")
    tab.get_by_label("Epochs", exact=True).press("Enter")
    tab.locator("pre", has_text="epochs=4").wait_for()
    tab.get_by_role("button", name="Train all sizes").click()
    tab.wait_for_function("document.querySelector('progress').value > 0.02")
    tab.get_by_role("button", name="Stop").click()
    tab.locator("progress").wait_for(state="hidden")
    finding = tab.locator(".san-finding").text_content()
    assert re.match(r"Of \d+ networks .+ has the smallest φ̄ on validation", finding)
    assert "one seed" in finding
    options = tab.get_by_label("Open a network").locator("option")
    assert 10 < options.count() <= 50
    tab.get_by_label("Open a network").select_option(index=1)
    activation, m = options.nth(1).get_attribute("value").rsplit(" ", 1)
    tab.locator("pre", has_text=f'"{activation}", [{m}]').wait_for()

    found, kept = take(tab, "Events", tmp_path), take(tab, "Network", tmp_path)
    model = EventModel.load(kept)
    assert (model.window, model.sampling_rate, model.units) == (1000, 360, "unknown")
    assert (model.network.activation, len(model.network.kernels[0])) == (activation, int(m))
    command, python = tab.locator("pre").text_content().split("# the training, in Python")
    monkeypatch.chdir(tmp_path)  # where the files are that the lines name
    assert san(shlex.split(command, comments=True)[1:]) == 0
    exec(python, lines := {})
    best = lines["trained"].select().iloc[0]
    assert best.phi == pytest.approx(float(numbers(tab)[-1]), abs=6e-4)
    ours, expected = pd.read_csv(found, dtype=str), pd.read_csv("events.csv", dtype=str)
    exact = ["seconds", "sample", "kernel", "length"]
    pd.testing.assert_frame_equal(ours[exact], expected[exact])
    amplitudes = [table.amplitude.astype(float) for table in (ours, expected)]
    np.testing.assert_allclose(*amplitudes, rtol=1e-5, atol=1e-7)

    rows = pd.read_csv(take(tab, "All rows", tmp_path))
    assert set(rows.split) == {"train", "validation", "test"}
    assert rows.groupby(["activation", "kernel_size"]).ngroups >= options.count()
    assert (rows.phi > 0).all()


def test_the_page_trains_what_sweep_trains(visit):
    settings = {"recording": "bidmc", "activation": "extrema", "m": 40, "init": "normal"}
    settings |= {"seed": 3, "epochs": 5}
    link = "&".join(f"{name}={value}" for name, value in settings.items())
    tab = visit(settings=f"#laboratory?{link}")
    tab.locator("pre", has_text='"extrema", [40], seeds=[3]').wait_for()
    data = sanbook.data.load("bidmc", data="sample")
    trained = sweep(data, "extrema", [40], seeds=[3], protocol=Protocol(epochs=5, init="normal"))
    mean = evaluate(trained.model(40, 3), data.test).mean(0)[2].item()
    assert float(numbers(tab)[-1]) == pytest.approx(mean, abs=6e-4)
    first = evaluate(trained.model(40, 3), data.test[:1])[0]
    expected = [first[i].item() for i in (2, 0, 1)]
    assert [float(shown) for shown in numbers(tab)[:3]] == pytest.approx(expected, abs=6e-4)


def test_the_link_holds_settings_and_back_undoes(visit):
    tab = visit()
    tab.get_by_label("Activation function").select_option("top-k absolutes")
    tab.locator("pre", has_text="top-k absolutes").wait_for()
    assert "activation=top-k+absolutes" in tab.url
    tab.go_back()
    tab.locator("pre", has_text='"extrema"').wait_for()
    assert tab.get_by_label("Activation function").input_value() == "extrema"


def test_keys_play_pause_and_step(visit):
    tab = visit(reduced_motion="reduce")
    epoch = tab.get_by_role("slider", name="Epoch:")
    epoch.press("Home")
    epoch.press("ArrowRight")
    assert epoch.input_value() == "1"
    epoch.press(" ")  # without motion the end is seen at once
    assert epoch.input_value() == epoch.get_attribute("max")
    tab.get_by_role("button", name="Rewind").press("Enter")
    assert epoch.input_value() == "0"
    start = numbers(tab)
    epoch.press("End")
    assert numbers(tab) != start


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_serious_barrier_and_fits_a_phone(visit, scheme):
    tab = visit(color_scheme=scheme, viewport={"width": 360, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    assert barriers(tab) == []


def test_without_webassembly_the_plain_path_gives_the_same(chromium, visit):
    settings = "#laboratory?epochs=3&m=20&init=normal"
    shown = numbers(visit(settings=settings))
    without = chromium("--js-flags=--jitless")  # which takes WebAssembly away, too
    tab = visit(without, settings)
    assert "no WebAssembly SIMD" in " ".join(tab.locator(".san-hint").all_text_contents())
    # The last digit that is shown may turn.
    assert [float(n) for n in numbers(tab)] == pytest.approx([float(n) for n in shown], abs=2e-3)
    without.close()


def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(visit, tmp_path):
    (tmp_path / "x.edf").write_bytes(b"<html>")
    tab = visit()
    tab.get_by_role("combobox").first.select_option("own")
    tab.get_by_label("Files of your own").set_input_files(tmp_path / "x.edf")
    alert = tab.get_by_role("alert")
    tab.wait_for_function("document.querySelector('.san-message').textContent")
    assert "as no EDF or BDF file does" in alert.text_content()
