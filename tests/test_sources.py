"""Each data source from its files to four trained models, with the commands that a user runs.

The commands of the sources differ only in the name, the folders and the options of prepare.py in SOURCES.
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
    """Write seven drawn faces and their labels for `face_folder`."""
    rows = []
    for i in range(7):
        drawn.save_face(folder / f"pictures/{i}.png", i)
        split = (*["train"] * 5, "validation", "test")[i]
        rows.append([f"pictures/{i}.png", (i - 4) / 5, (4 - i) / 6, "infant" if i % 3 else "adult", split])
    drawn.write_csv(folder / "labels.csv", ["path", "valence", "arousal", "group", "split"], rows)


def _diffusion_fer(folder: Path) -> None:
    """Write six drawn faces in the form of DiffusionFER: five in the training split, one in the validation split."""
    people = [f"person{i}" for i in range(100)]
    chosen = [p for p in people if split_of(p) == "train"][:5] + [p for p in people if split_of(p) == "validation"][:1]
    rows = []
    for i, person in enumerate(chosen):
        rows.append([f"cropped/happy/{person}_{i}.jpg", i / 6, -i / 7, i])
        drawn.save_face(folder / rows[-1][0], i, quality=95)
    drawn.write_sheet(folder, rows)


# Data set, function that writes its files (None: it needs no files), and options of prepare.py besides the folders.
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
    """Return a folder for compiled programs. Sources with about the same number of faces share them."""
    return tmp_path_factory.mktemp("compiled")


def _prepare_and_train(
    name: str, manual_dir: Path | None, options: list[str], folder: Path, compiled: Path
) -> Manifest:
    """Run prepare.py, read every record with TFDS, train all models to the last step, and return the manifest."""
    files = [] if manual_dir is None else ["--manual-dir", str(manual_dir)]
    data_dir = str(folder / "data")
    run("prepare.py", name, *files, *options, "--resolution", "32", "--workers", "1", "--data-dir", data_dir)
    manifest = verify_records(Path(data_dir), name, 32)

    assert name in BUILDERS  # importing the builders registers them with TFDS
    for split, count in manifest.splits.items():
        examples = list(tfds.as_numpy(tfds.load(f"{name}/32px", split=split, data_dir=data_dir)))
        assert len(examples) == count
        for example in examples:
            assert example["image"].shape == (32, 32, 3) and example["image"].dtype == np.uint8
            assert example["landmarks"].shape == (68, 2) and np.isfinite(example["landmarks"]).all()
            assert abs(example["valence"]) <= 1.0 and abs(example["arousal"]) <= 1.0

    workdir = folder / "run"
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
    manifest = _prepare_and_train(name, tmp_path / "manual" if write else None, options, tmp_path, compiled)
    assert manifest.splits["train"] >= 4 and manifest.splits["validation"] >= 1


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the DiffusionFER images are not on this machine")
def test_four_models_are_trained_on_real_faces(tmp_path, compiled):
    manifest = _prepare_and_train("diffusion_fer", REAL, [], tmp_path, compiled)
    assert sum(manifest.splits.values()) >= 970
