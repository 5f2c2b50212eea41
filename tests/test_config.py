import dataclasses
import json

import pytest

from avlgan_jax import config as configuration
from avlgan_jax.config import Config, ImageTraining, LandmarkTraining, RegressorTraining
from avlgan_jax.editing import bundle
from avlgan_jax.errors import UserError


def test_the_defaults_are_those_of_the_paper():
    config = Config()
    for section in (config.landmark, config.image):
        assert (section.steps, section.batch_size, section.learning_rate) == (400_000, 16, 1e-4)
        assert (section.decay, section.decay_factor) == ("epoch", 0.99997)
        assert (section.emotion_weight, section.reconstruction_weight) == (5, 10)
        assert section.adversarial_loss == "minimax"
    assert config.landmark.centre_weight == config.image.landmark_weight == 10
    assert config.resolution == 128


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Config(resolution=30), "resolution is 30"),
        (lambda: Config(devices=-1), "devices is -1"),
        (lambda: LandmarkTraining(steps=0), "steps is 0 in LandmarkTraining: expected at least 1"),
        (lambda: RegressorTraining(steps=0), "steps is 0 in RegressorTraining: expected at least 1"),
        (lambda: Config(checkpoint_every=-1), r"checkpoint_every is -1 in Config: expected 0 \(as often as the disk"),
        (lambda: Config(image=ImageTraining(steps=0)), "steps is 0 in ImageTraining: expected at least 1"),
        (lambda: Config(avgan=without_landmarks(steps=-1)), "steps is -1"),
        (lambda: LandmarkTraining(learning_rate=-1.0), "learning_rate is -1.0"),
        (lambda: LandmarkTraining(precision="bfloat16"), "the landmark converter has no other"),
        (lambda: ImageTraining(paired_feature_weight=1.0), "expected 0 without warped"),
        (lambda: LandmarkTraining(emotion_weight=-5.0), "emotion_weight is -5.0"),
        (lambda: RegressorTraining(width=12), "width is 12"),
        (lambda: ImageTraining(discriminator="resnet18"), "use_landmarks is True"),
        (lambda: Config(avgan=ImageTraining()), "avGAN is the baseline without landmarks"),
        (lambda: Config(resolution=32), "32 px allow at most 5 layers"),
    ],
)
def test_an_invalid_value_raises_an_error_that_names_it(make, message):
    with pytest.raises(UserError, match=message):
        make()


def without_landmarks(**options):
    return ImageTraining(use_landmarks=False, discriminator="resnet18", **options)


def test_avgan_alone_may_be_left_out():
    assert Config().trained_models == configuration.MODEL_NAMES
    left_out = Config(avgan=without_landmarks(steps=0))
    assert left_out.trained_models == ("regressor", "landmark", "image")
    assert configuration.from_json(configuration.to_json(left_out), "here") == left_out


def test_avgan_may_be_added_with_any_options_but_not_left_out_again():
    left_out = Config(avgan=without_landmarks(steps=0))
    added = Config(avgan=without_landmarks(steps=1_600, decay="cosine", d_warmup=700))
    assert configuration.differences(added, left_out) == []
    steps = "avgan.steps: 0 here, 400000 there"
    assert configuration.differences(left_out, Config()) == [steps]
    trained = Config(avgan=without_landmarks(d_warmup=700))
    assert configuration.differences(Config(), trained) == ["avgan.d_warmup: 0 here, 700 there"]
    other = dataclasses.replace(added, seed=1)
    assert configuration.differences(other, left_out) == ["seed: 1 here, 0 there"]


def test_json_round_trip():
    config = Config(seed=3, landmark=LandmarkTraining(body="conv1d"))
    assert configuration.from_json(configuration.to_json(config), "here") == config


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"colour": 3}', '{"image": 7}', '{"resolution": "x"}', '{"landmark_dimensions": 3.0}']
)
def test_an_invalid_config_file_is_named_in_the_error(text):
    with pytest.raises(UserError, match=r"runs/x/config.json is not a valid config"):
        configuration.from_json(text, "runs/x/config.json")


def test_a_config_without_landmark_dimensions_has_2():
    fields = json.loads(configuration.to_json(Config()))
    del fields["landmark_dimensions"]
    assert configuration.from_json(json.dumps(fields), "here") == Config()
    assert bundle.read(bundle.DEFAULT).config.landmark_dimensions == 2
    found = configuration.differences(Config(landmark_dimensions=3), Config())
    assert found == ["landmark_dimensions: 3 here, 2 there"]


def test_differences_name_the_differing_fields():
    ours = Config()
    assert configuration.differences(ours, dataclasses.replace(ours, devices=2, log_every=7, data_dir="/x")) == []
    often = dataclasses.replace(ours, checkpoint_every=0)
    assert configuration.differences(ours, often) == [] and configuration.digest(ours) == configuration.digest(often)
    other = dataclasses.replace(ours, seed=1, image=dataclasses.replace(ours.image, emotion_weight=1.0))
    found = configuration.differences(ours, other)
    assert found == ["seed: 0 here, 1 there", "image.emotion_weight: 5.0 here, 1.0 there"]


def test_more_steps_differ_only_if_the_learning_rate_depends_on_their_number():
    ours = Config()
    longer = dataclasses.replace(ours, image=dataclasses.replace(ours.image, steps=500_000))
    assert configuration.differences(ours, longer) == []
    cosine = dataclasses.replace(ours, image=dataclasses.replace(ours.image, decay="cosine"))
    longer = dataclasses.replace(cosine, image=dataclasses.replace(cosine.image, steps=500_000))
    assert configuration.differences(cosine, longer) == ["image.steps: 400000 here, 500000 there"]


def test_the_digest_depends_on_fields_that_affect_training_only():
    assert configuration.digest(Config()) == configuration.digest(Config(devices=2, data_dir="elsewhere"))
    assert configuration.digest(Config()) != configuration.digest(Config(seed=1))


def test_every_field_has_a_docstring():
    """--help shows these docstrings."""
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(configuration))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for field, after in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign):
                    has_docstring = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                    assert has_docstring, f"{node.name}.{field.target.id} has no docstring"
