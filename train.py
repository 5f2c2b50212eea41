"""Command that trains one of the four models, or all four in order; see `python train.py --help`.

The implementation is in `avlgan_jax.training.run`.
"""

from avlgan_jax.errors import train as main

if __name__ == "__main__":
    main()
