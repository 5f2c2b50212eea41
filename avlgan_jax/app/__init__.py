"""Web page of a face and the valence-arousal plane with a draggable point; start it with `python -m avlgan_jax.app`."""
