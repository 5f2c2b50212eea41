"""Command that evaluates the models of a workdir and writes the report; see `python evaluate.py --help`.

The implementation is in `avlgan_jax.evaluation.run`. It spawns processes that import this file again, hence the
`__main__` guard.
"""

from avlgan_jax.errors import evaluate as main

if __name__ == "__main__":
    main()
