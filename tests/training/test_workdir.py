import dataclasses

import pytest

from avlgan_jax.config import Config
from avlgan_jax.errors import UserError
from avlgan_jax.training import workdir


def test_a_workdir_can_be_claimed_again_with_the_same_experiment(tmp_path):
    workdir.claim(tmp_path / "run", Config(seed=4), "abc")
    workdir.claim(tmp_path / "run", Config(seed=4, log_every=3), "abc")
    assert workdir.read_config(tmp_path / "run") == Config(seed=4, log_every=3)


def test_another_config_is_refused_without_changing_the_workdir(tmp_path):
    workdir.claim(tmp_path, Config(), "abc")
    with pytest.raises(UserError, match="belongs to another config .*seed: 1 here, 0 there"):
        workdir.claim(tmp_path, Config(seed=1), "abc")
    assert workdir.read_config(tmp_path) == Config()


def test_avgan_may_be_added_to_a_run_that_left_it_out(tmp_path):
    config = Config()
    left_out = dataclasses.replace(config, avgan=dataclasses.replace(config.avgan, steps=0))
    workdir.claim(tmp_path, left_out, "abc")
    workdir.claim(tmp_path, config, "abc")
    assert workdir.read_config(tmp_path).trained_models[-1] == "avgan"
    with pytest.raises(UserError, match="avgan.steps: 0 here, 400000 there"):
        workdir.claim(tmp_path, left_out, "abc")


def test_other_records_are_refused(tmp_path):
    workdir.claim(tmp_path, Config(), "abc")
    with pytest.raises(UserError, match="other records of procedural_faces"):
        workdir.claim(tmp_path, Config(), "def")


def test_a_folder_without_a_run_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no training run in"):
        workdir.read_config(tmp_path)
