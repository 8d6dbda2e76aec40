"""Tests of the first cell of a notebook, and of where results of other pages are found."""

import json

import pytest

from sanbook.reports import ParameterError, check, find_results
from sanbook.reproduction import results

CELLS = ["", 'database: str = "mitdb"  # a name\nseeds: list = [0]']


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"database": "mit-bih"}, "database: 'mit-bih' cannot be used. Give one of apnea-ecg,"),
        ({"database": "mnist"}, "database: 'mnist' cannot be used"),
        ({"databases": "mitdb"}, "databases: 'mitdb' cannot be used. Give a list of different"),
        ({"databases": ["mitdb", "nsrdb"]}, "databases: ['mitdb', 'nsrdb'] cannot be used"),
        ({"dataset": "mitdb"}, "Give one of uci-epilepsy, mnist, fashion-mnist."),
        ({"datasets": []}, "datasets: [] cannot be used. Give a list of different names"),
        ({"profile": "Paper"}, "profile: 'Paper' cannot be used. Give one of paper, quick."),
        ({"data": "Real"}, "data: 'Real' cannot be used. Give one of auto, real, sample."),
        ({"data_directory": "/nowhere"}, "Give the absolute path of a folder that exists; empty:"),
        ({"seeds": 0}, "seeds: 0 cannot be used. Give a list of different whole numbers from 0"),
        ({"seeds": []}, "seeds: [] cannot be used"),
        ({"seeds": [1, 1]}, "seeds: [1, 1] cannot be used"),
        ({"seeds": [[1]]}, "seeds: [[1]] cannot be used"),
        ({"seed": "0"}, "seed: '0' cannot be used. Give a whole number from 0."),
        ({"kernel_sizes": [0, 5]}, "kernel_sizes: [0, 5] cannot be used"),
        ({"window": 2.5}, "window: 2.5 cannot be used. Give a whole number from 8."),
        ({"path": "my.csv"}, "path: 'my.csv' cannot be used. Give the absolute path of a file"),
        ({"results": None}, "results: None cannot be used. Give text in quotes."),
    ],
)
def test_a_wrong_parameter_is_refused_in_a_line(parameters, said):
    with pytest.raises(ParameterError) as refused:
        check(parameters)
    assert said in str(refused.value)
    assert refused.value._render_traceback_() == [str(refused.value)]
    assert "\n" not in str(refused.value)


def test_right_parameters_are_accepted(tmp_path):
    check({"database": "bidmc", "seeds": [3, 1], "kernel_sizes": [], "profile": "quick",
           "data_directory": str(tmp_path), "results": "", "In": CELLS})  # fmt: skip


def test_a_mistyped_parameter_of_papermill_is_refused():
    injected = '# Parameters\ndatabse = "bidmc"\n'
    with pytest.raises(ParameterError, match="databse: the notebook has no such parameter"):
        check({"database": "mitdb", "In": [*CELLS, injected]})
    check({"database": "bidmc", "In": [*CELLS, '# Parameters\ndatabase = "bidmc"\n', "x = 1"]})


def test_results_are_found_in_a_folder_or_in_the_last_build(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "BUILD", tmp_path)
    assert find_results("scales") is None
    for name in ("quick", "paper", "own"):
        folder = tmp_path / name / "results"
        folder.mkdir(parents=True)
        (folder / "scales.json").write_text(json.dumps({"profile": name}))
        own = str(folder) if name == "own" else ""
        assert find_results("scales", own).results == {"profile": name}
    assert find_results("scales").origin.endswith("paper/results`")
    assert find_results("study", str(tmp_path)) is None
