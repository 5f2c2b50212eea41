"""Benchmarks of training steps: both converters compared with PyTorch, and many landmark runs in one program."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from avlgan_jax.config import Config, ModelName
from avlgan_jax.data import batches
from avlgan_jax.models import build
from avlgan_jax.models.build import Model
from avlgan_jax.models.converter import State
from avlgan_jax.presets import paper
from avlgan_jax.runtime import dispatch
from avlgan_jax.runtime.devices import choose_devices
from avlgan_jax.training.states import state_shapes
from benchmarks.timing import Case, Measurement, Setting, alternate

FACES = 10_000  # size of a fictitious data set, which determines the length of an epoch
GRID = 24  # landmark runs in one program
PRODUCTS = 8  # matrix products in one program, for the peak rates

# Side of the images in pixels, width of the generator and the discriminator, batch size.
IMAGE_CASES = {
    "cpu": ((32, 16, 16), (32, 32, 16), (64, 16, 16), (64, 32, 16), (128, 64, 4)),
    "gpu": ((32, 64, 16), (64, 64, 16), (128, 64, 16), (128, 64, 64)),
}
TINY = (16, 4, 2)
# Batches of the paper's image converter at 128 px, with the steps in one dispatch, so that a call takes about a second.
PAPER_SIDE, PAPER_WIDTH, PAPER_BATCHES = 128, 64, {16: 20, 64: 5}
STEPS_PER_DISPATCH = (1, 5, 20)

Precision = Literal["float32", "TF32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
# JAX's names for the precision of matrix products and convolutions of float32 numbers.
_PRODUCTS = {"float32": "highest", "TF32": "tensorfloat32", "bfloat16": "tensorfloat32"}


def configured(side: int, width: int, batch_size: int) -> Config:
    """Return preset `paper` with other sizes of the image converter.

    Args:
        side: Side of the images, in pixels. The discriminator has six layers, or as many as the side allows.
        width: Width of the generator and the discriminator.
        batch_size: Images in a batch.
    """
    recipe = paper()
    image = dataclasses.replace(
        recipe.image,
        width=width,
        d_width=width,
        batch_size=batch_size,
        d_layers=min(6, side.bit_length() - 1),
        blocks=recipe.image.blocks if side > 16 else 1,
    )
    return dataclasses.replace(recipe, resolution=side, image=image)


def example_batches(config: Config, model: Model, count: int) -> batches.Batch:
    """Return `count` stacked batches of random numbers, with the types and shapes of real ones."""
    generator = np.random.default_rng(0)
    size, side = model.training.batch_size, config.resolution

    def random_batch() -> batches.Batch:
        return batches.Batch(
            landmarks=generator.uniform(-0.8, 0.8, (size, 68, 2)).astype(np.float32),
            emotions=generator.uniform(-1, 1, (size, 2)).astype(np.float32),
            targets=generator.uniform(-1, 1, (size, 2)).astype(np.float32),
            position=np.arange(size, dtype=np.int32),
            images=generator.integers(0, 256, (size, side, side, 3), np.uint8) if model.with_images else None,
        )

    return batches.stack([random_batch() for _ in range(count)])


def drawn(shapes: Any) -> Any:
    """Return random weights of these shapes.

    Drawing them is faster than compiling an initialisation, and the time of a step does not depend on their values.
    """
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: generator.normal(0.0, 0.05, leaf.shape).astype(np.float32), shapes)


def drawn_state(model: Model, config: Config) -> State:
    """Return a state at step 0 with random weights."""
    state = state_shapes(model, config)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state.replace(key=None))
    networks = {name: drawn(getattr(state, name)) for name in ("generator", "discriminator", "frozen")}
    return zeros.replace(key=jax.random.key(0), **networks)


class OurRun:
    """A JAX training run, as `loop` dispatches it. A call runs one dispatch, from batches on the host to its end.

    Args:
        config: Config of the run.
        name: Model to train.
        steps: Steps in one dispatch; 0 for the number that `loop` uses.
        precision: Precision of matrix products and convolutions; None for the config's own and JAX's default.
    """

    def __init__(self, config: Config, name: ModelName, steps: int = 0, precision: Precision | None = None):
        self._products = contextlib.nullcontext
        if precision is not None:
            stored = "bfloat16" if precision == "bfloat16" else "float32"
            config = dataclasses.replace(config, image=dataclasses.replace(config.image, precision=stored))
            self._products = lambda: jax.default_matmul_precision(_PRODUCTS[precision])
        self.model = build.build(name, config, FACES)
        self.steps = dispatch.choose_steps_per_dispatch(steps, self.model.with_images)
        self.batches = example_batches(config, self.model, self.steps)
        self.start = drawn_state(self.model, config)
        devices = choose_devices(0, self.model.training.batch_size, self.model.with_images)
        self._dispatch = dispatch.make_dispatch(self.model.trainer.step, devices)
        self._state = jax.tree.map(jnp.array, self.start)  # a copy, because a dispatch donates the memory of its state

    def __call__(self, dispatches: int = 1) -> None:
        with self._products():
            for _ in range(dispatches):
                self._state, _ = self._dispatch(self._state, self.batches)
        jax.block_until_ready(self._state)


class OurGrid:
    """Many runs of the landmark converter with different seeds in one dispatch."""

    def __init__(self, config: Config, runs: int):
        single = OurRun(config, "landmark")
        self.steps, self.batches = single.steps, single.batches
        trainer = single.model.trainer
        copies = jax.tree.map(lambda leaf: jnp.stack([leaf] * runs), single.start.replace(key=None))
        self._states = copies.replace(key=jax.random.split(jax.random.key(0), runs))

        def step(states, batch):
            def step_of_run(state):
                return trainer.step(state, batch, jax.random.fold_in(state.key, state.step))

            return jax.vmap(step_of_run)(states)

        self._dispatch = jax.jit(lambda states, many: jax.lax.scan(step, states, many), donate_argnums=0)

    def __call__(self) -> None:
        self._states, _ = self._dispatch(self._states, self.batches)
        jax.block_until_ready(self._states)


def _pytorch_run(reference, ours: OurRun) -> Callable[[], None]:
    """Return a function that runs as many steps in PyTorch and waits for them by reading the last loss."""
    steps = [jax.tree.map(lambda leaf, i=i: leaf[i], ours.batches) for i in range(ours.steps)]

    def call() -> None:
        for batch in steps:
            losses = reference.step(batch)
        losses["g/loss"].item()

    return call


def image_step(setting: Setting) -> Iterator[Case]:
    """Yield the rate of the full step, which updates D, and G with its cycle, in images/s."""
    for side, width, batch_size in [TINY] if setting.tiny else IMAGE_CASES[setting.device]:
        config = configured(side, width, batch_size)
        runs = {"ours": OurRun(config, "image")}
        if setting.device == "gpu":
            runs["ours bf16"] = OurRun(config, "image", precision="bfloat16")
        yield image_case(setting, config, runs)


def image_step_at(
    precision: Precision,
    setting: Setting,
    batch_size: int = 16,
    configure: Callable[[int, int, int], Config] = configured,
) -> Iterator[Case]:
    """Yield the rate of the full step of an image converter with everything at one precision, in images/s.

    Args:
        precision: The precision.
        setting: Device and sizes.
        batch_size: One of PAPER_BATCHES.
        configure: Gives the config for a side, width and batch size; by default that of preset `paper`.
    """
    side, width, size = TINY if setting.tiny else (PAPER_SIDE, PAPER_WIDTH, batch_size)
    config = configure(side, width, size)
    steps = 2 if setting.tiny else PAPER_BATCHES[size]
    yield image_case(setting, config, {"ours": OurRun(config, "image", steps, precision)}, precision)


def image_case(
    setting: Setting,
    config: Config,
    runs: dict[str, OurRun],
    precision: Precision | None = None,
    others: Mapping[str, OurRun] | None = None,
    forms: Sequence[str] = ("eager", "best"),
) -> Case:
    """Measure image converters of the same number of steps in JAX, and PyTorch from the weights of "ours".

    Args:
        setting: Device and sizes.
        config: The config of `runs`.
        runs: The JAX runs by name; one is "ours".
        precision: Precision in PyTorch; None for the form's own.
        others: JAX runs of another config.
        forms: Forms of the PyTorch reference.
    """
    import torch

    from benchmarks.pytorch.converters import image_reference

    torch.compiler.reset()  # PyTorch compiles only a few programs for the same code, and then no more
    ours, batch_size = runs["ours"], config.image.batch_size
    contenders: dict[str, Callable[[], object]] = runs | dict(others or {})
    for form in forms:
        theirs = image_reference(config, ours.start, form, setting.torch_device, precision)
        contenders[f"pytorch {form}"] = _pytorch_run(theirs, ours)
    measured = alternate(contenders, rounds=setting.rounds, unit="images/s", items=ours.steps * batch_size)
    work = flop_per_image(config)
    fastest = max((measured[name] for name in runs), key=lambda m: m.median)
    facts = {"GFLOP/image": work / 1e9, "GFLOP/s": work * fastest.median / 1e9}
    return Case(f"{config.resolution} px, width {config.image.width}, batch {batch_size}", measured, facts)


def dispatches(setting: Setting) -> Iterator[Case]:
    """Yield the rate of the paper's image converter in bfloat16 by the number of steps in one dispatch."""
    side, width, batch_size = TINY if setting.tiny else (PAPER_SIDE, PAPER_WIDTH, 16)
    config, counts = configured(side, width, batch_size), (1, 2) if setting.tiny else STEPS_PER_DISPATCH
    contenders = {}
    for count in counts:
        run = OurRun(config, "image", count, "bfloat16")
        contenders[f"ours, {count} a dispatch"] = functools.partial(run, max(counts) // count)
    measured = alternate(contenders, rounds=setting.rounds, unit="images/s", items=max(counts) * batch_size)
    yield Case(f"{side} px, width {width}, batch {batch_size}", measured)


def landmark_step(setting: Setting) -> Iterator[Case]:
    """Yield the steps/s of the landmark converter, as one run and as many runs, whose joint step counts as one."""
    from benchmarks.pytorch.converters import landmark_reference

    config, runs = paper(), 2 if setting.tiny else GRID
    if setting.tiny:
        config = dataclasses.replace(config, landmark=dataclasses.replace(config.landmark, width=8, batch_size=2))
    ours, grid = OurRun(config, "landmark"), OurGrid(config, runs)
    contenders: dict[str, Callable[[], object]] = {"ours": ours, f"ours, {runs} runs at once": grid}
    for form in ("eager", "best"):
        theirs = landmark_reference(config, ours.start, form, setting.torch_device)
        contenders[f"pytorch {form}"] = _pytorch_run(theirs, ours)
    measured = alternate(contenders, rounds=setting.rounds, unit="steps/s", items=ours.steps)
    single, grouped = list(measured.values())[:2]
    batch_size = config.landmark.batch_size
    yield Case(f"batch {batch_size}", measured, {f"{runs} runs over the time of one": single.median / grouped.median})


def flop_per_image(config: Config) -> float:
    """Return the floating-point operations of convolutions and matrix products in a step, per image of its batch.

    PyTorch counts them in a step of the reference's form `best`, with one pass of G for both updates: the work that
    every form has to do.
    """
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.pytorch.converters import image_reference

    alone = dataclasses.replace(config, image=dataclasses.replace(config.image, batch_size=1))
    model = build.build("image", alone, FACES)
    batch = example_batches(alone, model, 1)
    with FlopCounterMode(display=False) as counter:
        image_reference(alone, drawn_state(model, alone), "best").step(jax.tree.map(lambda leaf: leaf[0], batch))
    return float(counter.get_total_flops())


def work(setting: Setting) -> Iterator[Case]:
    """Yield the work by image side: GFLOP per image in a step, and PFLOP of the paper's schedule."""
    for side in (16,) if setting.tiny else (32, 64, 128, 256):
        config = configured(side, 4 if setting.tiny else 64, 16)
        flop = flop_per_image(config)
        facts = {"GFLOP/image": flop / 1e9, "PFLOP, 400,000 steps of 16": flop * 16 * 400_000 / 1e15}
        yield Case(f"{side} px, width {config.image.width}", {}, facts)


def memory(setting: Setting) -> Iterator[Case]:
    """Yield the scratch memory of an image converter's step on one device, with kept and with recomputed activations.

    The compiler reports it; nothing is run.
    """
    side, width, batch_size = TINY if setting.tiny else (128, 64, 16)
    config, facts = configured(side, width, batch_size), {}
    for name, rematerialise in (("activations kept, GB", False), ("computed again, GB", True)):
        changed = dataclasses.replace(config, image=dataclasses.replace(config.image, rematerialise=rematerialise))
        model = build.build("image", changed, FACES)
        batch = jax.tree.map(lambda leaf: leaf[0], example_batches(changed, model, 1))
        shapes = state_shapes(model, changed), batch, jax.eval_shape(lambda: jax.random.key(0))
        compiled = jax.jit(model.trainer.step, donate_argnums=0).lower(*shapes).compile()
        facts[name] = compiled.memory_analysis().temp_size_in_bytes / 1e9
    yield Case(f"{side} px, width {width}, batch {batch_size}", {}, facts)


def _products(matrix: jax.Array, precision: str) -> jax.Array:
    """Return a power of a matrix, by PRODUCTS products in one program: a GPU is called too slowly for single ones."""
    return jax.lax.fori_loop(0, PRODUCTS, lambda _, power: jnp.matmul(power, matrix, precision=precision), matrix)


def peaks(setting: Setting) -> Iterator[Case]:
    """Yield the device's peak rates: a large matrix product in each precision, and a sum of two large arrays."""
    side = 64 if setting.tiny else {"cpu": 2048, "gpu": 8192}[setting.device]
    add = jax.jit(jnp.add)
    measured: dict[str, Measurement] = {}
    for name in PRECISIONS if setting.device == "gpu" else ("float32", "bfloat16"):
        matrix = jax.random.normal(jax.random.key(0), (side, side), "bfloat16" if name == "bfloat16" else "float32")
        matrix /= side**0.5  # so that the powers keep their size
        multiply = jax.jit(functools.partial(_products, precision=_PRODUCTS[name]))
        call = lambda matrix=matrix, multiply=multiply: multiply(matrix).block_until_ready()  # noqa: E731
        work = PRODUCTS * 2e-9 * side**3
        measured |= alternate({name: call}, rounds=setting.rounds, unit="GFLOP/s", items=work)
    length = 1 << (10 if setting.tiny else {"cpu": 26, "gpu": 28}[setting.device])
    zeros, ones = jnp.zeros(length), jnp.ones(length)
    moved = alternate(
        {"float32": lambda: add(zeros, ones).block_until_ready()},
        rounds=setting.rounds,
        unit="GB/s",
        items=3 * zeros.nbytes / 1e9,
    )
    yield Case("matrix product", measured)
    yield Case("sum of two arrays", moved)
