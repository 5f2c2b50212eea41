"""Command that trains one of the four models, or all four in order; see `python train.py --help`.

The implementation is in `avlgan_jax.training.run`.
"""

from avlgan_jax.training.run import main

if __name__ == "__main__":
    main()
