"""Tests of the ledger: verdicts, what may enter, and that the committed record keeps agreeing."""

import collections
import math
import re
import statistics

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import sanbook.reproduction.ledger
from sanbook.reproduction.causes import open_numbers
from sanbook.reproduction.ledger import LABELS, Evidence, ledger, prediction_interval
from sanbook.reproduction.results import PUBLISHED, write_record

KEY = {"table": "mnist", "database": "mnist", "activation": "extrema", "kernel_size": 3}


@pytest.fixture
def one_published_row(monkeypatch):
    """The paper prints one row: CR^-1 .30, loss .50, phi .60, accuracy 90."""
    values = {"inverse_compression_ratio": 0.3, "normalized_reconstruction_loss": 0.5,
              "phi": 0.6, "accuracy_percent": 90.0}  # fmt: skip
    rows = [KEY | {"metric": metric, "published": value} for metric, value in values.items()]
    monkeypatch.setattr(
        sanbook.reproduction.ledger, "published_numbers", lambda: pd.DataFrame(rows)
    )


def run(selection="published_m", dead=False, **values):
    """One measured row; without values equal to the published one."""
    row = {"inverse_compression_ratio": 0.3, "normalized_reconstruction_loss": 0.5, "phi": 0.6,
           "accuracy_percent": 90.0, "seed": 0, "init": "normal"}  # fmt: skip
    return KEY | row | {"selection": selection, "dead": dead} | values


def verdicts(*runs, absent=None):
    rows = pd.DataFrame(runs, columns=sanbook.reproduction.ledger.RECORDED)
    return ledger(Evidence(rows, absent or {})).set_index("metric")


@pytest.mark.parametrize(
    ("phi", "strict"), [(0.6, True), (0.619, True), (0.581, True), (0.621, False), (0.579, False)]
)
def test_strict_is_the_mean_within_two_hundredths(one_published_row, phi, strict):
    assert verdicts(run(phi=phi + 0.1), run(phi=phi - 0.1, seed=1)).strict["phi"] == strict


def test_lenient_is_any_run_and_the_range_is_shown(one_published_row):
    row = verdicts(run(phi=0.9), run(phi=0.61, seed=1), run(phi=0.5, seed=2)).loc["phi"]
    assert (row.verdict, row.low, row.high, row.runs) == ("lenient", 0.5, 0.9, 3)
    assert row["mean"] == pytest.approx(0.67)
    assert row.difference == pytest.approx(0.07)


@pytest.mark.parametrize(
    ("accuracies", "strict", "lenient"),
    [((89, 92), True, True), ((91.4, 95), False, True), ((80, 95), False, False)],
)
def test_an_accuracy_has_a_tolerance_of_points(one_published_row, accuracies, strict, lenient):
    rows = [run(accuracy_percent=value, seed=seed) for seed, value in enumerate(accuracies)]
    row = verdicts(*rows).loc["accuracy_percent"]
    assert (row.strict, row.lenient) == (strict, lenient)


@pytest.mark.parametrize("other", [{"init": "constant"}, {"selection": "published_m_last"}])
def test_other_initialisations_and_the_last_epoch_count_for_lenient_only(one_published_row, other):
    row = verdicts(run(phi=0.9), run(phi=0.6, **other)).loc["phi"]
    assert (row.strict, row.lenient, row["mean"], row.runs) == (False, True, 0.9, 1)


def test_the_size_that_is_best_on_test_counts_for_lenient_only(one_published_row):
    row = verdicts(run(phi=0.9), run(selection="test", phi=0.6, kernel_size=5)).loc["phi"]
    assert (row.verdict, row.best_m, row.at_best_m) == ("lenient", 5, 0.6)
    assert row["mean"] == 0.9


def test_likely_is_the_prediction_interval_of_one_further_run(one_published_row):
    values = [0.65, 0.66, 0.67, 0.70]
    rows = [run(phi=value, seed=seed) for seed, value in enumerate(values)]
    # mean .67, s .0216, t(3) 3.182: half the width is .0769, with the rounding .0819.
    assert verdicts(*rows).likely["phi"]
    low, high = prediction_interval(np.array(values), rounding=0.005)
    assert (low, high) == (pytest.approx(0.5881, abs=1e-4), pytest.approx(0.7519, abs=1e-4))
    assert not verdicts(*rows[:3]).likely["phi"]


