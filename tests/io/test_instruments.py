"""Output of instruments: what is written in their layouts is read back exactly."""

import gzip
import json

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import io, sparse

from spotscape import pp
from spotscape.io import read_sections

N_SPOTS, N_GENES = 40, 6


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson(2, (N_SPOTS, N_GENES))


@pytest.fixture
def positions():
    """Positions of Visium, in another order than the barcodes and with spots that have no counts."""
    order = np.random.default_rng(1).permutation(N_SPOTS + 5)
    rows, columns = np.divmod(order, 8)
    return pd.DataFrame(
        {
            "barcode": [f"AAC{i}-1" for i in order],
            "in_tissue": 1,
            "array_row": rows,
            "array_col": columns,
            "pxl_row_in_fullres": 20 + 40 * rows,
            "pxl_col_in_fullres": 20 + 40 * columns,
        }
    )


def write_h5(path, counts, names, *, genes=None, kinds=None, shape_type=np.int32):
    """A 10x matrix, as Cell Ranger lays it out: features in rows."""
    matrix = sparse.csr_matrix(counts)
    genes = [f"gene{i}" for i in range(matrix.shape[1])] if genes is None else genes
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["shape"] = np.array(matrix.shape[::-1], dtype=shape_type)
        group["data"], group["indices"], group["indptr"] = matrix.data.astype(np.int32), matrix.indices, matrix.indptr
        group["barcodes"] = np.array(names, dtype="S")
        features = group.create_group("features")
        features["id"] = np.array([f"ENSG{i:011}" for i in range(len(genes))], dtype="S")
        features["name"] = np.array(genes, dtype="S")
        features["feature_type"] = np.array(kinds or ["Gene Expression"] * len(genes), dtype="S")
        features["genome"] = np.array(["GRCh38"] * len(genes), dtype="S")


def write_mtx(folder, counts, names, *, packed):
    folder.mkdir(parents=True)
    io.mmwrite(folder / "matrix.mtx", sparse.coo_matrix(counts.T))
    features = "".join(f"ENSG{i:011}\tgene{i}\tGene Expression\n" for i in range(counts.shape[1]))
    (folder / "features.tsv").write_text(features)
    (folder / "barcodes.tsv").write_text("".join(f"{name}\n" for name in names))
    if packed:
        for path in list(folder.iterdir()):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()


