"""The page: a face, the valence-arousal plane, and a point to drag; `python -m avlgan_jax.app`."""
