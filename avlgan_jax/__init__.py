"""avLandmarkGAN in JAX: turn a face to any emotion on the valence-arousal plane, by way of its 68 landmarks.

model = avlgan_jax.load()                                # the weights that come with the package
image, landmarks = model.draw(seed=1)
smiling = model.edit(image, valence=0.7, arousal=0.3)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avlgan_jax.editing.editor import Editor, load

__all__ = ["Editor", "load"]


def __getattr__(name: str):
    # Loaded when asked for: `import avlgan_jax` alone starts no JAX.
    if name in __all__:
        from avlgan_jax.editing import editor

        return getattr(editor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
