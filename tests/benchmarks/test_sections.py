"""The table of annotated files, and how files are found."""

import anndata
import pandas as pd
import pytest

import spotscape as sps
from benchmarks.common import options, reading, sections


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder with a few of the known files, whose labels are made up."""
    for name, slices, key in (
        ("dlpfc_151673_hvg", ["151673"], "domain"),
        ("dlpfc_151675_hvg", ["151675"], "domain"),
        ("her2st_patientA", ["A1", "A2"], "domain"),
        ("cosmx_nsclc_2814cells_celltypes", ["Lung_FOV1"], "cell_type"),
    ):
        adata = sps.datasets.synthetic_tissue(n_slices=len(slices), n_spots=50, n_genes=40, n_domains=3)
        adata.obs["slice"] = adata.obs["slice"].cat.rename_categories(slices)
        labels = adata.obs.pop("domain").astype(object)
        labels[(adata.obs["slice"] == "A2").to_numpy()] = None
        labels.iloc[:5] = "undetermined"
        adata.obs[key] = pd.Categorical(labels)
        adata.obs["total_umi_full"] = 2.0
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
    monkeypatch.setenv(sections.DATA_VARIABLE, str(tmp_path))
    return tmp_path


def test_every_file_is_listed_once():
    files = [known.file for known in sections.KNOWN_FILES]
    assert len(set(files)) == len(files)
    assert {known.group for known in sections.KNOWN_FILES} == set(sections.GROUPS)
    assert {name for group in sections.KNOWN_TOGETHER for name in group} <= set(files)
    for known in sections.KNOWN_FILES:
        assert (known.labels == "cell types") == (known.group == "cell types") == (known.label_key == "cell_type")


def test_known_sections_bring_their_own_columns(folder, capsys):
    found = {source.name: source for source in reading.find_known_sections("regions")}
    assert list(found) == [
        "dlpfc_151673_hvg",
        "dlpfc_151675_hvg",
        "her2st_patientA A1",
        "dlpfc_151673_hvg + dlpfc_151675_hvg",
    ]
    assert "Left out" in (printed := capsys.readouterr().out)
    assert "mob_rep12_st.h5ad" in printed and "her2st_patientA" not in printed
    assert found["dlpfc_151673_hvg"].keys.size_factor == "total_umi_full"
    assert reading.load_section(found["dlpfc_151673_hvg"]).size_factor_key == "total_umi_full"
    tumour = reading.load_section(found["her2st_patientA A1"])
    assert tumour.size_factor_key is None and tumour.n_domains == 3 and tumour.is_annotated.sum() == 45
    (cells,) = reading.find_known_sections("cell types")
    assert cells.keys.label == "cell_type" and reading.load_section(cells).n_domains == 3
    tissues = sections.tissues_of(list(found))
    assert tissues["her2st_patientA A1"] == "breast tumour"
    assert tissues["dlpfc_151673_hvg + dlpfc_151675_hvg"] == tissues["dlpfc_151673_hvg"] == "cortex (Visium)"
    with pytest.raises(KeyError, match="'tissue joint' is of no file"):
        sections.tissues_of(["tissue joint"])


def test_files_are_found_by_path_and_by_name(folder, monkeypatch):
    path = str(folder / "her2st_patientA.h5ad")
    for text in (path, "her2st_patientA.h5ad", "her2st_patientA"):
        assert options.existing_file(text) == path
    assert options.named_files("a=her2st_patientA,dlpfc_151673_hvg") == (
        "a",
        (path, str(folder / "dlpfc_151673_hvg.h5ad")),
    )
    with pytest.raises(FileNotFoundError, match="no file nothing, neither here nor in"):
        sections.find_file("nothing")
    monkeypatch.delenv(sections.DATA_VARIABLE)
    # There is no other place that files are looked for in.
    with pytest.raises(FileNotFoundError, match=f"no file her2st_patientA.h5ad; set {sections.DATA_VARIABLE}"):
        sections.find_file("her2st_patientA.h5ad")
    with pytest.raises(FileNotFoundError, match=f"{sections.DATA_VARIABLE} is not set"):
        sections.known_files("regions")
    monkeypatch.setenv(sections.DATA_VARIABLE, str(folder / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere', which is no folder"):
        sections.known_files("regions")


def test_a_group_without_files_is_refused(folder):
    with pytest.raises(FileNotFoundError, match="none of the files of the group 'stress'"):
        reading.find_known_sections("stress")


@pytest.mark.data
@pytest.mark.parametrize("known", sections.KNOWN_FILES, ids=lambda known: known.stem)
def test_the_table_says_what_the_files_hold(known, data_file):
    path = data_file(known.file)
    obs = anndata.read_h5ad(path, backed="r").obs
    found, _ = reading.annotated_slices(str(path), reading.keys_of(known))
    assert set(found) == set(known.slices)
    assert reading.known_labels(obs[known.label_key], known.dropped).nunique() == known.n_domains
    assert known.size_factor_key is None or known.size_factor_key in obs
