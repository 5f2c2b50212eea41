"""Test folder of filmed dyads in the form that the `dyads` builder reads."""

from pathlib import Path

import drawn_photographs as drawn

from avlgan_jax.faces import video

HEADER = ["frame", "phase", "parent_valence_a", "parent_valence_b", "infant_valence_a", "infant_valence_b"]


def _film(path: Path, subjects: list[int], side: int = 224) -> None:
    """Write a video of drawn faces at 30 frames per second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    video.write_video(path, [drawn.drawn_face(subject, side).image for subject in subjects], 30.0)


def write_dyads(folder: Path) -> None:
    """Write two dyads.

    `anna` has videos and the ratings of two annotators, with every irregularity. `bert` has folders of frames and the
    ratings of one annotator.
    """
    _film(folder / "anna/parent.mp4", [0, 1, 2, 3])
    _film(folder / "anna/infant.mp4", [4, 5, 6, 7])
    rows = [
        [0, "play", 50, 60, 20, ""],
        [1, "play", -30, -90, 0, 0],
        [2, "still face", "", "", -100, -80],
        [3, "reunion", 130, 90, "sad", 0],
        [9, "reunion", 0, 0, 0, 0],
    ]
    drawn.write_csv(folder / "anna/ratings.csv", HEADER, rows)
    for person, subjects in (("parent", [8, 9]), ("infant", [10, 10])):
        for frame, subject in enumerate(subjects):
            drawn.save_face(folder / f"bert/{person}/{frame:04}.png", subject)
    rows = [[0, 10, 20, 30], [1, 10, 20, 30]]
    drawn.write_csv(
        folder / "bert/ratings.csv", ["frame", "parent_valence_x", "infant_valence_x", "infant_arousal_x"], rows
    )
