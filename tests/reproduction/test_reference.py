"""Tests of the reference results: what may enter, and that the committed ones keep agreeing."""

import collections
import math
import statistics

import pandas as pd
import pytest
import scipy.stats

import sanbook.reproduction.reference
from sanbook.reproduction.criteria import compare_numbers, describe_shares, shares, unmatched
from sanbook.reproduction.published import KEYS, LABELS, PUBLISHED, TABLES
from sanbook.reproduction.reference import (
    PROVENANCE,
    REPRODUCED,
    ROOT,
    describe_build,
    describe_reference,
    draws,
    headline,
    measured,
    provenance,
    read_reference,
    reference,
    write_causes,
    write_draws,
    write_runs,
)
from sanbook.reproduction.results import write_record


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
    ours = measured(results(tmp_path))
    assert ours.runs[["phi", "inverse_compression_ratio"]].to_numpy().tolist() == [[0.6, 0.3]]
    assert set(ours.absent) == {"physionet", "uci_epilepsy", "fashion_mnist"}


@pytest.mark.parametrize("record", [{"source": "simulated"}, {"profile": "quick"}])
def test_placeholder_data_and_quick_runs_stay_out(tmp_path, record):
    ours = measured(results(tmp_path, **record))
    assert len(ours.runs) == 0
    assert "mnist" in ours.absent


@pytest.mark.parametrize("record", [{"source": "simulated"}, {"profile": "quick"}])
def test_a_record_of_placeholder_data_or_of_a_quick_run_is_refused(tmp_path, record):
    before = {path: path.read_bytes() for path in REPRODUCED.iterdir()}
    with pytest.raises(
        ValueError, match=r"MNIST \((simulated|only a quick run)\). Run `make record"
    ):
        write_runs(results(tmp_path, **record))
    assert {path: path.read_bytes() for path in REPRODUCED.iterdir()} == before


def test_a_record_is_written_with_the_provenance_of_each_table(tmp_path, monkeypatch):
    monkeypatch.setattr(sanbook.reproduction.reference, "ROOT", tmp_path)
    monkeypatch.setattr(sanbook.reproduction.reference, "REPRODUCED", tmp_path / "reproduced")
    (tmp_path / "README.md").write_text("a\n<!-- ledger -->\nold\n<!-- end of ledger -->\nb\n")
    sha256 = {"train-images-idx3-ubyte": "0" * 64}
    made = dict.fromkeys(PROVENANCE, "as it was") | {
        "cards": [{"name": "mnist", "source": "real", "sha256": sha256}],
        "notebook": "not needed",
    }
    write_record(tmp_path / "provenance" / "mnist.json", made)
    write_runs(results(tmp_path))
    tables = provenance()["tables"]
    assert set(tables) == {"mnist"}
    assert tables["mnist"]["seeds"] == [0]
    assert tables["mnist"]["sha256"] == {"mnist": sha256}
    assert tables["mnist"]["commit"] == "as it was"
    assert len(reference().runs) == 1
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("a\n<!-- ledger -->\n| | run | mean matches")
    assert readme.endswith("<!-- end of ledger -->\nb\n")
    assert "old" not in readme
    assert (tmp_path / "reproduced" / "ledger.svg").stat().st_size > 1000


# --- the committed results ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def numbers():
    """The comparison of the committed results."""
    return compare_numbers(reference())


def test_the_reference_results_agree_with_the_paper_as_measured(numbers):
    counts = shares(numbers, "table")
    assert counts.run.to_dict() == {
        "physionet": 165,
        "uci_epilepsy": 160,
        "mnist": 120,
        "fashion_mnist": 120,
    }
    assert counts.either.sum() >= 0.97 * counts.run.sum()
    assert counts.mean_matches.sum() >= 0.7 * counts.run.sum()


def test_shares_are_those_of_an_independent_recount(numbers):
    runs = read_reference("runs")
    counted = collections.Counter()
    for table in TABLES:
        for row in pd.read_csv(PUBLISHED / f"{table}.csv").to_dict("records"):
            name = row.get("database", table.replace("_", "-"))
            same = runs[(runs.database == name) & (runs.activation == row["activation"])]
            at_m = same[
                (same.kernel_size == row["kernel_size"])
                & same.selection.isin(["published_m", "published_m_last"])
            ]
            living = at_m[~at_m.dead]
            ours = living[(living.selection == "published_m") & (living.init == "normal")]
            drawn = same[same.selection == "test"]
            some = pd.concat([living, drawn])
            for metric in LABELS.keys() & row.keys() if len(at_m) else ():
                near, rounding = (1.5, 0.05) if metric == "accuracy_percent" else (0.02, 0.005)
                mean = round(abs(ours[metric].mean() - row[metric]), 9) <= near
                run = any(round(abs(value - row[metric]), 9) <= near for value in some[metric])
                inside = False
                for values in (ours[metric], drawn[drawn.init == "normal"][metric]):
                    cluster = []
                    for value in [*sorted(values), math.inf]:
                        if cluster and value - cluster[-1] > 5 * near:
                            n, centre = len(cluster), statistics.mean(cluster)
                            width = statistics.stdev(cluster) * (1 + 1 / n) ** 0.5 if n > 1 else 0
                            half = scipy.stats.t.ppf(0.975, n - 1) * width if width else 0
                            apart = round(abs(row[metric] - centre), 9)
                            inside |= apart <= round(half + rounding, 9)
                            cluster = []
                        cluster.append(value)
                counted.update(run=1, mean_matches=int(mean), run_matches=int(run))
                counted.update(inside_interval=int(inside), either=int(run or inside))
    all_tables = shares(numbers, "table").sum()
    assert dict(counted) == {name: all_tables[name] for name in counted}


