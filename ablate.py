"""Train a workdir's models again with one thing changed: `python ablate.py --help`.

The body is `avlgan_jax.evaluation.ablate`. It spawns processes, which import this file again.
"""

from avlgan_jax.evaluation.ablate import main

if __name__ == "__main__":
    main()