def test_prediction_interval_holds_its_promise():
    random = np.random.default_rng(0)
    inside = 0
    for runs in random.normal(size=(4000, 6)):
        low, high = prediction_interval(runs[:5], rounding=0)
        inside += low <= runs[5] <= high
    assert inside / 4000 == pytest.approx(0.95, abs=0.012)


def test_each_level_has_an_interval_of_its_own(one_published_row):
    rows = [run(phi=v, seed=i) for i, v in enumerate([0.30, 0.31, 1.20, 1.21])]
    row = verdicts(*rows).loc["phi"]
    assert not row.likely  # between the levels, where no run ends
    assert row.levels == "2 × 0.30, 2 × 1.21"
    assert verdicts(*rows, run(phi=0.6, seed=9)).likely["phi"]


def test_dead_networks_are_counted_and_do_not_agree_by_chance(one_published_row):
    row = verdicts(run(dead=True), run(phi=0.9, seed=1)).loc["phi"]
    assert (row.verdict, row.dead, row["mean"]) == ("differs", 1, 0.9)
    row = verdicts(run(dead=True)).loc["phi"]
    assert (row.verdict, row.reason) == ("differs", "every network is dead")


def test_what_was_not_run_says_why(one_published_row):
    assert set(verdicts(absent={"mnist": "simulated"}).reason) == {"simulated"}
    assert set(verdicts().verdict) == {"not run"}


def test_every_published_number_is_in_the_ledger():
    numbers = sanbook.reproduction.ledger.published_numbers()
    assert numbers.value_counts("table").to_dict() == {
        "physionet": 75 * 3,
        "uci_epilepsy": 40 * 4,
        "mnist": 30 * 4,
        "fashion_mnist": 30 * 4,
    }
    assert not numbers.duplicated([*sanbook.reproduction.ledger.KEYS, "metric"]).any()
    assert numbers.published.notna().all()


# --- what may enter -------------------------------------------------------------------------------


def results(tmp_path, **mnist):
    """Results with a record of MNIST: one network at the published size, and its twin choices."""
    values = {
        "inverse_compression_ratio": 0.4,
        "normalized_reconstruction_loss": 0.5,
        "phi": 0.7,
        "accuracy_percent": 90.0,
        "inverse_compression_ratio_qm": 0.3,
        "phi_qm": 0.6,
    }
    rows = [
        {"kernel_size": 3, "activation": "extrema", "seed": 0, "init": "normal", "dead": False,
         "selection": selection, "data_source": mnist.get("source", "real"), **values}
        for selection in ("published_m", "validation", "test")
    ]  # fmt: skip
    card = {"name": "mnist", "source": mnist.pop("source", "real")}
    record = {"dataset": "mnist", "cards": {"mnist": card}, "profile": "paper", "rows": rows}
    write_record(tmp_path / "mnist.json", record | mnist)
    return tmp_path


def test_images_enter_with_weights_counted_as_published_and_once(tmp_path):
    ours = sanbook.reproduction.ledger.measured(results(tmp_path))
    assert ours.runs[["phi", "inverse_compression_ratio"]].to_numpy().tolist() == [[0.6, 0.3]]
    assert set(ours.absent) == {"physionet", "uci_epilepsy", "fashion_mnist"}


@pytest.mark.parametrize("record", [{"source": "simulated"}, {"profile": "quick"}])
def test_placeholder_data_and_quick_runs_stay_out(tmp_path, record):
    ours = sanbook.reproduction.ledger.measured(results(tmp_path, **record))
    assert len(ours.runs) == 0
    assert "mnist" in ours.absent


@pytest.mark.parametrize("record", [{"source": "simulated"}, {"profile": "quick"}])
def test_a_record_of_placeholder_data_or_of_a_quick_run_is_refused(tmp_path, record):
    before = {path: path.read_bytes() for path in sanbook.reproduction.ledger.REPRODUCED.iterdir()}
    with pytest.raises(ValueError, match=r"MNIST \((simulated|only a quick run)\); run `make book"):
        sanbook.reproduction.ledger.keep_record(results(tmp_path, **record))
    assert {
        path: path.read_bytes() for path in sanbook.reproduction.ledger.REPRODUCED.iterdir()
    } == before


