"""Each source of data from its files to four trained models, by the commands a person gives and no other.

No command differs between the sources but in the name and where the files are.
"""

from collections.abc import Callable
from pathlib import Path

import drawn_photographs as drawn
import numpy as np
import pytest
import tensorflow_datasets as tfds
from affectnet_files import write_2017, write_newer
from conftest import ROOT, run
from dyad_files import write_dyads

from avlgan_jax.config import MODEL_NAMES
from avlgan_jax.data.manifest import Manifest, verify_records
from avlgan_jax.datasets.photographs import split_of
from avlgan_jax.datasets.registry import BUILDERS

REAL = ROOT.parent / "shared" / "data" / "diffusion_fer"


def _face_folder(folder: Path) -> None:
    rows = []
    for i in range(7):
        drawn.save_face(folder / f"pictures/{i}.png", i)
        split = (*["train"] * 5, "validation", "test")[i]
        rows.append([f"pictures/{i}.png", (i - 4) / 5, (4 - i) / 6, "infant" if i % 3 else "adult", split])
    drawn.write_csv(folder / "labels.csv", ["path", "valence", "arousal", "group", "split"], rows)


def _diffusion_fer(folder: Path) -> None:
    people = [f"person{i}" for i in range(100)]
    chosen = [p for p in people if split_of(p) == "train"][:5] + [p for p in people if split_of(p) == "validation"][:1]
    rows = []
    for i, person in enumerate(chosen):
        rows.append([f"cropped/happy/{person}_{i}.jpg", i / 6, -i / 7, i])
        drawn.save_face(folder / rows[-1][0], i, quality=95)
    drawn.write_sheet(folder, rows)


# Data set, who writes its files (None: nobody need), and options of prepare.py beside the folders.
SOURCES: dict[str, tuple[str, Callable[[Path], object] | None, list[str]]] = {
    "procedural_faces": (
        "procedural_faces",
        None,
        ["--faces", "7", "--held-out", "2", "--dyads", "1", "--dyad-seconds", "0.1"],
    ),
    "affectnet, lists of 2017": ("affectnet", write_2017, ["--landmarks", "dlib", "--max-damaged", "0.5"]),
    "affectnet, newer": ("affectnet", write_newer, ["--landmarks", "annotation", "--max-damaged", "0.5"]),
    "face_folder": ("face_folder", _face_folder, ["--landmarks", "dlib"]),
    "dyads": (
        "dyads",
        write_dyads,
        ["--landmarks", "dlib", "--max-damaged", "0.5", "--validation-dyads", "bert"],
    ),
    "diffusion_fer": ("diffusion_fer", _diffusion_fer, []),
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    """Compiled programs, kept from one run to the next: they are the same for each source of about as many faces."""
    return tmp_path_factory.mktemp("compiled")


def _through(name: str, manual_dir: Path | None, options: list[str], place: Path, compiled: Path) -> Manifest:
    """prepare.py, tfds.load and train.py all; every record is read by TFDS and every model is trained to its end."""
    files = [] if manual_dir is None else ["--manual-dir", str(manual_dir)]
    data_dir = str(place / "data")
    run("prepare.py", name, *files, *options, "--resolution", "32", "--workers", "1", "--data-dir", data_dir)
    manifest = verify_records(Path(data_dir), name, 32)

    assert name in BUILDERS  # and importing them makes them known to TFDS
    for split, count in manifest.splits.items():
        examples = list(tfds.as_numpy(tfds.load(f"{name}/32px", split=split, data_dir=data_dir)))
        assert len(examples) == count
        for example in examples:
            assert example["image"].shape == (32, 32, 3) and example["image"].dtype == np.uint8
            assert example["landmarks"].shape == (68, 2) and np.isfinite(example["landmarks"]).all()
            assert abs(example["valence"]) <= 1.0 and abs(example["arousal"]) <= 1.0

    workdir = place / "run"
    workdir.mkdir()
    (workdir / ".compiled").symlink_to(compiled)
    common = ["--preset", "debug", "--data", name, "--data-dir", data_dir, "--workdir", str(workdir)]
    run("train.py", "all", *common)
    for model in MODEL_NAMES:
        assert (workdir / model / "checkpoints" / "4" / "sha256.json").is_file()
        assert len((workdir / model / "metrics.jsonl").read_text().splitlines()) >= 4
    assert list((workdir / "image" / "samples").glob("*.png"))
    return manifest


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_four_models_are_trained_on_every_source(source, tmp_path, compiled):
    name, write, options = SOURCES[source]
    if write is not None:
        (tmp_path / "manual").mkdir()
        write(tmp_path / "manual")
    manifest = _through(name, tmp_path / "manual" if write else None, options, tmp_path, compiled)
    assert manifest.splits["train"] >= 4 and manifest.splits["validation"] >= 1


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the DiffusionFER images are not on this machine")
def test_four_models_are_trained_on_real_faces(tmp_path, compiled):
    manifest = _through("diffusion_fer", REAL, [], tmp_path, compiled)
    assert sum(manifest.splits.values()) >= 970