def write_images(folder, factors):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(2).integers(0, 255, (240, 400, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "tissue_hires_image.png")
    (folder / "scalefactors_json.json").write_text(json.dumps(factors))
    return pixels


def barcodes():
    return [f"AAC{i}-1" for i in range(N_SPOTS)]


def write_visium(folder, counts, positions, *, form="csv", **matrix):
    spatial = folder / "spatial"
    pixels = write_images(spatial, {"tissue_hires_scalef": 1.0, "spot_diameter_fullres": 32.5, "unused": None})
    write_h5(folder / "filtered_feature_bc_matrix.h5", counts, barcodes(), **matrix)
    if form == "parquet":
        positions.to_parquet(spatial / "tissue_positions.parquet", index=False)
    elif form == "list":
        positions.to_csv(spatial / "tissue_positions_list.csv", index=False, header=False)
    else:
        positions.to_csv(spatial / "tissue_positions.csv", index=False)
    return pixels


def expected_positions(positions):
    return positions.set_index("barcode").loc[barcodes(), ["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy()


@pytest.mark.parametrize("form", ["csv", "list", "parquet"])
def test_visium(tmp_path, counts, positions, form):
    pixels = write_visium(tmp_path / "A" / "outs", counts, positions, form=form)
    for path in (tmp_path / "A", tmp_path / "A" / "outs", tmp_path / "A/outs/filtered_feature_bc_matrix.h5"):
        found = read_sections(path)
        np.testing.assert_array_equal(found.X.toarray(), counts)
        np.testing.assert_array_equal(found.obsm["spatial"], expected_positions(positions))
        assert list(found.obs_names) == barcodes() and set(found.obs["slice"]) == {"A"}
        library = found.uns["spatial"]["A"]
        np.testing.assert_array_equal(library["images"]["hires"], pixels)
        assert library["scalefactors"] == {"tissue_hires_scalef": 1.0, "spot_diameter_fullres": 32.5}
        assert found.uns["spatial_units"]["A"] == {"unit": "pixel", "micrometres_per_unit": 2.0}
    found.write_h5ad(tmp_path / "a.h5ad")
    assert read_sections(tmp_path / "a.h5ad").uns["spatial"].keys() == {"A"}


def test_spots_off_tissue_are_read_if_asked_for(tmp_path, counts, positions):
    positions.loc[positions["barcode"] == "AAC3-1", "in_tissue"] = 0
    write_visium(tmp_path / "A", counts, positions)
    assert "AAC3-1" not in read_sections(tmp_path / "A").obs_names
    assert list(read_sections(tmp_path / "A", off_tissue=True).obs_names) == barcodes()


@pytest.mark.parametrize("packed", [False, True])
def test_raw_matrices_as_mtx(tmp_path, counts, positions, packed):
    write_mtx(tmp_path / "A/raw_feature_bc_matrix", counts, barcodes(), packed=packed)
    (tmp_path / "A/spatial").mkdir()
    positions.to_csv(tmp_path / "A/spatial/tissue_positions.csv", index=False)
    for path in (tmp_path / "A", tmp_path / "A/raw_feature_bc_matrix"):
        with pytest.warns(UserWarning, match="raw matrix"):
            found = read_sections(path)
        np.testing.assert_array_equal(found.X.toarray(), counts)
        np.testing.assert_array_equal(found.obsm["spatial"], expected_positions(positions))


def test_image_features_of_two_visium_folders(tmp_path, counts, positions):
    for name in "AB":
        write_visium(tmp_path / name / "outs", counts, positions)
    joined = read_sections([tmp_path / "A/outs", tmp_path / "B/outs"])
    assert list(joined.obs["slice"].cat.categories) == ["A", "B"] == list(joined.uns["spatial"])
    assert joined.obs_names.is_unique and joined.n_obs == 2 * N_SPOTS
    pp.image_features(joined, slice_key="slice", n_jobs=1)
    features = joined.obsm["X_image"]
    np.testing.assert_array_equal(features[:N_SPOTS], features[N_SPOTS:])
    assert np.isfinite(features).all()


def write_hd(folder, size, counts, positions, n_located):
    square = folder / "binned_outputs" / f"square_{size:03}um"
    factors = {"tissue_hires_scalef": 0.5, "microns_per_pixel": 0.25, "bin_size_um": size, "spot_diameter_fullres": 32}
    write_images(square / "spatial", factors)
    write_h5(square / "filtered_feature_bc_matrix.h5", counts, barcodes())
    located = positions[positions["barcode"].isin(barcodes()[:n_located])]
    located.to_parquet(square / "spatial" / "tissue_positions.parquet", index=False)


def test_visium_hd_has_one_bin_size_a_call(tmp_path, counts, positions):
    write_hd(tmp_path / "hd/outs", 8, counts, positions, N_SPOTS)
    found = read_sections(tmp_path / "hd")
    np.testing.assert_array_equal(found.obsm["spatial"], expected_positions(positions))
    assert found.uns["spatial_units"]["hd"] == {"unit": "pixel", "micrometres_per_unit": 0.25}
    write_hd(tmp_path / "hd/outs", 16, counts, positions, 10)
    with pytest.raises(ValueError, match="bins of 8, 16 micrometres; .*`bin_size=8`"):
        read_sections(tmp_path / "hd")
    with pytest.raises(ValueError, match="`bin_size` is 2"):
        read_sections(tmp_path / "hd", bin_size=2)
    with pytest.warns(UserWarning, match="30 of 40 spots of .* have no position"):
        found = read_sections(tmp_path / "hd", bin_size=16)
    np.testing.assert_array_equal(found.X.toarray(), counts[:10])


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize("shape_type", [np.int32, np.float64])
def test_xenium(tmp_path, counts, form, shape_type):
    names = [f"cell{i}-1" for i in range(N_SPOTS)]
    genes = ["NEGR1", "B", "C", "D", "NegControlProbe_1", "BLANK_1"]
    kinds = ["Gene Expression"] * 4 + ["Negative Control Probe", "Blank Codeword"]
    write_h5(tmp_path / "cell_feature_matrix.h5", counts, names, genes=genes, kinds=kinds, shape_type=shape_type)
    cells = pd.DataFrame({"cell_id": names, "x_centroid": np.arange(40.0), "y_centroid": 1.5, "cell_area": 7.0})
    shuffled = cells.sample(frac=1, random_state=0)
    if form == "parquet":
        shuffled.assign(cell_id=[name.encode() for name in shuffled["cell_id"]]).to_parquet(tmp_path / "cells.parquet")
    else:
        shuffled.to_csv(tmp_path / f"cells.{form}", index=False)
    found = read_sections(tmp_path)
    np.testing.assert_array_equal(found.X.toarray(), counts[:, :4])
    np.testing.assert_array_equal(found.obsm["spatial"], cells[["x_centroid", "y_centroid"]])
    assert list(found.var_names) == genes[:4] and (found.obs["cell_area"] == 7).all()
    assert next(iter(found.uns["spatial_units"].values()))["unit"] == "micrometre"
    assert read_sections(tmp_path, all_features=True).n_vars == N_GENES


def test_other_features_are_named_and_doubled_symbols_numbered(tmp_path, counts, positions):
    genes = ["A", "A", "B", "C", "D", "CD4"]
    kinds = ["Gene Expression"] * 5 + ["Antibody Capture"]
    write_visium(tmp_path / "A", counts, positions, genes=genes, kinds=kinds)
    with pytest.warns(UserWarning, match="'Antibody Capture', which are left out"):
        found = read_sections(tmp_path / "A")
    assert list(found.var_names) == ["A", "A-1", "B", "C", "D"]


def test_merscope(tmp_path, counts):
    # Identifiers are too long for the digits of a floating-point number.
    ids = [str(2**60 + i) for i in range(N_SPOTS)]
    genes = ["A", "B", "C", "D", "E", "Blank-1"]
    pd.DataFrame(counts, index=pd.Index(ids, name="cell"), columns=genes).to_csv(tmp_path / "cell_by_gene.csv")
    cells = pd.DataFrame({"fov": 1, "center_x": np.arange(40.0), "center_y": 2.5}, index=ids)
    cells.iloc[::-1].to_csv(tmp_path / "cell_metadata.csv")
    found = read_sections(tmp_path)
    np.testing.assert_array_equal(found.X.toarray(), counts[:, :5])
    np.testing.assert_array_equal(found.obsm["spatial"], cells[["center_x", "center_y"]])
    assert list(found.obs_names) == ids and list(found.var_names) == genes[:5]


@pytest.mark.parametrize("unit", ["px", "mm"])
def test_cosmx(tmp_path, counts, unit):
    ids = pd.DataFrame({"fov": np.repeat([1, 2], 20), "cell_ID": np.tile(np.arange(20), 2)})
    genes = ["A", "B", "C", "D", "NegPrb1", "SystemControl1"]
    pd.concat([ids, pd.DataFrame(counts, columns=genes)], axis=1).to_csv(
        tmp_path / "S1_exprMat_file.csv.gz", index=False
    )
    x, y = ("CenterX_global_px", "CenterY_global_px") if unit == "px" else ("x_slide_mm", "y_slide_mm")
    cells = ids.assign(**{x: np.arange(40.0), y: 3.0})
    cells[cells["cell_ID"] > 0].iloc[::-1].to_csv(tmp_path / "S1_metadata_file.csv.gz", index=False)
    found = read_sections(tmp_path)
    rows = (ids["cell_ID"] > 0).to_numpy()
    np.testing.assert_array_equal(found.X.toarray(), counts[rows, :4])
    np.testing.assert_array_equal(found.obsm["spatial"], cells.loc[rows, [x, y]] * (1000 if unit == "mm" else 1))
    assert next(iter(found.uns["spatial_units"].values()))["unit"] == {"px": "pixel", "mm": "micrometre"}[unit]


def test_other_matrices_with_positions_beside_them(tmp_path, counts):
    write_h5(tmp_path / "counts.h5", counts, barcodes())
    table = pd.DataFrame({"barcode": barcodes(), "x": np.arange(40), "y": 4}).iloc[::-1]
    table.to_csv(tmp_path / "positions.tsv", sep="\t", index=False)
    for path in (tmp_path, tmp_path / "counts.h5"):
        found = read_sections(path)
        np.testing.assert_array_equal(found.X.toarray(), counts)
        np.testing.assert_array_equal(found.obsm["spatial"][:, 0], np.arange(40))


def test_positions_of_other_spots_are_refused(tmp_path, counts, positions):
    positions["barcode"] = [f"other{i}" for i in range(len(positions))]
    write_visium(tmp_path / "A", counts, positions)
    with pytest.raises(ValueError, match="No spot of the matrix has a position .*'AAC0-1'.*'other0'"):
        read_sections(tmp_path / "A")


def test_an_image_is_white_where_it_is_transparent(tmp_path, counts, positions):
    write_visium(tmp_path / "A" / "outs", counts, positions)
    pixels = np.zeros((4, 6, 4), dtype=np.uint8)
    pixels[:2] = [200, 100, 50, 255]
    Image.fromarray(pixels).save(tmp_path / "A" / "outs" / "spatial" / "tissue_hires_image.png")
    image = read_sections(tmp_path / "A").uns["spatial"]["A"]["images"]["hires"]
    assert (image[:2] == [200, 100, 50]).all() and (image[2:] == 255).all()
