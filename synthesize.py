"""Edit photographs and films of faces: `python synthesize.py --help`. The body is `avlgan_jax.editing.commands`."""

from avlgan_jax.editing.commands import main

if __name__ == "__main__":
    main()
