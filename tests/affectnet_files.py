"""Test folders in both distributed forms of AffectNet, with every irregularity that occurs in the data set."""

from pathlib import Path

import drawn_photographs as drawn
import numpy as np
from PIL import Image

from avlgan_jax.datasets import locating
from avlgan_jax.datasets.affectnet.affectnet_dataset_builder import COLUMNS


def _points(landmarks: np.ndarray) -> str:
    """Return landmarks as the text of the column `facial_landmarks`: x and y of each point, separated by semicolons."""
    return ";".join(f"{v:.2f}" for v in landmarks.ravel())


def _row(folder: Path, path: str, subject: int, *, images="Manually_Annotated_Images", **changes) -> list:
    """Return a valid row of the 2017 lists and write its image: a face of 224 px in a photograph of 360 x 300 px."""
    face = drawn.drawn_face(subject)
    photograph = np.full((300, 360, 3), 90, np.uint8)
    photograph[40:264, 100:324] = face.image
    (folder / images / path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photograph).save(folder / images / path)
    points = face.landmarks + np.array([100, 40])
    low, high = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
    fields = {
        "face_x": low[0],
        "face_y": low[1],
        "face_width": (high - low)[0],
        "face_height": (high - low)[1],
        "facial_landmarks": _points(points),
        "expression": 1,
        "valence": 0.6,
        "arousal": 0.1,
    } | changes
    return [path, *(fields[column] for column in COLUMNS[1:])]


def write_2017(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Write the 2017 form with every irregularity.

    Returns:
        The paths of the valid images of the manual lists, and the reason for each rejected image by its path. The
        duplicate `5/twin.jpg` is in neither.
    """
    training = [
        _row(folder, "1/a.jpg", 0, expression=0, valence=0.0, arousal=0.0),
        _row(folder, "1/b.PNG", 1, expression=1, valence=0.7, arousal=0.1),
        _row(folder, "2/c.jpeg", 2, expression=7, valence=-0.5, arousal=0.6),
        _row(folder, "2/d.TIF", 3, expression=2, valence=-0.7, arousal=-0.3),
        _row(folder, "3/no_points.jpg", 4, facial_landmarks=""),
        _row(folder, "3/null_points.jpg", 5, facial_landmarks="NULL"),
        _row(folder, "3/no_box.jpg", 6, face_x="NULL", face_y="NULL", face_width="NULL", face_height="NULL"),
        _row(folder, "4/minus_two.jpg", 0, expression=1, valence=-2, arousal=-2),
        _row(folder, "4/none.jpg", 1, expression=8, valence=-2, arousal=-2),
        _row(folder, "4/uncertain.jpg", 2, expression=9, valence=-2, arousal=-2),
        _row(folder, "4/no_face.jpg", 3, expression=10, valence=-2, arousal=-2),
        _row(folder, "4/null.jpg", 3, valence="NULL", arousal="NULL"),
        _row(folder, "5/box_outside.jpg", 7, face_x=900, face_y=900),
        _row(folder, "5/far.jpg", 8, valence=1.5),
        _row(folder, "5/short.jpg", 9),
        _row(folder, "5/../../../../etc/passwd.jpg", 9),
        _row(folder, "5/twin.jpg", 0, expression=0, valence=0.0, arousal=0.0),
    ]
    drawn.cut_short(folder / "Manually_Annotated_Images/5/short.jpg")
    validation = [_row(folder, "9/v.jpg", 10, expression=3, valence=0.2, arousal=0.7)]
    automatic = [_row(folder, "7/auto.jpg", 11, images="Automatically_Annotated_Images", expression=4)]
    for name in ("Manually_Annotated_file_lists", "Automatically_Annotated_file_lists"):
        (folder / name).mkdir()
    drawn.write_csv(folder / "Manually_Annotated_file_lists/training.csv", list(COLUMNS), training)
    drawn.write_csv(folder / "Manually_Annotated_file_lists/validation.csv", None, validation)
    drawn.write_csv(folder / "Automatically_Annotated_file_lists/automatically_annotated.csv", list(COLUMNS), automatic)
    valid = [
        "1/a.jpg",
        "1/b.PNG",
        "2/c.jpeg",
        "2/d.TIF",
        "3/no_points.jpg",
        "3/null_points.jpg",
        "3/no_box.jpg",
        "9/v.jpg",
    ]
    reasons = {
        "4/minus_two.jpg": locating.NO_LABEL,
        "4/none.jpg": locating.NO_LABEL,
        "4/uncertain.jpg": locating.NO_LABEL,
        "4/no_face.jpg": "no face",
        "4/null.jpg": locating.NO_LABEL,
        "5/box_outside.jpg": "no face",
        "5/far.jpg": locating.OUT_OF_RANGE,
        "5/short.jpg": locating.UNREADABLE,
        "5/../../../../etc/passwd.jpg": locating.OUTSIDE,
    }
    prefix = "Manually_Annotated_Images/"
    return [prefix + name for name in valid], {prefix + name: reason for name, reason in reasons.items()}


def write_newer(folder: Path) -> dict[str, str]:
    """Write the newer form with every irregularity: six valid images (one without landmarks) and four others.

    Returns:
        The reason for each rejected image by its path.
    """
    values = {
        0: ("0", "0.0", "0.1"),
        3: ("1", "0.7", "0.2"),
        17: ("6", "-0.4", "0.65"),
        40: ("7", "-0.55", "0.58"),
        41: ("2", "-2", "-2"),
        42: ("2", "-0.7", "nonsense"),
        43: ("3", "0.2", "0.7"),
        44: ("1", "0.5", "0.1"),
        45: ("1", "0.5", "0.1"),
    }
    for number, (expression, valence, arousal) in values.items():
        _annotate(folder / "train_set", number, number % 11, expression, valence, arousal)
    (folder / "train_set/images/44.jpg").unlink()
    with open(folder / "train_set/annotations/45_val.npy", "wb") as stream:  # a pickle that runs code when loaded
        np.save(stream, np.array([Bomb(folder)], dtype=object), allow_pickle=True)
    (folder / "train_set/annotations/43_lnd.npy").unlink()
    _annotate(folder / "val_set", 5, 5, "4", "-0.1", "0.8")
    return {
        "train_set/images/41.jpg": locating.NO_LABEL,
        "train_set/images/42.jpg": locating.OUT_OF_RANGE,
        "train_set/images/44.jpg": locating.MISSING,
        "train_set/images/45.jpg": locating.NO_LABEL,
    }


class Bomb:
    """An object that creates the folder `exploded` in `folder` when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return (Path.mkdir, (self.folder / "exploded",))


def _annotate(folder: Path, number: int, subject: int, expression: str, valence: str, arousal: str) -> None:
    """Write the image and the annotation files of one face in the newer form."""
    face = drawn.save_face(folder / f"images/{number}.jpg", subject, quality=95)
    points = face.landmarks.astype(np.float64).ravel()
    if number == 17:
        points[0], points[33] = -47.0, 292.0  # annotated points may lie outside the crop
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    for what, value in (("exp", expression), ("val", valence), ("aro", arousal), ("lnd", points)):
        np.save(folder / f"annotations/{number}_{what}.npy", np.array(value))
