"""The one reader and writer of results."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.common import results
from benchmarks.common.results import Results

COLUMNS = {"method": str, "variant": str, "seed": int, "size": int, "ari": float}


@pytest.fixture
def table(tmp_path):
    return Results(tmp_path / "out" / "results.csv", COLUMNS, ["method", "variant", "seed"])


def row(method="PCA", variant="", seed=0, **more):
    return {"method": method, "variant": variant, "seed": seed, "ari": 1 / 3} | more


def test_what_is_written_is_read_again(table):
    assert table.read().empty and table.done() == set() and list(table.read().columns) == list(COLUMNS)
    table.write([row(), row("None", variant="NA", size=3)])
    table.write([row("151673", seed=1)])
    read = table.read()
    assert read["method"].tolist() == ["PCA", "None", "151673"] and read["variant"].tolist() == ["", "NA", ""]
    # Every digit comes back, and whole numbers stay whole where some are missing.
    assert (read["ari"] == 1 / 3).all() and read["size"].isna().tolist() == [True, False, True] and read["size"][1] == 3
    assert table.done() == {("PCA", "", 0), ("None", "NA", 0), ("151673", "", 1)}


def test_numbers_are_rounded_where_asked(tmp_path):
    table = Results(tmp_path / "results.csv", COLUMNS, ["method"], digits=2)
    table.write([row(), row(ari=None)])
    assert table.path.read_text() == "method,variant,seed,size,ari\nPCA,,0,,0.33\nPCA,,0,,\n"


def test_a_row_that_was_cut_off_is_dropped_and_the_others_stay(table):
    table.write([row(), row(seed=1)])
    whole = table.path.read_text().splitlines(keepends=True)
    table.path.write_text("".join(whole[:-1]) + whole[-1][:7])
    assert table.done() == {("PCA", "", 0)}
    table.write([row(seed=1)])
    assert table.path.read_text() == "".join(whole)
    # Not even the header was whole.
    table.path.write_text(whole[0][:5])
    assert table.read().empty
    table.write([row()])
    assert table.path.read_text() == "".join(whole[:2])


def test_rows_are_written_all_or_none(table, monkeypatch):
    table.write([row()])
    before = table.path.read_text()

    class FullDisk:
        """A file that takes half of what it is given."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, data):
            return self.file.write(data[: len(data) // 2])

    opened = type(table.path).open
    monkeypatch.setattr(type(table.path), "open", lambda *arguments, **more: FullDisk(opened(*arguments, **more)))
    with pytest.raises(OSError, match="may be full"):
        table.write([row(seed=1), row(seed=2)])
    monkeypatch.undo()
    assert table.path.read_text() == before


def test_rows_of_a_column_are_replaced(table):
    table.write([row("a"), row("b"), row("b", seed=1), row("c")])
    table.replace(pd.DataFrame([row("b", ari=0.5, size=2), row("d", ari=0.5, size=2)]), "method")
    assert table.read()["method"].tolist() == ["a", "c", "b", "d"]
    assert table.read()["ari"].tolist() == [1 / 3, 1 / 3, 0.5, 0.5]


def test_bad_tables(table):
    with pytest.raises(ValueError, match="has no columns nmi"):
        table.write([row(nmi=0.5)])
    table.path.parent.mkdir()
    table.path.write_text("method,seed\nPCA,0\n")
    with pytest.raises(ValueError, match="has the columns method, seed, not method, variant"):
        table.read()


def test_settings_of_a_folder_do_not_change(tmp_path):
    results.check_settings(tmp_path / "out", {"dropped": ("a",), "max_epochs": None})
    results.check_settings(tmp_path / "out", {"dropped": ["a"], "max_epochs": None})
    with pytest.raises(SystemExit, match="other settings, .*'dropped': \\['a'\\]"):
        results.check_settings(tmp_path / "out", {"dropped": (), "max_epochs": None})


def test_arrays_are_computed_once(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return np.arange(3.0)

    for _ in range(2):
        np.testing.assert_array_equal(results.kept(tmp_path / "latents" / "a; b; 0.npy", compute), np.arange(3.0))
    assert calls == [1] and [path.name for path in (tmp_path / "latents").iterdir()] == ["a; b; 0.npy"]