def test_a_record_is_written_with_the_provenance_of_each_table(tmp_path, monkeypatch):
    monkeypatch.setattr(sanbook.reproduction.ledger, "ROOT", tmp_path)
    monkeypatch.setattr(sanbook.reproduction.ledger, "REPRODUCED", tmp_path / "reproduced")
    (tmp_path / "README.md").write_text("a\n<!-- ledger -->\nold\n<!-- end of ledger -->\nb\n")
    sha256 = {"train-images-idx3-ubyte": "0" * 64}
    made = dict.fromkeys(sanbook.reproduction.ledger.PROVENANCE, "as it was") | {
        "cards": [{"name": "mnist", "source": "real", "sha256": sha256}],
        "notebook": "not needed",
    }
    write_record(tmp_path / "provenance" / "mnist.json", made)
    sanbook.reproduction.ledger.keep_record(results(tmp_path))
    tables = sanbook.reproduction.ledger.provenance()["tables"]
    assert set(tables) == {"mnist"}
    assert tables["mnist"]["seeds"] == [0]
    assert tables["mnist"]["sha256"] == {"mnist": sha256}
    assert tables["mnist"]["commit"] == "as it was"
    assert len(sanbook.reproduction.ledger.recorded().runs) == 1
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("a\n<!-- ledger -->\n| | run | strict")
    assert readme.endswith("<!-- end of ledger -->\nb\n")
    assert "old" not in readme
    assert (tmp_path / "reproduced" / "ledger.svg").stat().st_size > 1000


# --- the committed record -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def numbers():
    """The ledger of the committed record."""
    return ledger(sanbook.reproduction.ledger.recorded())


def test_the_committed_record_agrees_with_the_paper_as_measured(numbers):
    counts = sanbook.reproduction.ledger.shares(numbers, "table")
    assert counts.run.to_dict() == {
        "physionet": 135,
        "uci_epilepsy": 160,
        "mnist": 120,
        "fashion_mnist": 120,
    }
    assert counts.either.sum() >= 0.97 * counts.run.sum()
    assert counts.strict.sum() >= 0.77 * counts.run.sum()


def test_a_share_has_its_denominator_and_names_what_was_not_run(numbers):
    said = sanbook.reproduction.ledger.describe_shares(numbers)
    assert said.startswith("Of 625 published numbers 535 were run: ")
    assert "not run: apnea-ecg, cebsdb, prcp, shhpsgdb, slpdb, sufhsdb" in said
    for verdict in (*sanbook.reproduction.ledger.VERDICTS, "lenient or likely"):
        assert re.search(rf"\d+ of 535 \(\d+ %\) {verdict}", said)
    nothing = numbers[numbers.verdict == "not run"]
    assert "0 were run: none" in sanbook.reproduction.ledger.describe_shares(nothing)


def test_shares_are_those_of_an_independent_recount(numbers):
    runs = pd.read_csv(sanbook.reproduction.ledger.REPRODUCED / "runs.csv")
    counted = collections.Counter()
    for table in ("physionet", "uci_epilepsy", "mnist", "fashion_mnist"):
        for row in pd.read_csv(PUBLISHED / f"{table}.csv").to_dict("records"):
            name = row.get("database", table.replace("_", "-"))
            same = runs[(runs.database == name) & (runs.activation == row["activation"])]
            at_m = same[(same.kernel_size == row["kernel_size"]) & (same.selection != "test")]
            living = at_m[~at_m.dead]
            start = "constant" if table == "physionet" else "normal"
            ours = living[(living.selection == "published_m") & (living.init == start)]
            some = pd.concat([living, same[same.selection == "test"]])
            for metric in LABELS.keys() & row.keys() if len(at_m) else ():
                near, rounding = (1.5, 0.05) if metric == "accuracy_percent" else (0.02, 0.005)
                strict = round(abs(ours[metric].mean() - row[metric]), 9) <= near
                lenient = any(round(abs(value - row[metric]), 9) <= near for value in some[metric])
                likely, level = False, []
                for value in [*sorted(ours[metric]), math.inf]:
                    if level and value - level[-1] > 5 * near:
                        n, mean = len(level), statistics.mean(level)
                        width = statistics.stdev(level) * (1 + 1 / n) ** 0.5 if n > 1 else 0
                        half = rounding + (scipy.stats.t.ppf(0.975, n - 1) * width if width else 0)
                        likely |= round(abs(row[metric] - mean), 9) <= round(half, 9)
                        level = []
                    level.append(value)
                counted.update(run=1, strict=int(strict), lenient=int(lenient))
                counted.update(likely=int(likely), either=int(lenient or likely))
    shares = sanbook.reproduction.ledger.shares(numbers, "table").sum()
    assert dict(counted) == {name: shares[name] for name in counted}
    words = f"{counted['strict']} of {counted['run']} ({counted['strict'] / counted['run']:.0%}"
    assert words.replace("%", " %) strict") in sanbook.reproduction.ledger.headline()


