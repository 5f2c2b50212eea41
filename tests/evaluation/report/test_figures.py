"""The figures of a report: all for drawn faces, and those without ground truth for photographs."""

import dataclasses
import io

import numpy as np
import oracle
import pytest
from PIL import Image

from avlgan_jax.evaluation import examples, suite
from avlgan_jax.evaluation.experiments import baby, circumplex, transfer
from avlgan_jax.evaluation.report import figures
from avlgan_jax.evaluation.trials import draw_trials

ALWAYS = {"expressions", "chain", "avimage_matrix_adult", "avimage_matrix_infant", "scatter", "circumplex_judged"}


def run_all(photographed):
    """Run all experiments but `fidelity` on a few drawn faces, with `photographed` as if these were photographs."""
    faces = oracle.draw_faces(8, seed=2)
    shown, render = (oracle.photographs(faces), None) if photographed else (faces, oracle.render_all)
    trials = draw_trials(faces.emotions, 12, seed=0)
    context = suite.EvaluationContext(oracle.oracle(faces), shown, faces, shown, trials, seed=0, render=render)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "FACES", 2)
        patch.setattr(examples, "MATRICES", 2)
        patch.setattr(circumplex, "FACES", 1)
        return suite.run_experiments(context, set(suite.EXPERIMENTS) - {"fidelity"})


def test_drawn_faces_have_all_figures_of_stills():
    found = run_all(photographed=False)
    assert {figure.name for figure in found.figures} == ALWAYS | {"truth", "circumplex_truth", "circumplex_truth_avgan"}
    for figure in found.figures:
        assert Image.open(io.BytesIO(figure.png)).size == figure.size
        assert figure.caption and figure.alt
    assert found.numbers["baby"] == found.numbers["transfer"] == {}


def test_photographs_have_no_figures_of_the_ground_truth():
    assert {figure.name for figure in run_all(photographed=True).figures} == ALWAYS | {"outputs"}


def test_the_caption_of_figure_7_has_the_papers_correlations():
    line = np.linspace(-1, 1, 9)
    frames = baby.FramePredictions(line, {"avgan": line / 2, "avlandmarkgan": line}, np.arange(9).astype(str))
    figure = figures.baby({"infant": frames})
    assert "infants: avGAN 0.49, avLandmarkGAN 0.70." in figure.caption
    figure = figures.baby({"infant": dataclasses.replace(frames, predicted={"avlandmarkgan": line, "real": line})})
    assert "infants: avLandmarkGAN 0.70." in figure.caption


@pytest.mark.parametrize("render", [oracle.render_all, None])
def test_the_comparison_has_a_column_of_avgan_if_it_was_trained(render, monkeypatch):
    monkeypatch.setattr(examples, "FACES", 1)
    faces = oracle.draw_faces(2, seed=2)
    models = oracle.oracle(faces)
    every, some = (
        figures.outputs(examples.rows(of, faces, 0, render)) for of in (models, oracle.without_avgan(models))
    )
    assert every.size[0] > some.size[0]
    assert ("input, avGAN" in every.alt) and "avGAN" not in some.title + some.caption + some.alt
    assert "avLandmarkGAN" in some.alt and ("the ground truth" in some.alt) == (render is not None)


def test_the_transfer_figure_shows_the_outputs_below_the_film():
    line = np.stack([np.linspace(-1, 1, 30)] * 2, axis=-1)
    red, green = (np.full((3, 8, 8, 3), colour, np.uint8) for colour in ([200, 0, 0], [0, 200, 0]))
    role, shown = transfer.RoleTrack(line, line, line, -line), transfer.ShownRole(film=red, performance=green)
    found = transfer.TransferResult(
        dyad="00",
        frames=np.arange(30),
        moments={"both pleased": 29, "both displeased": 0},
        shown={"parent": shown, "infant": shown},
        tracks=[{"parent": role, "infant": role}],
    )
    pixels = np.asarray(Image.open(io.BytesIO(figures.transfer(found).png)))
    rows = {}
    for name, colour in (("film", (200, 0, 0, 255)), ("performance", (0, 200, 0, 255))):
        positions = np.argwhere((pixels == colour).all(axis=-1))
        rows[name] = positions[:, 0]
        assert len(np.unique(positions[:, 1])) == 2 * 2 * 108
    assert rows["film"].max() < rows["performance"].min()
