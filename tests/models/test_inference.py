import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avlgan_jax.config import MODEL_NAMES
from avlgan_jax.data import records
from avlgan_jax.errors import UserError
from avlgan_jax.evaluation import scores
from avlgan_jax.evaluation.trials import draw_trials, measure
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.models import build, inference
from avlgan_jax.models.networks import Condition, image_to_float, image_to_uint8
from avlgan_jax.training import states, workdir


def test_the_functions_are_the_networks_with_the_averaged_weights(trained_run):
    folder, config, faces = trained_run
    models_ = states.load(folder)
    some, wanted = faces.take(np.arange(3)), np.array([[0.5, 0.1], [-0.3, 0.2], [0.0, -0.4]], np.float32)
    assert models_.steps == dict.fromkeys(MODEL_NAMES, 4)

    def apply(name, network, *inputs):
        return jax.jit(network.apply)({"params": states.restore(folder, config, name).evaluated}, *inputs)

    pictures = image_to_float(jnp.asarray(some.images))
    points = lm.normalise(jnp.asarray(some.landmarks), config.resolution)
    moved = apply("landmark", build.landmark_generator(config), points, Condition(jnp.asarray(wanted))).output
    np.testing.assert_allclose(
        models_.convert_landmarks(some.landmarks, wanted), lm.to_pixels(moved, config.resolution), atol=1e-4
    )
    emotions, features = apply("regressor", build.regressor_network(config), pictures)
    np.testing.assert_allclose(models_.predict(some.images), emotions, atol=1e-4)
    np.testing.assert_allclose(models_.regress(some.images)[1], features, atol=1e-4)
    painted = apply(
        "image", build.image_generator(config.image), pictures, Condition(jnp.asarray(wanted), moved)
    ).output
    ours = models_.convert["avlandmarkgan"](some.images, some.landmarks, wanted)
    assert np.abs(ours.astype(int) - np.asarray(image_to_uint8(painted)).astype(int)).max() <= 1
    baseline = apply("avgan", build.image_generator(config.avgan), pictures, Condition(jnp.asarray(wanted))).output
    theirs = models_.convert["avgan"](some.images, some.landmarks, wanted)
    assert np.abs(theirs.astype(int) - np.asarray(image_to_uint8(baseline)).astype(int)).max() <= 1
    assert models_.read_emotions(some.images).shape == (3, 2)


@pytest.mark.slow
def test_3d_landmarks_from_the_records_through_every_network(trained_run_3d):
    folder, _, faces = trained_run_3d
    models_ = states.load(folder)
    some, wanted = faces.take(np.arange(3)), np.array([[0.5, 0.1], [-0.3, 0.2], [0.0, -0.4]], np.float32)
    moved = models_.convert_landmarks(some.landmarks, wanted)
    assert some.landmarks.shape == moved.shape == models_.read_landmarks(some.images).shape == (3, 68, 3)
    # Four steps hardly move anything, depth no more than the rest.
    np.testing.assert_allclose(moved, some.landmarks, atol=2.0)
    painted = models_.convert["avlandmarkgan"](some.images, some.landmarks, wanted)
    np.testing.assert_array_equal(painted, models_.paint(some.images, moved, wanted))
    assert (folder / "image" / "samples").is_dir()


def test_any_number_of_faces_and_the_same_answer_in_any_company(trained_run):
    folder, _, faces = trained_run
    models_ = states.load(folder)
    count = inference.ROWS_PER_DEVICE + 5
    many = models_.predict(faces.images[:count])
    assert many.shape == (count, 2) and many.dtype == np.float32
    np.testing.assert_array_equal(many[-5:], models_.predict(faces.images[count - 5 : count]))
    assert models_.predict(faces.images[:0]).shape == (0, 2)


def test_a_model_that_is_not_trained(tmp_path, trained_run):
    _, config, _ = trained_run
    workdir.claim(tmp_path, config, "x")
    with pytest.raises(UserError, match="regressor model .* is not trained yet"):
        states.load(tmp_path)


def test_scores_do_not_depend_on_devices_nor_on_batches(trained_run):
    folder, config, faces = trained_run
    training = records.load(config.data_dir, config.data, config.resolution, "train")
    trials = draw_trials(faces.emotions, 50, seed=0)

    def numbers(**placing):
        models_ = states.load(folder, **placing)
        measured = measure(models_, faces, training, trials, None, lambda done: None)
        return {"scores": scores.score(measured), "intervals": scores.intervals(measured, seed=0)}

    expected = numbers()
    for placing in ({"devices": jax.devices()[:2]}, {"sizes": (16,)}, {"sizes": (7, 24), "devices": jax.devices()[:3]}):
        assert_close(numbers(**placing), expected)


def assert_close(found, expected):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_close(found[key], value)
    elif expected is None or isinstance(expected, str):
        assert found == expected
    else:
        # These models hardly move, so a correlation (at most 1) shows the last bits of float32; hence the small atol.
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-6)
