"""avLandmarkGAN in JAX: change the emotion of a face, as valence and arousal, by moving its 68 landmarks.

model = avlgan_jax.load()  # the weights in the package
image, landmarks = model.draw(seed=1)
smiling = model.edit(image, valence=0.7, arousal=0.3)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avlgan_jax.editing.editor import Editor, load

__all__ = ["Editor", "load"]


def __getattr__(name: str):
    """Return `Editor` or `load`. Raises AttributeError for any other name."""
    # Import the editor on first use, so that `import avlgan_jax` does not import JAX.
    if name in __all__:
        from avlgan_jax.editing import editor

        return getattr(editor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
