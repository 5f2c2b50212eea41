"""Command that edits photographs and films of faces; see `python synthesize.py --help`.

The implementation is in `avlgan_jax.editing.commands`.
"""

from avlgan_jax.errors import edit as main

if __name__ == "__main__":
    main()
