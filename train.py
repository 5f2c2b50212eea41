"""Train one of the four models, or all in order: `python train.py --help`. The body is `avlgan_jax.training.run`."""

from avlgan_jax.training.run import main

if __name__ == "__main__":
    main()
