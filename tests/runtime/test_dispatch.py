import dataclasses
import os
import platform
import subprocess
import sys
import textwrap

import chex
import jax
import numpy as np
import pytest
from conftest import ROOT
from small_models import built, random_batch, small

from avlgan_jax.config import RegressorTraining
from avlgan_jax.data import batches
from avlgan_jax.errors import UserError
from avlgan_jax.models import build
from avlgan_jax.presets import debug
from avlgan_jax.runtime.devices import choose_devices, data_fits, replicate
from avlgan_jax.runtime.dispatch import choose_loader_threads, choose_steps_per_dispatch, make_dispatch


def case(name):
    """Return a model, a function that returns its initial state, and a batch of four faces."""
    config = small(batch_size=4, adversarial_loss="wgan_gp")
    if name == "regressor":
        config = dataclasses.replace(debug(), regressor=RegressorTraining(width=8, batch_size=4))
        model = build.build(name, config, 100)
        init = jax.jit(model.trainer.init)
        return model, lambda: init(jax.random.key(0), random_batch(config), {}), random_batch(config, 4)
    model, _, _ = built(name, config)
    return model, lambda: built(name, config)[1], random_batch(config, 4)


@pytest.mark.parametrize(
    "name", ["landmark", "image", *(pytest.param(name, marks=pytest.mark.slow) for name in ("regressor", "avgan"))]
)
def test_one_two_and_four_devices_make_the_same_update(name):
    model, fresh, batch = case(name)
    results = []
    for count in (1, 4) if name in ("regressor", "avgan") else (1, 2, 4):  # a ResNet takes long to compile
        dispatch = make_dispatch(model.trainer.step, jax.devices()[:count])
        after, metrics = dispatch(fresh(), batches.stack([batch]))
        results.append((parameters(after), {k: float(v[0]) for k, v in metrics.items()}))
    before = parameters(fresh())
    moved = [np.abs(a - b).max() for a, b in zip(results[0][0], before, strict=True)]
    assert max(moved) > 5e-5
    for after, metrics in results[1:]:
        for name_of, value in metrics.items():
            np.testing.assert_allclose(value, results[0][1][name_of], rtol=2e-4, atol=1e-5, err_msg=name_of)
        # Adam's first step is nearly the sign of the gradient. Where the gradient is a rounding error, its sign may
        # differ.
        differing = sum(int(np.sum(np.abs(a - b) > 2e-6)) for a, b in zip(results[0][0], after, strict=True))
        assert differing < 0.005 * sum(leaf.size for leaf in before)


def parameters(state):
    """Return the trained parameters of a state as a list of arrays."""
    trained = state.regressor if hasattr(state, "regressor") else (state.generator, state.discriminator)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(trained)]


def test_a_loop_of_steps_equals_single_steps():
    model, fresh, batch = case("landmark")
    stream = [batch._replace(targets=batch.targets * scale) for scale in (1.0, 0.5, -1.0)]
    dispatch = make_dispatch(model.trainer.step, jax.devices()[:1])
    looped, metrics = dispatch(fresh(), batches.stack(stream))
    state, single = fresh(), []
    for one in stream:
        state, m = dispatch(state, batches.stack([one]))
        single.append(float(m["g/loss"][0]))
    np.testing.assert_allclose(metrics["g/loss"], single, rtol=1e-5)
    chex.assert_trees_all_close(looped.generator, state.generator, atol=1e-5)
    assert int(looped.step) == 3


def test_faces_on_the_devices_give_the_same_bits_as_batches_from_the_host():
    model, fresh, batch = case("landmark")
    store = batches.DeviceFaces(np.asarray(batch.landmarks), np.asarray(batch.emotions))
    chosen = [
        batches.BatchPlan(np.array(order), np.zeros(4, bool), batch.targets) for order in ([2, 0, 3, 1], [1, 1, 0, 3])
    ]
    for devices in (jax.devices()[:1], jax.devices()[:2]):
        placed = replicate(store, devices)
        assert all(leaf.sharding.device_set == set(devices) for leaf in jax.tree.leaves(placed))
        picks = batches.stack([batches.batch_indices(plan) for plan in chosen])
        picked, _ = make_dispatch(model.trainer.step, devices, placed)(fresh(), picks)
        stream = batches.stack(
            [jax.tree.map(np.asarray, batches.gather_batch(store, batches.batch_indices(plan))) for plan in chosen]
        )
        sent, _ = make_dispatch(model.trainer.step, devices)(fresh(), stream)
        for ours, theirs in zip(parameters(picked), parameters(sent), strict=True):
            assert ours.tobytes() == theirs.tobytes()


