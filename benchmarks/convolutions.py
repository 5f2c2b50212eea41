"""Plain and fast form of the networks' convolutions compared: `python -m benchmarks.convolutions`.

Prints, for layers of the networks, the milliseconds of the forward pass and of both gradients in each form (median of
alternating calls), and their ratio. All devices compute their share of the batch at the same time, as in training; on a
CPU, a layer on one device would have all threads. `preferred_form` in `avlgan_jax/models/convolutions.py` is based on
this table, measured on a CPU.
"""

import statistics
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from avlgan_jax.models import convolutions
from avlgan_jax.runtime.devices import set_up_cpu

BATCH, CALLS = 16, 9


class Layer(NamedTuple):
    """One convolution of a network.

    Attributes:
        size: Side of the square kernel.
        stride: Stride; not used for a transposed convolution.
        padding: Zeros on each side of the input; not used for a transposed convolution.
        side: Side of the square input, in pixels.
        c_in: Input channels.
        c_out: Output channels.
        upsample: Whether the convolution is transposed.
    """

    size: int
    stride: int
    padding: int
    side: int
    c_in: int
    c_out: int
    upsample: bool = False

    def __str__(self) -> str:
        kind = "transposed" if self.upsample else f"stride {self.stride}"
        return f"{kind} {self.size}x{self.size}, {self.side} px, {self.c_in} to {self.c_out}"


LAYERS = [
    Layer(7, 1, 3, 48, 6, 16),
    Layer(7, 1, 3, 48, 16, 4),
    Layer(7, 1, 3, 64, 6, 32),
    Layer(7, 1, 3, 64, 32, 3),
    Layer(4, 2, 1, 48, 16, 32),
    Layer(4, 2, 1, 12, 64, 128),
    Layer(4, 2, 1, 6, 160, 320),
    Layer(4, 2, 1, 5, 160, 320),
    Layer(4, 2, 1, 2, 256, 512),
    Layer(3, 1, 0, 3, 320, 138),
    Layer(4, 2, 1, 12, 64, 32, upsample=True),
    Layer(4, 2, 1, 24, 32, 16, upsample=True),
]


def passes(layer: Layer, form: convolutions.Form):
    """Return the compiled forward, input-gradient and kernel-gradient passes of a layer, each without arguments."""
    devices = jax.local_device_count()
    generator = np.random.default_rng(0)
    x = generator.normal(size=(BATCH // devices, layer.side, layer.side, layer.c_in)).astype(np.float32)
    kernel = generator.normal(size=(layer.size, layer.size, layer.c_in, layer.c_out)).astype(np.float32)

    def forward(x, kernel):
        if layer.upsample:
            return convolutions.upsample_conv(x, kernel, form)
        return convolutions.conv(x, kernel, layer.stride, layer.padding, form)

    def objective(x, kernel):
        return jnp.sum(jnp.square(forward(x, kernel)))

    arguments = [jax.pmap(lambda _, leaf=leaf: jnp.asarray(leaf))(np.zeros(devices)) for leaf in (x, kernel)]
    compiled = [jax.pmap(function) for function in (forward, jax.grad(objective, 0), jax.grad(objective, 1))]
    return [lambda run=run: jax.block_until_ready(run(*arguments)) for run in compiled]


def main() -> None:
    """Measure all layers and print the table."""
    set_up_cpu()
    where = f"{jax.local_device_count()} x {jax.devices()[0].device_kind}"
    print(f"batch {BATCH}, {where}, jax {jax.__version__}; ms plain / ms fast (ratio)\n")
    print("| layer | forward | input gradient | kernel gradient |\n|---|---|---|---|")
    for layer in LAYERS:
        pairs = zip(*(passes(layer, form) for form in ("plain", "fast")), strict=True)
        cells = []
        for plain, fast in pairs:
            times = {plain: [], fast: []}
            for call in range(CALLS + 1):
                for run in (plain, fast):
                    start = time.perf_counter()
                    run()
                    if call:  # the first call compiles
                        times[run].append(1e3 * (time.perf_counter() - start))
            a, b = (statistics.median(times[run]) for run in (plain, fast))
            cells.append(f"{a:.1f} / {b:.1f} ({a / b:.2f})")
        print(f"| {layer} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
