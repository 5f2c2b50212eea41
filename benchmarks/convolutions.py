"""Plain against fast form of the networks' convolutions: `python -m benchmarks.convolutions`.

For each layer of the demo's networks: milliseconds (median of alternating calls) of the forward pass and of both
gradients in each form, and the ratio. `layers.preferred_form` follows what this prints on a CPU.
"""

import statistics
import time

import jax
import jax.numpy as jnp

from avlgan_jax import layers

BATCH, CALLS = 16, 9

# (kernel, stride, input side, channels in, channels out, transposed)
LAYERS = [
    (7, 1, 48, 6, 16, False),
    (7, 1, 48, 16, 4, False),
    (7, 1, 48, 32, 4, False),
    (4, 2, 48, 16, 32, False),
    (4, 2, 24, 32, 64, False),
    (4, 2, 12, 64, 128, False),
    (4, 2, 6, 128, 256, False),
    (4, 2, 12, 64, 32, True),
    (4, 2, 24, 32, 16, True),
]


def passes(size: int, stride: int, side: int, c_in: int, c_out: int, upsample: bool, form: str):
    """Compiled forward, input-gradient and kernel-gradient passes of one layer, without arguments."""
    x = jax.random.normal(jax.random.key(0), (BATCH, side, side, c_in))
    kernel = jax.random.normal(jax.random.key(1), (size, size, c_in, c_out))

    def forward(x, kernel):
        if upsample:
            return layers.upsample_conv(x, kernel, form)
        return layers.conv(x, kernel, stride, (size - 1) // 2, form)

    def objective(x, kernel):
        return jnp.sum(jnp.square(forward(x, kernel)))

    compiled = [jax.jit(forward), jax.jit(jax.grad(objective, 0)), jax.jit(jax.grad(objective, 1))]
    return [lambda run=run: jax.block_until_ready(run(x, kernel)) for run in compiled]


def main() -> None:
    """Print the table."""
    print(f"batch {BATCH}, {jax.devices()[0].device_kind}, jax {jax.__version__}; ms plain / ms fast (ratio)\n")
    print("| layer | forward | input gradient | kernel gradient |\n|---|---|---|---|")
    for layer in LAYERS:
        pairs = zip(*(passes(*layer, form) for form in ("plain", "fast")), strict=True)
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
        size, stride, side, c_in, c_out, upsample = layer
        kind = "transposed" if upsample else f"stride {stride}"
        print(f"| {kind} {size}x{size}, {side} px, {c_in} to {c_out} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
