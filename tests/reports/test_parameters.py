"""Tests of the first cell of a notebook, and of where results of other pages are found."""

import json

import pytest

from sanbook.reports import ParameterError, check, find_results
from sanbook.reproduction import results

CELLS = ["", 'database: str = "mitdb"  # a name\nseeds: list = [0]']


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"database": "mit-bih"}, "database: 'mit-bih' is unknown. Choose one of apnea-ecg,"),
        ({"database": "mnist"}, "database: 'mnist' is unknown"),
        ({"databases": "mitdb"}, "databases: expected a list of names, but got 'mitdb'"),
        ({"databases": ["mitdb", "nsrdb"]}, "databases: 'nsrdb' is unknown"),
        ({"dataset": "mitdb"}, "Choose one of uci-epilepsy, mnist, fashion-mnist."),
        ({"datasets": []}, "datasets: expected a list of names, but got []"),
        ({"profile": "Paper"}, "profile: 'Paper' is unknown. Choose one of paper, quick."),
        ({"data": "Real"}, "data: 'Real' is unknown. Choose one of auto, real, sample."),
        ({"data_directory": "/nowhere"}, "data_directory: there is no folder '/nowhere'"),
        ({"seeds": 0}, "seeds: expected a list of different whole numbers from 0"),
        ({"seeds": []}, "but got []"),
        ({"seeds": [1, 1]}, "but got [1, 1]"),
        ({"seed": "0"}, "seed: expected a whole number from 0, but got '0'"),
        ({"kernel_sizes": [0, 5]}, "kernel_sizes: expected a list of different whole numbers"),
        ({"window": 2.5}, "window: expected a whole number from 8, but got 2.5"),
        ({"path": "my.csv"}, "path: there is no file 'my.csv' in /"),
        ({"results": None}, "results: expected text in quotes, but got None"),
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