def test_every_number_that_no_run_comes_near_has_a_cause_and_no_other(numbers):
    left = open_numbers(numbers)
    key = [*sanbook.reproduction.ledger.KEYS, "metric"]
    causes = pd.read_csv(sanbook.reproduction.ledger.CAUSES)
    assert set(left[key].itertuples(index=False, name=None)) == set(
        causes[key].itertuples(index=False, name=None)
    )
    assert not causes.duplicated(key).any()
    assert causes.cause.notna().all()
    # What tested it says how many runs came near.
    assert causes.tested_by.str.contains(r"\d+ of \d+ within").all()


def test_what_the_conclusions_say_of_every_run_holds_in_the_record():
    runs = sanbook.reproduction.ledger.recorded().runs.query(
        "table == 'physionet' and selection == 'published_m'"
    )
    phi = runs.pivot_table(index=["database", "init", "seed"], columns="activation", values="phi")
    for sparse in ("top-k absolutes", "extrema-pool indices", "extrema"):
        assert (phi[sparse] < 1).all()
        assert (phi[sparse] < phi["identity"]).all()
        assert (phi[sparse] < phi["relu"]).mean() > 0.95


def test_a_build_says_how_it_differs_from_the_record():
    made = sanbook.reproduction.ledger.provenance()["tables"]["mnist"]
    real = {"mnist": {"source": "real"}}
    assert (
        sanbook.reproduction.ledger.describe_difference("mnist", "paper", made["seeds"], real) == ""
    )
    said = sanbook.reproduction.ledger.describe_difference(
        "mnist", "quick", [7], {"mnist": {"source": "simulated"}}
    )
    assert said.startswith("the quick profile, the seed 7 instead of the seeds 0 to ")
    assert said.endswith(", simulated data of mnist")


@pytest.mark.parametrize(("profile", "source"), [("quick", "real"), ("paper", "simulated")])
def test_causes_of_placeholder_data_or_of_a_quick_run_are_refused(tmp_path, profile, source):
    before = sanbook.reproduction.ledger.CAUSES.read_bytes()
    record = {"profile": profile, "cards": {"mnist": {"source": source}}, "rows": []}
    write_record(tmp_path / "causes.json", record)
    with pytest.raises(ValueError, match="causes from full runs"):
        sanbook.reproduction.ledger.keep_causes(tmp_path)
    assert sanbook.reproduction.ledger.CAUSES.read_bytes() == before


def test_the_readme_shows_the_committed_record():
    text = (sanbook.reproduction.ledger.ROOT / "README.md").read_text()
    assert sanbook.reproduction.ledger.headline() in text


def test_the_record_says_where_it_comes_from():
    facts = sanbook.reproduction.ledger.provenance()
    assert set(facts["tables"]) | set(facts["absent"]) >= set(sanbook.reproduction.ledger.TABLES)
    for made in facts["tables"].values():
        assert set(made) == {*sanbook.reproduction.ledger.PROVENANCE, "seeds", "sha256"}
        assert len(made["commit"]) == 40
        hashes = [sha256 for files in made["sha256"].values() for sha256 in files.values()]
        assert hashes
        assert all(len(sha256) == 64 for sha256 in hashes)
    assert set(LABELS) < set(
        pd.read_csv(sanbook.reproduction.ledger.REPRODUCED / "runs.csv").columns
    )
