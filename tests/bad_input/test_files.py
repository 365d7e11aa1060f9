"""Files that are damaged, foreign, newer or could run code are refused."""

import pytest
import torch

from spotscape import SPOTSCAPE


def test_damaged_and_foreign_files_are_refused(saved, tmp_path):
    path = saved / "model.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        SPOTSCAPE.load(saved, adata=False)
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match="damaged"):
        SPOTSCAPE.load(saved, adata=False)
    torch.save({"weights": torch.ones(2)}, path)
    with pytest.raises(ValueError, match="not a model"):
        SPOTSCAPE.load(saved, adata=False)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="no model at"):
        SPOTSCAPE.load(saved, adata=False)


class Payload:
    """What an attacker would put into a file: pickle calls it when the file is read."""

    ran = False

    def __reduce__(self):
        return (_set_ran, ())


def _set_ran():
    Payload.ran = True


def test_files_that_could_run_code_need_an_opt_in(saved):
    contents = torch.load(saved / "model.pt", weights_only=False)
    contents["attr_dict"]["payload_"] = Payload()
    torch.save(contents, saved / "model.pt")
    with pytest.raises(ValueError, match="allow_pickle=True"):
        SPOTSCAPE.load(saved, adata=False)
    assert not Payload.ran
    SPOTSCAPE.load(saved, adata=False, allow_pickle=True)
    assert Payload.ran


def test_downloaded_files_are_read_as_carefully(saved, tmp_path):
    contents = torch.load(saved / "model.pt", weights_only=False)
    contents["attr_dict"]["payload_"] = Payload()
    torch.save(contents, tmp_path / "there.pt")
    Payload.ran = False
    with pytest.raises(ValueError, match="allow_pickle=True"):
        SPOTSCAPE.load(tmp_path / "here", adata=False, backup_url=(tmp_path / "there.pt").as_uri())
    assert not Payload.ran
    (saved / "model.pt").rename(tmp_path / "good.pt")
    torch.save(torch.load(tmp_path / "good.pt", weights_only=False), tmp_path / "there.pt")
    loaded = SPOTSCAPE.load(tmp_path / "new", adata=False, backup_url=(tmp_path / "there.pt").as_uri())
    assert loaded.is_trained


def test_files_of_newer_releases_and_other_classes_are_refused(saved):
    contents = torch.load(saved / "model.pt", weights_only=False)
    contents["attr_dict"]["format_version_"] = 99
    torch.save(contents, saved / "model.pt")
    with pytest.raises(ValueError, match="has format 99"):
        SPOTSCAPE.load(saved, adata=False)
    contents["attr_dict"]["format_version_"] = 1
    contents["attr_dict"]["registry_"]["model_name"] = "SEDR"
    torch.save(contents, saved / "model.pt")
    with pytest.raises(ValueError, match="holds a SEDR model; load it with `SEDR.load`"):
        SPOTSCAPE.load(saved, adata=False)
