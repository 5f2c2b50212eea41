import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avlgan_jax.config import MODEL_NAMES
from avlgan_jax.errors import UserError
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import warp
from avlgan_jax.models import build, inference
from avlgan_jax.models.networks import Condition, image_to_float, image_to_uint8
from avlgan_jax.training import states, workdir


def test_loaded_functions_apply_the_networks_with_the_weights_for_evaluation(trained_run):
    folder, config, faces = trained_run
    models = states.load(folder)
    some, targets = faces.take(np.arange(3)), np.array([[0.5, 0.1], [-0.3, 0.2], [0.0, -0.4]], np.float32)
    assert models.steps == dict.fromkeys(MODEL_NAMES, 4)

    def apply(name, network, *inputs):
        return jax.jit(network.apply)({"params": states.restore(folder, config, name).evaluated}, *inputs)

    images = image_to_float(jnp.asarray(some.images))
    points = lm.normalise(jnp.asarray(some.landmarks), config.resolution)
    generated = apply("landmark", build.landmark_generator(config), points, Condition(jnp.asarray(targets))).output
    converted = jax.vmap(warp.without_similarity)(points, generated)  # `debug` warps, as `modern`
    np.testing.assert_allclose(
        models.convert_landmarks(some.landmarks, targets), lm.to_pixels(converted, config.resolution), atol=1e-4
    )
    emotions, features = apply("regressor", build.regressor_network(config), images)
    of_mirrored, _ = apply("regressor", build.regressor_network(config), images[:, :, ::-1])
    assert np.abs(emotions - of_mirrored).max() > 1e-3
    np.testing.assert_allclose(models.predict(some.images), 0.5 * (emotions + of_mirrored), atol=1e-4)
    np.testing.assert_allclose(models.predict(some.images[:, :, ::-1]), models.predict(some.images), atol=1e-4)
    np.testing.assert_allclose(models.regress(some.images)[1], features, atol=1e-4)
    np.testing.assert_allclose(models.features(some.images), features, atol=1e-4)
    expected = apply(
        "image", build.image_generator(config.image), images, Condition(jnp.asarray(targets), converted, points)
    ).output
    output = models.convert["avlandmarkgan"](some.images, some.landmarks, targets)
    assert np.abs(output.astype(int) - np.asarray(image_to_uint8(expected)).astype(int)).max() <= 1
    avgan_expected = apply("avgan", build.image_generator(config.avgan), images, Condition(jnp.asarray(targets))).output
    avgan_output = models.convert["avgan"](some.images, some.landmarks, targets)
    assert np.abs(avgan_output.astype(int) - np.asarray(image_to_uint8(avgan_expected)).astype(int)).max() <= 1
    assert models.read_emotions(some.images).shape == (3, 2)


def test_a_run_without_avgan_is_loaded_without_it(trained_run, run_without_avgan):
    _, _, faces = trained_run
    every, some = states.load(trained_run[0]), states.load(run_without_avgan)
    assert set(some.convert) == {"avlandmarkgan"}
    assert some.steps == {"regressor": 4, "landmark": 4, "image": 4}
    inputs = faces.images[:2], faces.landmarks[:2], faces.emotions[:2]
    np.testing.assert_array_equal(some.convert["avlandmarkgan"](*inputs), every.convert["avlandmarkgan"](*inputs))


@pytest.mark.slow
def test_all_networks_convert_3d_landmarks(trained_run_3d):
    folder, _, faces = trained_run_3d
    models = states.load(folder)
    some, targets = faces.take(np.arange(3)), np.array([[0.5, 0.1], [-0.3, 0.2], [0.0, -0.4]], np.float32)
    converted = models.convert_landmarks(some.landmarks, targets)
    assert some.landmarks.shape == converted.shape == models.read_landmarks(some.images).shape == (3, 68, 3)
    # After four steps the model hardly moves landmarks, in depth as little as in x and y.
    np.testing.assert_allclose(converted, some.landmarks, atol=2.0)
    painted = models.convert["avlandmarkgan"](some.images, some.landmarks, targets)
    np.testing.assert_array_equal(painted, models.paint(some.images, some.landmarks, converted, targets))
    assert (folder / "image" / "samples").is_dir()


def test_predictions_do_not_depend_on_the_number_of_faces(trained_run):
    folder, _, faces = trained_run
    models = states.load(folder)
    count = inference.ROWS_PER_DEVICE + 5
    predicted = models.predict(faces.images[:count])
    assert predicted.shape == (count, 2) and predicted.dtype == np.float32
    np.testing.assert_array_equal(predicted[-5:], models.predict(faces.images[count - 5 : count]))
    assert models.predict(faces.images[:0]).shape == (0, 2)


def test_loading_an_untrained_model_is_an_error(tmp_path, trained_run):
    _, config, _ = trained_run
    workdir.claim(tmp_path, config, "x")
    with pytest.raises(UserError, match="regressor model .* is not trained yet"):
        states.load(tmp_path)


def test_outputs_do_not_depend_on_devices_or_batch_sizes(trained_run):
    folder, _, faces = trained_run
    targets = faces.emotions[::-1]

    def outputs(**options):
        models = states.load(folder, **options)
        emotions, features = models.regress(faces.images)
        numbers = (emotions, features, models.convert_landmarks(faces.landmarks, targets))
        return numbers, [convert(faces.images, faces.landmarks, targets) for convert in models.convert.values()]

    numbers, images = outputs()
    for options in ({"devices": jax.devices()[:2]}, {"sizes": (16,)}, {"sizes": (7, 24), "devices": jax.devices()[:3]}):
        found_numbers, found_images = outputs(**options)
        for found, expected in zip(found_numbers, numbers, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        for found, expected in zip(found_images, images, strict=True):
            # Rounding errors of float32 move a flow by a millionth of a pixel, and a few values to the next of 256.
            differences = np.abs(found.astype(int) - expected)
            assert differences.max() <= 1 and differences.mean() < 1e-4
