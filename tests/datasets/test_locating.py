"""Paths in lists of images: only files in the data set's folder are read, also through symbolic links."""

import drawn_photographs as drawn
import pytest
from building import all_faces, build, rejected

from avlgan_jax.datasets import locating
from avlgan_jax.faces import video


@pytest.fixture
def folder(tmp_path):
    """Return a linked folder of faces, with links that stay inside it and links to a private face outside it."""
    drawn.save_face(tmp_path / "private/face.png", 5)
    folder = tmp_path / "real" / "faces"
    drawn.save_face(folder / "plain.png", 0)
    drawn.save_face(folder / "deep/er/face.png", 1)
    drawn.save_face(folder / "other.png", 2)
    (folder / "inner.png").symlink_to("other.png")
    (folder / "inner_folder").symlink_to("deep")
    (folder / "outer.png").symlink_to(tmp_path / "private/face.png")
    (folder / "relative.png").symlink_to("../../private/face.png")
    (folder / "outer_folder").symlink_to(tmp_path / "private")
    (folder / "chain.png").symlink_to("outer_folder/face.png")
    (folder / "loop.png").symlink_to("loop.png")
    (tmp_path / "linked").symlink_to(folder)
    return tmp_path / "linked"


INSIDE = ("plain.png", "deep/../plain.png", "./inner.png", "inner_folder/er/face.png", "gone.png")
OUTSIDE = (
    "../faces/../../private/face.png",
    "deep/../../../private/face.png",
    "/etc/passwd",
    "..",
    "plain.png\0.jpg",
    "outer.png",
    "relative.png",
    "outer_folder/face.png",
    "outer_folder/gone.png",
    "chain.png",
)


@pytest.mark.parametrize("path", INSIDE)
def test_paths_inside_the_folder_are_accepted(folder, path):
    assert locating.inside(folder, path).parent.resolve().is_relative_to(folder.resolve())


@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_out_of_the_folder_are_refused(folder, path):
    with pytest.raises(ValueError, match="leads out of"):
        locating.inside(folder, path)


def test_a_folder_with_the_same_prefix_is_outside(tmp_path):
    (tmp_path / "faces").mkdir()
    drawn.save_face(tmp_path / "faces2/a.png", 0)
    (tmp_path / "faces/link.png").symlink_to("../faces2/a.png")
    with pytest.raises(ValueError, match="leads out of"):
        locating.inside(tmp_path / "faces", "link.png")


def test_links_out_of_the_folder_are_rejected_and_links_inside_are_accepted(folder, tmp_path):
    valid = ["plain.png", "inner.png", "inner_folder/er/face.png"]
    outside = [path for path in OUTSIDE if "\0" not in path]
    rows = [[path, 0, 0] for path in (*valid, *outside, "loop.png")]
    drawn.write_csv(folder / "labels.csv", ["path", "valence", "arousal"], rows)
    manifest = build("face_folder", folder, tmp_path / "data", landmarks="dlib", max_damaged=1.0)
    assert sorted(all_faces(tmp_path / "data", manifest)) == sorted(valid)
    expected = dict.fromkeys(outside, locating.OUTSIDE) | {"loop.png": locating.MISSING}
    assert rejected(tmp_path / "data") == expected


def test_videos_and_frame_folders_that_link_out_are_rejected(tmp_path):
    private = tmp_path / "private"
    private.mkdir()
    video.write_video(private / "film.mp4", [drawn.drawn_face(subject).image for subject in (0, 1)], 30.0)
    drawn.save_face(private / "frames/0.png", 3)
    folder = tmp_path / "dyads"
    (folder / "anna").mkdir(parents=True)
    (folder / "anna/parent.mp4").symlink_to(private / "film.mp4")
    (folder / "anna/infant").symlink_to(private / "frames")
    drawn.save_face(folder / "bert/parent/0.png", 4)
    drawn.save_face(folder / "bert/infant/0.png", 6)
    for name in ("anna", "bert"):
        drawn.write_csv(folder / name / "ratings.csv", ["frame", "parent_valence_a", "infant_valence_a"], [[0, 10, 20]])
    manifest = build("dyads", folder, tmp_path / "data", landmarks="dlib", max_damaged=0.5, validation_dyads="bert")
    assert sorted(all_faces(tmp_path / "data", manifest)) == ["bert/infant/000000", "bert/parent/000000"]
    assert set(rejected(tmp_path / "data").values()) == {locating.OUTSIDE}
