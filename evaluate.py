"""Score the models of a workdir and write the report: `python evaluate.py --help`.

The body is `avlgan_jax.evaluation.run`. It spawns processes, which import this file again.
"""

from avlgan_jax.evaluation.run import main

if __name__ == "__main__":
    main()
