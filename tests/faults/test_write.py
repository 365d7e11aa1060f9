"""Files and folders are replaced as a whole, whenever the process is killed, and by one process at a time."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from spotscape import _write
from spotscape._write import locked, recover, whole_file, whole_folder

ROOT = Path(__file__).parents[2]

# Replaces a folder, killed before each of its changes to the file system in turn, and prints what is found after each.
KILLS = """
    import json, shutil, sys
    from pathlib import Path
    from benchmarks.faults.kills import digest_of, kill_before_change
    from spotscape import _write

    folder, exchanges, is_file = Path(sys.argv[1]), sys.argv[2] == "exchange", sys.argv[3] == "file"
    target = folder / "target"
    if not exchanges:
        _write.exchange = lambda first, second: False

    def fill(place, text):
        (place / "below").mkdir(parents=True, exist_ok=True)
        for name in ("a", "below/b"):
            (place / name).write_text(text)

    def replace():
        if is_file:
            with _write.whole_file(target / "a") as file:
                file.write_text("new")
        else:
            with _write.whole_folder(target) as unfinished:
                fill(unfinished, "new")

    found = []
    for number in range(1, 200):
        shutil.rmtree(folder)
        fill(target, "old")
        (target / "mine").write_text("mine")
        killed = kill_before_change(replace, number)
        _write.recover(target)
        found.append([(target / name).read_text() for name in ("a", "below/b", "mine")])
        if not killed:
            break
        # The next writer is not hindered by what is left, and removes it.
        replace()
        assert (target / "a").read_text() == "new"
        assert sorted(path.name for path in folder.iterdir()) == ["target"], list(folder.iterdir())
        assert not [path for path in target.iterdir() if path.name.startswith(".")]
    print(json.dumps(found))
"""


def run(script, *arguments, **options):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=300, check=True, **options
    ).stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied on this system")
@pytest.mark.parametrize(("way", "kind"), [("exchange", "folder"), ("renames", "folder"), ("exchange", "file")])
def test_a_kill_before_any_change_leaves_the_old_or_the_new(tmp_path, way, kind):
    folder = tmp_path / "place"
    folder.mkdir()
    found = json.loads(run(KILLS, folder, way, kind))
    assert len(found) > 8
    b_is_new = "new" if kind == "folder" else "old"
    assert {tuple(one) for one in found} == {("old", "old", "mine"), ("new", b_is_new, "mine")}
    assert found[0][0] == "old" and found[-1][0] == "new"


def test_an_error_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "file") as file:
        file.write_text("half")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "folder") as folder:
        (folder / "half").write_text("half")
        raise ZeroDivisionError
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "old"}


def test_a_full_disk_is_named_and_the_old_file_stays(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"file could not be written \(the disk is full\); what was there is unchanged"):
        with whole_file(tmp_path / "file") as file:
            file.write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "old"}


def test_files_that_are_not_replaced_are_carried_over(tmp_path):
    target = tmp_path / "folder"
    (target / "sub").mkdir(parents=True)
    (target / "empty").mkdir()
    for name in ("stale", "mine", "sub/deep", "same"):
        (target / name).write_text("old")
    (target / "link").symlink_to("mine")
    with whole_folder(target, replaced={"stale"}) as folder:
        (folder / "same").write_text("new")
    found = {path.relative_to(target).as_posix(): path.read_text() for path in target.rglob("*") if path.is_file()}
    # A file of the user whose name the new content has is kept under another one.
    assert found == {"mine": "old", "sub/deep": "old", "link": "old", "same": "new", "same.old": "old"}
    assert (target / "empty").is_dir() and (target / "link").is_symlink()


def test_links_stay_links(tmp_path):
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to("there")
    with whole_file(tmp_path / "link") as file:
        file.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there").read_text() == "new"


def test_the_current_folder_is_filled_but_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inode = tmp_path.stat().st_ino
    for text in ("first", "second"):
        try:
            with whole_folder(".") as folder:
                (folder / "file").write_text(text)
        except OSError as error:
            assert text == "second" and "cannot be replaced in one step" in str(error)
    assert tmp_path.stat().st_ino == inode and [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "first"


def test_a_folder_moved_aside_is_put_back(tmp_path):
    (tmp_path / ".model.aside").mkdir()
    (tmp_path / ".model.aside" / "file").write_text("old")
    recover(tmp_path / "model")
    assert (tmp_path / "model" / "file").read_text() == "old"


def test_one_writer_at_a_time(tmp_path):
    with locked(tmp_path / "folder"):
        assert _write.locked_elsewhere(tmp_path / "folder")
        with pytest.raises(BlockingIOError, match="folder is being written by another process"):
            with whole_folder(tmp_path / "folder", wait=False):
                raise AssertionError("two writers")
    assert not _write.locked_elsewhere(tmp_path / "folder") and not list(tmp_path.iterdir())


def test_many_threads_write_whole_files(tmp_path):
    texts = [str(number) * 100_000 for number in range(8)]
    failures = []

    def write(text):
        try:
            for _ in range(5):
                with whole_file(tmp_path / "file") as file:
                    file.write_text(text)
                assert (tmp_path / "file").read_text() in texts
        except (OSError, AssertionError) as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and [path.name for path in tmp_path.iterdir()] == ["file"]
