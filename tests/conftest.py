"""What all tests share."""

import pytest
import requests
import torch

import san_data


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tensors this small gain nothing from threads that, on a busy machine, wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No connection: `requests` raises, as without a network; returns the urls asked for."""
    asked = []

    def refuse(url, **options):
        asked.append(url)
        raise requests.ConnectionError("no network in tests")

    monkeypatch.setattr(requests, "head", refuse)
    monkeypatch.setattr(requests, "get", refuse)
    san_data._unreachable.cache_clear()
    yield asked
    san_data._unreachable.cache_clear()
