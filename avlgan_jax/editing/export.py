"""Export of a training run's weights as a bundle that can be distributed.

    python -m avlgan_jax.editing.export runs/photographs --out avlgan_jax/weights/faces64

A bundle contains the weights as float16 safetensors, the config, a model card, and `edit.jaxexport`: the two
converters as one program that needs only jax (the card shows how to run it).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from avlgan_jax.errors import command

PLATFORMS = ("cpu", "cuda", "tpu")
_ROWS = (
    ("avlandmarkgan", "avLandmarkGAN"),
    ("avgan", "avGAN"),
    ("do_nothing", "doing nothing"),
    ("regressor", "the regressor on real faces"),
)


@dataclass(frozen=True)
class Arguments:
    """The training run to export and the bundle to write."""

    workdir: tyro.conf.Positional[Path]
    """Folder of the training run."""
    out: Path
    """Folder of the bundle. An existing bundle is replaced."""
    name: Annotated[str, tyro.conf.arg(metavar="NAME")] = ""
    """Name in the model card; by default the name of the bundle's folder."""


def export_program(config, weights) -> bytes:
    """Return the two converters, with their weights, as a serialised `jax.export` program.

    The program maps (images uint8 (n, R, R, 3), landmarks float32 (n, 68, d) in pixels, emotions float32 (n, 2)) to
    (images, landmarks) at these emotions, for any n, on any of PLATFORMS. R is the config's `resolution` and d its
    `landmark_dimensions`.

    Args:
        config: the training config (`avlgan_jax.config.Config`).
        weights: `NetworkParameters` that contain at least "landmark" and "image".
    """
    import jax
    import jax.numpy as jnp
    from jax import export

    from avlgan_jax.models.inference import Networks

    networks = Networks(config)
    half = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float16), {k: weights[k] for k in ("landmark", "image")})

    def edit(images, landmarks, emotions):
        # Weights rounded to float16, so that the program computes with the values of the safetensors file.
        rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), half)
        return networks.avlandmarkgan(rounded, images, landmarks, emotions)

    # A program records the source files it was traced from: keep their names, remove their folders.
    jax.config.update("jax_hlo_source_file_canonicalization_regex", ".*/")
    (n,) = export.symbolic_shape("n")
    side = config.resolution
    shapes = (
        jax.ShapeDtypeStruct((n, side, side, 3), jnp.uint8),
        jax.ShapeDtypeStruct((n, 68, config.landmark_dimensions), jnp.float32),
        jax.ShapeDtypeStruct((n, 2), jnp.float32),
    )
    return export.export(jax.jit(edit), platforms=PLATFORMS)(*shapes).serialize()


def model_card(bundle, name: str) -> str:
    """Return the Markdown model card of a `Bundle`; `name` is what the card calls it."""
    import jinja2

    from avlgan_jax.models.inference import parameter_counts

    text = (Path(__file__).with_name("templates") / "card.md").read_text()
    page = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(text)
    return page.render(
        name=name,
        bundle=bundle,
        config=bundle.config,
        scores=bundle.scores,
        rows=_ROWS,
        counts=parameter_counts(bundle.weights),
    )


@command
def main() -> None:
    """Run the command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    from avlgan_jax.editing.bundle import of_workdir, write

    found = of_workdir(arguments.workdir)
    name = arguments.name or arguments.out.absolute().name
    write(arguments.out, found, model_card(found, name), export_program(found.config, found.weights))
    size = sum(path.stat().st_size for path in arguments.out.iterdir())
    print(f"{arguments.out}: {size / 1e6:.1f} MB, trained on {found.trained_on}")


if __name__ == "__main__":
    main()
