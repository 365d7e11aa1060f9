"""Choices that are judged on tissue that had no part in them."""

import doctest

import numpy as np
import pandas as pd
import pytest

from benchmarks.common import statistics
from benchmarks.common.statistics import leave_one_tissue_out, paired_difference


def test_the_left_out_tissue_has_no_part_in_the_choice():
    rng = np.random.default_rng(0)
    tissues = {f"s{number}": f"tissue {number % 4}" for number in range(9)}
    scores = pd.DataFrame(
        [(v, s, k, rng.uniform()) for v in "abcde" for s in tissues for k in range(3)],
        columns=["variant", "section", "seed", "score"],
    )
    found = leave_one_tissue_out(scores, tissues).set_index("tissue")
    assert list(found.index) == ["tissue 0", "tissue 1", "tissue 2", "tissue 3"]
    assert found["n_sections"].to_dict() == {"tissue 0": 3, "tissue 1": 2, "tissue 2": 2, "tissue 3": 2}
    for tissue, row in found.iterrows():
        means = {}
        for variant in "abcde":
            of_tissues = []
            for other in found.index.drop(tissue):
                sections = [name for name, its in tissues.items() if its == other]
                chosen = scores[(scores["variant"] == variant) & scores["section"].isin(sections)]
                of_tissues.append(chosen.groupby("section")["score"].mean().mean())
            means[variant] = np.mean(of_tissues)
        assert row["chosen"] == max(means, key=means.get)
        assert row["score_elsewhere"] == pytest.approx(max(means.values()))
        sections = [name for name, its in tissues.items() if its == tissue]
        here = scores[scores["section"].isin(sections)].groupby(["variant", "section"])["score"].mean()
        here = here.groupby("variant").mean()
        assert row["score"] == pytest.approx(here[row["chosen"]])
        assert row["best"] == here.idxmax() and row["best_score"] == pytest.approx(here.max())


def test_a_tissue_with_many_sections_does_not_outvote_the_others():
    sections = {"x1": "x", "x2": "x", "x3": "x", "y": "y", "z": "z"}
    scores = [("a", name, 1.0 if tissue == "x" else 0.0) for name, tissue in sections.items()]
    scores += [("b", name, 0.0 if tissue == "x" else 0.9) for name, tissue in sections.items()]
    found = leave_one_tissue_out(pd.DataFrame(scores, columns=["variant", "section", "score"]), sections)
    assert found.set_index("tissue")["chosen"].to_dict() == {"x": "b", "y": "a", "z": "a"}


def test_of_equal_variants_the_first_is_chosen():
    scores = [(variant, section, 0.5) for variant in "ba" for section in "xy"]
    found = leave_one_tissue_out(pd.DataFrame(scores, columns=["variant", "section", "score"]), {"x": "x", "y": "y"})
    assert (found["chosen"] == "b").all()


def test_bad_tables():
    scores = pd.DataFrame([("a", "x", 1.0), ("a", "y", 1.0), ("b", "x", 1.0)], columns=["variant", "section", "score"])
    with pytest.raises(ValueError, match="'b' has no score on 'y'"):
        leave_one_tissue_out(scores, {"x": "tissue", "y": "other"})
    with pytest.raises(ValueError, match="All sections are of one tissue, 'tissue'"):
        leave_one_tissue_out(scores[scores["variant"] == "a"], {"x": "tissue", "y": "tissue"})


def test_differences_are_summarised():
    found = paired_difference(pd.Series([0.2, 0.3, -0.1, 0.4], index=list("wxyz")))
    assert found["mean difference"] == pytest.approx(0.2) and found["ours above"] == "3 of 4"
    assert found["worst difference"] == -0.1 and found["where"] == "y" and found["P"] == pytest.approx(0.25)
    assert paired_difference(pd.Series([0.0, 0.0], index=["x", "y"]))["P"] == 1


def test_examples():
    assert doctest.testmod(statistics).failed == 0