class Memory:
    """A device that reports its memory limit in bytes, or nothing, as a CPU does."""

    def __init__(self, limit, process_index=0):
        self._limit, self.process_index = limit, process_index

    def memory_stats(self):
        return None if self._limit is None else {"bytes_limit": self._limit}


def test_faces_are_kept_on_devices_of_whose_memory_they_fill_at_most_a_quarter():
    faces = batches.DeviceFaces(np.zeros((10, 68, 2), np.float32), np.zeros((10, 2), np.float32))
    size = faces.nbytes
    for wanted, limit, fits in [
        ("auto", 4 * size, True),
        ("auto", 4 * size - 1, False),
        ("auto", None, False),
        ("yes", None, True),
        ("no", 100 * size, False),
    ]:
        devices = [Memory(0, process_index=1), Memory(limit)]  # the first belongs to another process and is skipped
        assert data_fits(wanted, size, devices) == fits


def test_the_state_keeps_its_shapes_on_two_devices():
    model, fresh, batch = case("landmark")
    before = fresh()
    after, _ = make_dispatch(model.trainer.step, jax.devices()[:2])(fresh(), batches.stack([batch]))
    chex.assert_trees_all_equal_shapes_and_dtypes(after, before)


@pytest.mark.parametrize("count", [1, 2])
def test_batches_of_one_shape_are_compiled_once(count):
    model, fresh, batch = case("landmark")
    chex.clear_trace_counter()  # chex counts by function name, across the cases of a test
    dispatch = make_dispatch(chex.assert_max_traces(model.trainer.step, n=1), jax.devices()[:count])
    state = replicate(fresh(), jax.devices()[:count])  # as the training loop does
    for _ in range(3):
        state, _ = dispatch(state, batches.stack([batch]))
    assert int(state.step) == 3


class StepVariants(chex.TestCase):
    """The step is a pure function with the same result without jit, under jit, and under pmap with the same batch."""

    @chex.variants(without_jit=True, with_jit=True, with_pmap=True)
    def test_a_step_is_the_same(self):
        model, fresh, batch = case("landmark")
        expected, expected_metrics = jax.jit(model.trainer.step)(fresh(), batch, jax.random.key(5))

        @self.variant
        def step(state, batch, key):
            return model.trainer.step(state, batch, key)

        after, metrics = step(fresh(), batch, jax.random.key(5))
        chex.assert_trees_all_equal_shapes_and_dtypes(after.generator, expected.generator)
        chex.assert_trees_all_close(metrics, expected_metrics, rtol=1e-4, atol=1e-5)
        assert int(after.step) == 1


def test_choosing_devices():
    assert len(choose_devices(0, 16)) == 4
    assert len(choose_devices(0, 6)) == 3
    assert len(choose_devices(0, 16, convolves=False)) == 1
    assert len(choose_devices(4, 16, convolves=False)) == 4
    assert len(choose_devices(2, 16)) == 2
    with pytest.raises(UserError, match="there are 4"):
        choose_devices(64, 64)
    with pytest.raises(UserError, match="multiple of devices"):
        choose_devices(3, 16)


def test_models_with_2d_convolutions_take_one_step_per_dispatch_on_a_cpu():
    assert choose_steps_per_dispatch(0, convolves=True) == 1
    assert choose_steps_per_dispatch(0, convolves=False) == 20
    assert choose_steps_per_dispatch(7, convolves=True) == 7


def test_an_accelerator_gets_several_loader_threads(monkeypatch):
    assert choose_loader_threads(0) == 1 and choose_loader_threads(3) == 3
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for cores, threads in ((1, 1), (2, 1), (6, 3), (64, 8)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert choose_loader_threads(0) == threads and choose_loader_threads(1) == 1


def output_of(code):
    """Return the output of a new process that calls `set_up_cpu` and then runs `code`."""
    code = "from avlgan_jax.runtime import devices; devices.set_up_cpu()\n" + textwrap.dedent(code)
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_cpu_gets_a_device_per_core():
    assert output_of("import jax, os; print(len(jax.devices()) == len(os.sched_getaffinity(0)))") == "True"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")
def test_freed_memory_is_reused_without_page_faults():
    faults = output_of("""
        import resource
        import numpy as np
        for round in range(6):
            if round == 1:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            np.ones(2**24)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """)
    assert int(faults) < 2**24 * 8 / 4096 / 10  # fewer than a tenth of the pages of one array; there are five
