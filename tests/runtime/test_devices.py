"""Set-up of the devices and of the compilation cache."""

import jax

from avlgan_jax.runtime import devices


def test_the_variable_of_the_compilation_cache_comes_first(tmp_path, monkeypatch):
    before = jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs
    try:
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
        devices.use_compilation_cache(tmp_path)
        assert jax.config.jax_compilation_cache_dir == before[0]
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
        devices.use_compilation_cache(tmp_path)
        assert jax.config.jax_compilation_cache_dir == str(tmp_path)
    finally:
        jax.config.update("jax_compilation_cache_dir", before[0])
        jax.config.update("jax_persistent_cache_min_compile_time_secs", before[1])
