import contextlib

import pytest

from avlgan_jax import atomic_files


def test_a_failed_write_keeps_the_old_file_and_leaves_no_partial_file(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        atomic_files.write_text(path, "half \udc80")
    with pytest.raises(RuntimeError), atomic_files.atomic_file(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_written_with_the_same_suffix_and_replaces_the_old_one(tmp_path):
    path = tmp_path / "picture.png"
    path.write_text("old")
    with atomic_files.atomic_file(path) as partial:
        assert partial.suffix == ".png" and path.read_text() == "old"
        partial.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_completely_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "report"
    with atomic_files.atomic_folder(path) as fresh:
        (fresh / "a").write_text("old")
    with pytest.raises(RuntimeError), atomic_files.atomic_folder(path) as fresh:
        (fresh / "b").write_text("half")
        raise RuntimeError
    assert [file.name for file in path.iterdir()] == ["a"]
    with atomic_files.atomic_folder(path) as fresh:
        (fresh / "c").write_text("new")
    assert [file.name for file in path.iterdir()] == ["c"]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kept", [True, False])
def test_a_folder_that_another_process_places_at_the_last_moment_stays_if_it_is_to_be_kept(tmp_path, monkeypatch, kept):
    """It appears after the check and before the rename, which therefore fails."""
    path = tmp_path / "folder"
    rename = type(path).rename

    def rename_second(self, target):
        path.mkdir()
        (path / "file").write_text("theirs")
        return rename(self, target)

    monkeypatch.setattr(type(path), "rename", rename_second)
    expected = contextlib.nullcontext() if kept else pytest.raises(OSError, match="not empty")
    with expected, atomic_files.atomic_folder(path, lambda folder: kept and folder.exists()) as fresh:
        (fresh / "file").write_text("ours")
    assert (path / "file").read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_rename_keeps_the_old_folder(tmp_path, monkeypatch):
    path = tmp_path / "report"
    with atomic_files.atomic_folder(path) as fresh:
        (fresh / "a").write_text("old")
    rename = type(path).rename

    def fail(self, target):
        if ".new." in self.name:
            raise OSError("the disk went away")
        return rename(self, target)

    monkeypatch.setattr(type(path), "rename", fail)
    with pytest.raises(OSError, match="went away"), atomic_files.atomic_folder(path) as fresh:
        (fresh / "b").write_text("new")
    assert [file.name for file in path.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stated", ["", "cache", "./cache", None])
def test_a_cache_that_is_no_absolute_path_is_in_the_home_folder(monkeypatch, tmp_path, stated):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", stated) if stated is not None else monkeypatch.delenv("XDG_CACHE_HOME", False)
    assert atomic_files.user_cache() == tmp_path / ".cache" / "avlgan_jax"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert atomic_files.user_cache() == tmp_path / "cache" / "avlgan_jax"
