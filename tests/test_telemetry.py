import json

import numpy as np

from avlgan_jax.telemetry import Telemetry


def test_lines_and_pictures(tmp_path, capsys):
    told = Telemetry(tmp_path, "image", 0, 10, batch_size=4)
    told.advance(5)
    told.log(5, {"g/loss": 1.25, "d/loss": 0.5}, waiting=0.01)
    told.show(5, np.zeros((4, 4, 3), np.uint8))
    told.close()
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 5, "g/loss": 1.25, "d/loss": 0.5}
    line = capsys.readouterr().err
    assert "image:" in line and "5/10" in line
    assert any(path.name.startswith("events.") for path in tmp_path.iterdir())


def test_a_resumed_run_drops_what_it_will_do_again(tmp_path):
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step": 5, "a": 1}\n{"step": 10, "a": 2}\n{"step": 1')
    Telemetry(tmp_path, "image", 5, 10, batch_size=4).close()
    assert log.read_text() == '{"step": 5, "a": 1}\n'
