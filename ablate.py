"""Command that retrains a workdir's models with one setting changed at a time; see `python ablate.py --help`.

The implementation is in `avlgan_jax.evaluation.ablate`. It spawns processes that import this file again, hence the
`__main__` guard.
"""

from avlgan_jax.errors import ablate as main

if __name__ == "__main__":
    main()
