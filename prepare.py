"""Prepare a data set: `python prepare.py --help`. The body is `avlgan_jax.datasets.prepare`."""

from avlgan_jax.datasets.prepare import main

if __name__ == "__main__":
    main()
