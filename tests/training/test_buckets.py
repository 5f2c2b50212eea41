"""Workdirs in buckets, tested with a local folder behind epath: the same calls as for a bucket, without a network."""

import pytest
from etils import epath

from avlgan_jax.errors import UserError
from avlgan_jax.training import buckets


@pytest.fixture
def mirror(tmp_path):
    return buckets.Mirror(epath.Path(tmp_path / "bucket"), tmp_path / "local")


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def content(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_push_and_pull_make_both_sides_equal(mirror, tmp_path):
    write(mirror.local, config="1", image__checkpoints__4__data="four", image__checkpoints__4__sha256_dot_json="{}")
    mirror.push()
    assert content(tmp_path / "bucket") == content(mirror.local)
    write(mirror.local, config="2", image__checkpoints__8__data="eight", _dot_compiled__program="for this machine")
    (mirror.local / "image/checkpoints/4/data").unlink()
    (mirror.local / "image/checkpoints/4/sha256.json").unlink()
    mirror.push()
    assert content(tmp_path / "bucket") == {"config": "2", "image/checkpoints/8/data": "eight"}
    other = buckets.Mirror(mirror.remote, tmp_path / "elsewhere")
    write(other.local, stale="of an earlier run")
    other.pull()
    assert content(other.local) == content(tmp_path / "bucket")


def test_an_interrupted_upload_leaves_no_manifest(mirror, tmp_path, monkeypatch):
    write(mirror.local, a__sha256_dot_json="{}", b__data="b", z__data="z")
    copied, copy = [], buckets.shutil.copyfileobj

    def fail_at_the_third_file(reader, writer):
        if len(copied) == 2:
            raise ConnectionError("connection lost")
        copied.append(reader.name)
        copy(reader, writer)

    monkeypatch.setattr(buckets.shutil, "copyfileobj", fail_at_the_third_file)
    with pytest.raises(UserError, match="connection lost.*the local copy is in"):
        mirror.push()
    assert not (tmp_path / "bucket/a").exists() or not (tmp_path / "bucket/a/sha256.json").read_text()
    monkeypatch.undo()
    mirror.push()
    assert content(tmp_path / "bucket") == content(mirror.local)


def test_what_could_not_be_uploaded_is_kept_at_the_next_start(mirror, tmp_path, monkeypatch, capsys):
    write(mirror.local, config="1", step="20")
    mirror.push()
    write(mirror.local, step="4000")

    def fail(*_):
        raise ConnectionError("connection lost")

    monkeypatch.setattr(buckets.shutil, "copyfileobj", fail)
    with pytest.raises(UserError, match="the next start moves it aside"):
        mirror.push()
    monkeypatch.undo()
    again = buckets.Mirror(mirror.remote, mirror.local)
    again.pull()
    # An open file of the bucket may be empty after the failure; what the run had is kept in any case.
    (kept,) = tmp_path.glob("local.kept-*")
    assert content(kept) == {"config": "1", "step": "4000"}
    assert str(kept) in capsys.readouterr().out
    again.pull()
    assert len(list(tmp_path.glob("local.kept-*"))) == 1


def test_push_uploads_only_changed_files(mirror, tmp_path):
    write(mirror.local, a="1", b="1")
    mirror.push()
    (tmp_path / "bucket" / "a").write_text("marked")
    write(mirror.local, b="22")
    mirror.push()
    assert content(tmp_path / "bucket") == {"a": "marked", "b": "22"}


def test_a_local_workdir_is_used_without_a_mirror(tmp_path):
    with buckets.open_workdir(str(tmp_path)) as (folder, publish):
        assert folder == tmp_path and publish is buckets.no_publish
    assert buckets.local_data_dir(str(tmp_path), "faces", 32) == tmp_path
    assert buckets.is_remote("gs://bucket/run") and not buckets.is_remote("/a/b")


def test_an_unknown_scheme_is_a_user_error(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with (
        pytest.raises(UserError, match="strange://nowhere has an unknown scheme"),
        buckets.open_workdir("strange://nowhere"),
    ):
        pass
