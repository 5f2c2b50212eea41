"""Time of a full step of the image converter on a CPU by kind of operation, in JAX and in PyTorch.

For JAX, the times come from its profiler and the compiled program. An operation is taken to last until the next one
starts on the same thread, because XLA distributes convolutions over a thread pool and the profiler records only the
first part. For PyTorch, the times come from its profiler.
"""

import glob
import itertools
import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.choices import output
from benchmarks.timing import Case, Setting, warm_up
from benchmarks.training import TINY, OurRun, configured

CASES = ((64, 16, 16), (64, 32, 16), (128, 64, 4))
STEPS = 3

FORWARD, SLOPES, KERNELS = "convolutions", "input gradients", "kernel gradients"
MOVING, REST, UPDATE = "copies, paddings, transposes", "norms, activations, losses", "Adam and averages"
DEVICES = "sums over devices, and waiting for the other"

_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*)$")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{$")
# Kind of PyTorch's operators by regular expression. All other operators are norms, activations and losses.
_THEIRS = (
    (r"convolution_backward", f"{SLOPES} and {KERNELS}"),
    (r"conv", FORWARD),
    (r"copy_|pad|cat|clone|contiguous", MOVING),
    (r"adam|lerp|foreach", UPDATE),
)


def operations(setting: Setting) -> Iterator[Case]:
    """Yield the milliseconds of a step by kind of operation; JAX and PyTorch are profiled in separate processes."""
    for side, width, batch_size in [TINY] if setting.tiny else CASES:
        facts = {}
        for name in ("ours", "pytorch best"):
            with tempfile.TemporaryDirectory() as folder:
                code = f"from benchmarks import operations; operations.report({name!r}, {side}, {width}, {batch_size})"
                flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={folder} --xla_dump_hlo_as_text"
                printed = output([sys.executable, "-c", code, folder], {"XLA_FLAGS": flags})
            found = json.loads(printed.splitlines()[-1])
            facts |= {f"{name}, {kind}, ms": milliseconds for kind, milliseconds in found.items()}
        yield Case(f"{side} px, width {width}, batch {batch_size}", {}, facts)


def report(implementation: str, side: int, width: int, batch_size: int) -> None:
    """Print, as JSON, the milliseconds of a step by kind of operation.

    The process must run with XLA's dump directed to the folder that its command line names.

    Args:
        implementation: "ours", or PyTorch for any other value.
        side: Side of the images, in pixels.
        width: Width of the generator and the discriminator.
        batch_size: Images in a batch.
    """
    from avlgan_jax.runtime import devices

    devices.set_up_cpu()
    config = configured(side, width, batch_size)
    found = _ours(OurRun(config, "image"), Path(sys.argv[1])) if implementation == "ours" else _theirs(config)
    print(json.dumps(dict(found.most_common())))


def _ours(run: OurRun, dump: Path) -> Counter[str]:
    """Return the milliseconds of a JAX step by kind, from a profile and XLA's dump."""
    import jax

    run()
    warm_up(run)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(STEPS):
                run()
        (path,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
        trace = jax.profiler.ProfileData.from_file(path)
    # The largest of the compiled programs is the step.
    program = max(dump.glob("*cpu_after_optimizations.txt"), key=lambda path: path.stat().st_size)
    kinds = _kinds(program.read_text())
    spent: Counter[str] = Counter()
    threads = 0
    for line in (line for plane in trace.planes for line in plane.lines):
        named = ((event, dict(event.stats).get("hlo_op")) for event in line.events)
        starts = sorted((event.start_ns, name) for event, name in named if name in kinds)
        if len(starts) < len(kinds):  # not a thread that runs the program, but an idle one or one of a pool
            continue
        threads += 1
        for (start, name), (end, _) in itertools.pairwise(starts):
            spent[kinds[name]] += 1e-6 * (end - start)
    return Counter({kind: milliseconds / STEPS / threads for kind, milliseconds in spent.items()})


def _kinds(program: str) -> dict[str, str]:
    """Return the kind of each instruction in the program's main computation, by the instruction's name."""
    bodies: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    entry = ""
    for line in program.splitlines():
        if begun := _COMPUTATION.match(line):
            current = bodies.setdefault(begun[1], [])
            entry = begun[1] if line.startswith("ENTRY") else entry
        elif found := _INSTRUCTION.match(line):
            current.append((found[1], found[2]))

    def with_called(text: str) -> str:
        called = re.search(r"calls=%?([\w.\-]+)", text)
        return text + (" ".join(inner for _, inner in bodies.get(called[1], [])) if called else "")

    passive = re.compile(r"^\S+ (?:parameter|constant|tuple|get-tuple-element|bitcast)\(")
    return {name: _kind(name, with_called(text)) for name, text in bodies[entry] if not passive.search(text)}


def _kind(name: str, text: str) -> str:
    """Return the kind of an instruction from its name and its text, including the computation that it calls."""
    origin = next(iter(re.findall(r'op_name="([^"]*)"', text)), "")
    if "all-reduce" in name:
        return DEVICES
    if " convolution(" in text or " dot(" in text:
        # A kernel gradient is a matrix product, or a convolution whose window is as large as the image or is dilated by
        # the stride.
        window = [int(side) for side in re.findall(r"\d+", "x".join(re.findall(r"window=\{size=([\dx]+)", text)))]
        if "nhwi,nhwo->io" in origin or "rhs_dilate" in text or max(window, default=0) > 7:
            return KERNELS
        return SLOPES if "transpose(" in origin else FORWARD
    if re.match(r"(transpose_)?copy|concatenate|(slice|pad|bitcast)_?(pad|slice|copy|concatenate|fusion)", name):
        return MOVING
    return REST if "jvp(" in origin else UPDATE


def _theirs(config) -> Counter[str]:
    """Return the milliseconds of a PyTorch step by kind, from its profiler."""
    import jax
    from torch.profiler import ProfilerActivity, profile

    from avlgan_jax.models import build
    from benchmarks.pytorch.converters import image_reference
    from benchmarks.training import FACES, drawn_state, example_batches

    model = build.build("image", config, FACES)
    reference = image_reference(config, drawn_state(model, config), "best")
    batch = jax.tree.map(lambda leaf: leaf[0], example_batches(config, model, 1))
    warm_up(lambda: reference.step(batch))
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(STEPS):
            reference.step(batch)
    spent: Counter[str] = Counter()
    for operator in found.key_averages():
        name = operator.key.removeprefix("aten::")
        kind = next((kind for pattern, kind in _THEIRS if re.search(pattern, name)), REST)
        spent[kind] += operator.self_cpu_time_total / 1e3 / STEPS
    return spent
