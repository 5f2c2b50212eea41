"""Command that prepares a data set; see `python prepare.py --help`.

The implementation is in `avlgan_jax.datasets.prepare`.
"""

from avlgan_jax.errors import prepare as main

if __name__ == "__main__":
    main()
