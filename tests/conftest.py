"""What tests share: no network, a made-up server for what downloads, JavaScript, a browser."""

import collections
import dataclasses
import hashlib
import http.server
import os
import shutil
import threading
import time
from pathlib import Path

import every_method
import pytest
import requests
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from py_mini_racer import MiniRacer

import sanbook.data.download
import sanbook.data.manifest
import sanbook.training.cache

# What tests may be skipped for lack of; for other reasons only a few are.
LACKING = ("SAN_DATA", "Chromium")
MOST_OTHERS = 5


def skipped(reporter):
    """How many tests were skipped, by what they lacked."""
    reasons = [report.longrepr[2] for report in reporter.stats.get("skipped", [])]
    kinds = [next((lack for lack in LACKING if lack in reason), "other") for reason in reasons]
    return collections.Counter(kinds)


def pytest_sessionfinish(session):
    """A run that skips more than a few tests for other reasons has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and skipped(reporter)["other"] > MOST_OTHERS:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    """Say how many tests were skipped, and why."""
    counts = skipped(terminalreporter)
    said = ", ".join(f"{counts[lack]} without {lack}" for lack in LACKING)
    terminalreporter.write_line(
        f"skipped: {said}, {counts['other']} for other reasons (at most {MOST_OTHERS})"
    )


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tensors this small gain nothing from threads that, on a busy machine, wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def without_cache(monkeypatch):
    """Tests compute what they test."""
    monkeypatch.setattr(sanbook.training.cache, "FOLDER", None)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No connection but to this machine: `requests` raises; returns the urls asked for."""
    asked = []

    def local_only(ask):
        def refuse(url, **options):
            if url.startswith("http://127.0.0.1:"):
                return ask(url, **options)
            asked.append(url)
            raise requests.ConnectionError("no network in tests")

        return refuse

    monkeypatch.setattr(requests, "head", local_only(requests.head))
    monkeypatch.setattr(requests, "get", local_only(requests.get))
    sanbook.data.download._unreachable.cache_clear()
    yield asked
    sanbook.data.download._unreachable.cache_clear()


class Server:
    """Serves `files` (path to bytes); `asked` are the paths that were asked for, of `heads` too.

    `faults` maps a path to a list of what goes wrong with its next requests, one each:

    - a number: that status;
    - "hang": no answer until the server ends; "hang in body": after half of it;
    - "cut off": the body ends in the middle, though its length was announced; "no length": it
      was not;
    - "slow": 20 ms between pieces of the body.

    If it is `silent`, it does not even say that it is there.
    """

    def __init__(self):
        self.files, self.faults, self.asked, self.heads = {}, {}, [], 0
        self.silent, self.ended = False, threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                server.heads += 1
                if server.silent:
                    server.ended.wait()
                self.send_response(200)
                self.end_headers()

            def do_GET(self):
                server.answer(self)

            def log_message(self, *arguments):
                """Say nothing."""

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, handler):
        path = handler.path.removeprefix("/")
        self.asked.append(path)
        faults = self.faults.get(path, [])
        fault = faults.pop(0) if faults else None
        if fault == "hang":
            self.ended.wait()
            return
        content = self.files.get(path)
        if isinstance(fault, int) or content is None:
            handler.send_response(fault or 404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(200)
        if fault != "no length":
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if fault in ("cut off", "no length", "hang in body"):
            handler.wfile.write(content[: len(content) // 2])
            handler.wfile.flush()
            if fault == "hang in body":
                self.ended.wait()
            return
        step = max(1, len(content) // 50) if fault == "slow" else max(1, len(content))
        for start in range(0, len(content), step):
            try:
                handler.wfile.write(content[start : start + step])
            except ConnectionError:  # who asked was killed
                return
            if fault == "slow":
                time.sleep(0.02)

    def end(self):
        self.ended.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch):
    """A made-up server on this machine; downloads from it are impatient."""
    monkeypatch.setattr(sanbook.data.download, "ANSWER", 1)
    monkeypatch.setattr(sanbook.data.download, "PAUSE", 0.3)
    server = Server()
    yield server
    server.end()


@pytest.fixture(scope="session", params=[1, 2], ids=["signals", "images"])
def data(request):
    """Small data for the tests of methods."""
    return every_method.Data(request.param)


@pytest.fixture(scope="session")
def every(data):
    """A candidate of each method for these data, by name."""
    return every_method.one_of_each(data)


@pytest.fixture(scope="session")
def javascript():
    """An engine of JavaScript, such as in a browser but without a page, that knows ``san``."""
    context = MiniRacer()
    context.eval("const document = { addEventListener() {} }")
    context.eval("""function atob(text) {
      const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
      const bits = [...text].map((c) => digits.indexOf(c).toString(2).padStart(6, "0")).join("");
      return bits.match(/.{8}/g).map((byte) => String.fromCharCode(parseInt(byte, 2))).join("");
    }""")
    for name in ("san", "trainer", "methods", "mirror", "plane"):
        context.eval((Path(__file__).parent.parent / f"book/_static/{name}.js").read_text())
    return context


@pytest.fixture(scope="module")
def chromium():
    """Starts a Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is not installed; `apt install chromium` brings it")
    with sync_playwright() as playwright:
        yield lambda *flags: playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", *flags]
        )


@pytest.fixture(scope="module")
def browser(chromium):
    """A Chromium for the tests of a module."""
    browser = chromium()
    yield browser
    browser.close()


def barriers(tab):
    """The serious violations of accessibility that axe-core finds."""
    found = Axe().run(tab).response["violations"]
    serious = [rule for rule in found if rule["impact"] in ("serious", "critical")]
    return [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in serious]


REAL = Path(os.environ.get("SAN_DATA") or "no such folder")


def needs(*files):
    """Skip a test unless there are such files or folders in SAN_DATA."""
    missing = [file for file in files if not (REAL / file).exists()]
    return pytest.mark.skipif(bool(missing), reason=f"SAN_DATA must have {', '.join(missing)}")


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def known(files):
    """Files of a manifest: those of `files` (name to bytes) are official."""
    return tuple(
        sanbook.data.manifest.KnownFile(name, "official", len(content), sha256(content))
        for name, content in files.items()
    )


@pytest.fixture
def change_source(monkeypatch):
    """Change what the manifest says of a data set."""

    def change(name, **facts):
        source = dataclasses.replace(sanbook.data.manifest.MANIFEST[name], **facts)
        monkeypatch.setitem(sanbook.data.manifest.MANIFEST, name, source)
        return source

    return change
