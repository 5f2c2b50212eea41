"""Which figures a report has: all of them for drawn faces, none that would need a truth for photographs."""

import io

import numpy as np
import oracle
import pytest
from PIL import Image

from avlgan_jax import evaluation, gallery, sections
from avlgan_jax.experiments import baby, circumplex

ALWAYS = {"expressions", "chain", "avimage_matrix_adult", "avimage_matrix_infant", "scatter", "circumplex_judged"}


def drawn(photographed, dyads):
    faces = oracle.draw_faces(8, seed=2)
    shown_faces, render = (oracle.photographs(faces), None) if photographed else (faces, oracle.render_all)
    models = oracle.oracle(faces)
    trials = evaluation.draw_trials(faces.emotions, 12, seed=0)
    measured = evaluation.measure(models, shown_faces, faces, trials, render, lambda done: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "FACES", 2)
        patch.setattr(gallery, "MATRICES", 2)
        patch.setattr(circumplex, "FACES", 1)
        shown = gallery.collect(models, shown_faces, 0, render)
        around = circumplex.measure(models, shown_faces, 0, render)
    return sections.draw(measured, shown, around, dyads)


def test_drawn_faces_have_every_figure():
    line = np.linspace(-1, 1, 9)
    frames = baby.Frames(line, {"avgan": line / 2, "avlandmarkgan": line}, np.full(9, "one"), np.arange(9).astype(str))
    figures = drawn(photographed=False, dyads={"infant": frames})
    assert {figure.name for figure in figures} == ALWAYS | {"truth", "circumplex_truth", "baby"}
    for figure in figures:
        assert Image.open(io.BytesIO(figure.png)).size == figure.size
        assert figure.caption and figure.alt
    told = next(figure.caption for figure in figures if figure.name == "baby")
    assert "avGAN 0.49, avLandmarkGAN 0.70" in told


def test_photographs_have_no_figure_of_the_truth():
    figures = drawn(photographed=True, dyads={})
    assert {figure.name for figure in figures} == ALWAYS | {"outputs"}