def test_every_number_that_no_run_matches_has_a_cause_and_no_other(numbers):
    key = [*KEYS, "metric"]
    causes = read_reference("causes")
    assert set(unmatched(numbers)[key].itertuples(index=False, name=None)) == set(
        causes[key].itertuples(index=False, name=None)
    )
    assert not causes.duplicated(key).any()
    assert causes.cause.notna().all()
    # What tested it says how many runs came near.
    assert causes.tested_by.str.contains(r"\d+ of \d+ within").all()


def test_what_the_conclusions_say_of_every_run_holds():
    sparse = ["top-k absolutes", "extrema-pool indices", "extrema"]
    runs = reference().runs.query("table == 'physionet' and selection == 'published_m'")
    phi = runs.pivot_table(index=["database", "init", "seed"], columns="activation", values="phi")
    assert (phi[sparse] < 1).all(axis=None)
    assert phi[sparse].lt(phi["identity"], axis=0).all(axis=None)
    assert (phi[sparse].lt(phi["relu"], axis=0).mean() > 0.9).all()
    images = reference().runs.query("table in ('mnist', 'fashion_mnist') and activation in @sparse")
    assert (images[images.kernel_size >= 3].phi < 1).all()
    assert (images[images.kernel_size < 3].phi > 1).any()


def test_a_build_says_how_it_differs_from_the_reference_results(tmp_path):
    nothing = describe_build(tmp_path)
    assert "PhysioNet was not run" in nothing
    assert "None of the 625 published numbers was recomputed" in nothing
    parameters = {"profile": "paper", "seeds": provenance()["tables"]["mnist"]["seeds"]}
    write_record(tmp_path / "provenance" / "mnist.json", {"parameters": parameters})
    assert "MNIST was" not in describe_build(tmp_path).replace("Fashion-MNIST", "")
    for changed, said in (({"profile": "quick"}, "quick profile"), ({"seeds": [7]}, "has 1 ")):
        write_record(tmp_path / "provenance" / "mnist.json", {"parameters": parameters | changed})
        assert said in describe_build(tmp_path)


@pytest.mark.parametrize(("profile", "source"), [("quick", "real"), ("paper", "simulated")])
def test_causes_of_placeholder_data_or_of_a_quick_run_are_refused(tmp_path, profile, source):
    before = (REPRODUCED / "causes.csv").read_bytes()
    made = {"profile": profile, "cards": {"mnist": {"source": source}}, "rows": []}
    write_record(tmp_path / "causes.json", made)
    with pytest.raises(ValueError, match="of a full run on the paper"):
        write_causes(tmp_path)
    assert (REPRODUCED / "causes.csv").read_bytes() == before


def test_further_draws_are_what_the_code_prints_from_normal_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(sanbook.reproduction.reference, "REPRODUCED", tmp_path / "reproduced")
    (tmp_path / "reproduced").mkdir()
    row = {"database": "mitdb", "activation": "relu", "seed": 10, "kernel_size": 7, "phi": 0.5}
    rows = [
        row | {"init": init, "selection": selection}
        for init in ("normal", "constant")
        for selection in ("test", "validation")
    ]
    cards = {"mitdb": {"name": "mitdb", "source": "real", "sha256": {"100.dat": "0" * 64}}}
    write_record(tmp_path / "procedure.json", {"profile": "paper", "cards": cards, "rows": rows})
    made = dict.fromkeys(PROVENANCE, "as it was") | {"cards": list(cards.values())}
    write_record(tmp_path / "provenance" / "procedure.json", made)
    write_draws(tmp_path)
    expected = row | {"init": "normal", "table": "physionet", "selection": "test", "dead": False}
    assert draws().to_dict("records") == [expected]
    assert provenance()["draws"]["seeds"] == [10]


def test_committed_draws_have_other_seeds_than_the_runs_and_as_many_of_each_pair():
    further, runs = draws(), reference().runs.query("table == 'physionet'")
    assert set(further.seed).isdisjoint(runs.seed)
    assert sorted(set(further.seed)) == provenance()["draws"]["seeds"]
    seeds = further.groupby(["database", "activation"]).seed
    assert seeds.nunique().eq(further.seed.nunique()).all()
    assert seeds.size().eq(further.seed.nunique()).all()
    pairs = runs[runs.activation != "identity"].groupby(["database", "activation"]).ngroups
    assert seeds.ngroups == pairs


def test_the_readme_shows_the_reference_results():
    text = (ROOT / "README.md").read_text()
    assert headline() in text
    assert describe_shares(compare_numbers(reference())) in headline()
    assert describe_reference() in headline()


def test_the_reference_results_say_where_they_come_from():
    facts = provenance()
    assert set(facts["tables"]) | set(facts["absent"]) >= set(TABLES)
    for made in (*facts["tables"].values(), facts["draws"]):
        assert set(made) == {*PROVENANCE, "seeds", "sha256"}
        assert len(made["commit"]) == 40
        hashes = [sha256 for files in made["sha256"].values() for sha256 in files.values()]
        assert hashes
        assert all(len(sha256) == 64 for sha256 in hashes)
