import subprocess
import sys
import textwrap

import jax.export
import numpy as np
import pytest
from conftest import ROOT, run

import avlgan_jax
from avlgan_jax.editing import bundle, export


@pytest.fixture(scope="module")
def exported(trained_run, tmp_path_factory):
    """Return the bundle of a run, exported with the command that a user would run, and the run's workdir."""
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    workdir, _, _ = trained_run
    done = run("-m", "avlgan_jax.editing.export", str(workdir), "--out", str(folder))
    assert "trained on drawn faces, 32 x 32 px" in done.stdout
    return folder, workdir


def test_a_bundle_gives_the_outputs_of_its_workdir(exported):
    of_bundle, of_workdir = (avlgan_jax.load(folder) for folder in exported)
    image, points = of_workdir.draw(seed=1)
    outputs = (
        of_bundle.edit(image, [0.5, -0.5], [0.1, 0.3], points),
        of_workdir.edit(image, [0.5, -0.5], [0.1, 0.3], points),
    )
    assert np.abs(outputs[0].astype(int) - outputs[1]).max() <= 2  # float16 against float32 weights
    assert "before it was evaluated" in (exported[0] / bundle.CARD).read_text()


def test_the_exported_program_runs_without_this_package(exported, tmp_path):
    model = avlgan_jax.load(exported[0])
    images, points = zip(*(model.draw(seed) for seed in range(3)), strict=True)
    emotions = np.array([[0.5, 0.1], [-0.3, 0.2], [0.0, -0.4]], np.float32)
    inputs = {"images": np.stack(images), "landmarks": np.stack(points), "emotions": emotions}
    np.savez(tmp_path / "in.npz", **inputs)
    code = """
        import sys
        from pathlib import Path
        import numpy as np
        from jax import export
        inputs = np.load("in.npz")
        edit = export.deserialize(Path(sys.argv[1]).read_bytes()).call
        images, landmarks = edit(inputs["images"], inputs["landmarks"], inputs["emotions"])
        assert not any(name.startswith("avlgan") for name in sys.modules)
        np.savez("out.npz", images=images, landmarks=landmarks)
    """
    program = str(exported[0] / bundle.PROGRAM)
    subprocess.run([sys.executable, "-I", "-c", textwrap.dedent(code), program], cwd=tmp_path, check=True)
    found = np.load(tmp_path / "out.npz")
    expected = model.edit_with_landmarks(inputs["images"], *emotions.T, inputs["landmarks"])
    assert np.abs(found["images"].astype(int) - expected.images).max() <= 1
    np.testing.assert_allclose(found["landmarks"], expected.landmarks, atol=1e-3)


def test_the_exported_program_contains_no_local_paths(exported):
    program = (exported[0] / bundle.PROGRAM).read_bytes()
    assert b"networks.py" in program and str(ROOT).encode() not in program and sys.prefix.encode() not in program


@pytest.mark.slow
def test_the_exported_program_takes_3d_landmarks(trained_run_3d, tmp_path):
    found = bundle.read(trained_run_3d[0])
    card = export.model_card(found, "bundle3d")
    assert "with 3-D landmarks" in card and "landmarks float32 (n, 68, 3)" in card
    edit = jax.export.deserialize(export.export_program(found.config, found.weights)).call
    faces = trained_run_3d[2].take(np.arange(2))
    images, landmarks = edit(faces.images, np.asarray(faces.landmarks), np.asarray(faces.emotions))
    assert images.shape == faces.images.shape and landmarks.shape == (2, 68, 3)


def test_a_folder_without_a_run_is_a_user_error(tmp_path):
    done = run("-m", "avlgan_jax.editing.export", str(tmp_path), "--out", str(tmp_path / "bundle"), check=False)
    assert done.returncode == 2 and "no training run" in done.stderr
