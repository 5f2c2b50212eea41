"""Look-alikes of DiffusionFER: the committed table, and the command that writes it."""

import shutil
from pathlib import Path

import drawn_photographs as drawn
import numpy as np
import pytest

from avlgan_jax.datasets import photographs
from avlgan_jax.datasets.diffusion_fer import diffusion_fer_dataset_builder as builder
from benchmarks import lookalikes

REAL = Path(__file__).parents[3] / "shared" / "data" / "diffusion_fer"


def test_every_group_of_the_table_has_members_and_the_name_of_one_of_them():
    found = builder.lookalikes()
    members = {}
    for identifier, group in found.items():
        members.setdefault(group, []).append(builder.own_name(identifier))
    assert len(members) >= 10
    for group, names in members.items():
        assert len(names) > 1 and group in names
        assert group == lookalikes.name_of(names)


def test_look_alikes_are_one_subject_and_in_one_split(tmp_path):
    rows = drawn.diffusion_fer(tmp_path, 12)
    own = list(builder.photographs_in(tmp_path, {}))
    splits = [photograph.split for photograph in own]
    stranger = next(k for k in range(1, 10) if splits[k] != splits[0])
    alike = {own[k].id: own[0].subject for k in (0, stranger)}
    found = list(builder.photographs_in(tmp_path, alike))
    assert found[stranger].subject == found[0].subject == own[0].subject
    assert found[stranger].split == splits[0] == photographs.split_of(own[0].subject)
    assert [f.split for k, f in enumerate(found) if k != stranger] == [s for k, s in enumerate(splits) if k != stranger]
    assert len(rows) == len(found)


def test_pairs_are_in_the_order_of_their_distances_and_leave_out_what_has_no_descriptor():
    descriptors = np.zeros((4, 128))
    descriptors[1, 0], descriptors[2, 0], descriptors[3] = 3.0, 1.0, np.nan
    ordered, distances = lookalikes.pairs(descriptors)
    assert ordered.tolist() == [[0, 2], [1, 2], [0, 1]]
    np.testing.assert_allclose(distances, [1.0, 2.0, 3.0])


def test_groups_are_what_chains_of_pairs_hold_together():
    assert lookalikes.groups(6, np.array([[4, 5], [0, 3], [3, 2]])) == [[0, 2, 3], [4, 5]]
    assert lookalikes.groups(3, np.zeros((0, 2), int)) == []


def test_a_group_takes_the_split_of_most_of_its_members():
    names = {
        split: [n for n in map(str, range(200)) if photographs.split_of(n) == split] for split in ("train", "test")
    }
    first, second = names["train"][:2]
    assert lookalikes.name_of([names["test"][0], first, second]) == first
    assert lookalikes.name_of([names["test"][0], first]) == names["test"][0]


@pytest.mark.skipif(not REAL.is_dir(), reason="the DiffusionFER images are not on this machine")
def test_few_faces_change_their_split():
    own, found = (list(builder.photographs_in(REAL, *given)) for given in (({},), ()))
    changed = sum(before.split != after.split for before, after in zip(own, found, strict=True))
    assert 0 < changed < 0.15 * len(own)
    assert set(builder.lookalikes()) <= {photograph.id for photograph in own}


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the DiffusionFER images are not on this machine")
def test_the_command_writes_the_same_table_again(tmp_path, monkeypatch, capsys):
    committed = builder.LOOKALIKES.read_text()
    again = Path(shutil.copy(builder.LOOKALIKES, tmp_path / "lookalikes.csv"))
    monkeypatch.setattr(builder, "LOOKALIKES", again)
    monkeypatch.setattr("sys.argv", ["lookalikes", str(REAL), "--write"])
    lookalikes.main()
    assert again.read_text() == committed
    assert str(again) in capsys.readouterr().out
