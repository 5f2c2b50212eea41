import subprocess
import sys

import numpy as np
from conftest import ROOT

from avlgan_jax.training.metric_writer import MetricWriter, has_metric, read_metrics


def test_metrics_go_to_metrics_jsonl_tensorboard_and_the_progress_bar(tmp_path, capsys):
    writer = MetricWriter(tmp_path, "image", 0, 10, batch_size=4, leaves=["step"])
    writer.advance(5)
    writer.log(5, {"g/loss": 1.25, "d/loss": 0.5}, waiting=0.01)
    writer.show(5, np.zeros((4, 4, 3), np.uint8))
    writer.close()
    assert read_metrics(tmp_path) == [{"step": 0, "leaves": ["step"]}, {"step": 5, "g/loss": 1.25, "d/loss": 0.5}]
    assert (
        has_metric(tmp_path, 5, "g/loss")
        and not has_metric(tmp_path, 5, "validation/score")
        and not has_metric(tmp_path, 4, "g/loss")
    )
    line = capsys.readouterr().err
    assert "image:" in line and "5/10" in line
    assert any(path.name.startswith("events.") for path in tmp_path.iterdir())


def test_opening_removes_lines_of_steps_after_the_start(tmp_path):
    log = tmp_path / "metrics.jsonl"
    first = '{"step": 0, "leaves": ["step"]}\n{"step": 5, "a": 1}\n'
    log.write_text(first + '{"step": 10, "a": 2}\n{"step": 1')
    MetricWriter(tmp_path, "image", 5, 10, batch_size=4, leaves=["step"]).close()
    assert log.read_text() == first


def test_a_warning_is_printed_once_per_kind(tmp_path, capsys):
    writer = MetricWriter(tmp_path, "image", 0, 10, batch_size=4, leaves=["step"])
    writer.warn(5, "generator", "it ignores its label, 0.0001")
    writer.warn(10, "generator", "it ignores its label, 0.0002")
    writer.close()
    err = capsys.readouterr().err
    assert "warning: step 5: it ignores its label, 0.0001" in err and "0.0002" not in err


def test_training_does_not_import_pytorch():
    """tensorboardX imports PyTorch if it is installed, which takes seconds. Importing it later must still work."""
    program = "import sys, avlgan_jax.training.loop; assert 'torch' not in sys.modules; import torch; torch.zeros(1)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
