"""ESM-2: its tokenizer, and what becomes of words that are weighed by how many are masked."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import edgebert
from edgebert.checkpoint import open_checkpoint
from edgebert.errors import CheckpointWarning, InputError, SettingError, UnsupportedModelError
from edgebert.evaluate.float32 import load_float32
from edgebert.export.image import write_image
from edgebert.model_file import ModelFile
from tests.checkpoint.folders import change_json, open_refusal
from tests.golden import GOLDEN

VOCABULARY = ["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>"]
IDS = {  # by transformers 4.57 and 5.24
    "MKTVRQERLK": [0, 20, 15, 11, 7, 10, 16, 9, 10, 4, 15, 2],
    "M K T <mask> A": [0, 20, 15, 11, 32, 5, 2],
    "mkt ABJ JJA": [0, 3, 5, 25, 3, 3, 5, 2],
    "AA<null_1>B-.": [0, 5, 5, 31, 25, 30, 29, 2],
    "  \n A\tV ": [0, 5, 7, 2],
    "<cls>A<eos>": [0, 0, 5, 2, 2],
    "": [0, 2],
    "Azz top": [0, 5, 3, 3, 2],
    "A<unk>B": [0, 5, 3, 25, 2],
    "AX*": [0, 5, 24, 3, 2],
}


@pytest.fixture
def folder(tmp_path):
    """Return a model with ESM's own tokenizer, whose words are weighed."""
    folder = shutil.copytree(GOLDEN / "kinds" / "esm-masked", tmp_path / "esm")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    names = {f"{role}_token": f"<{role}>" for role in ("cls", "eos", "mask", "pad", "unk")}
    (folder / "tokenizer_config.json").unlink()
    change_json(folder / "tokenizer_config.json", tokenizer_class="EsmTokenizer", **names)
    change_json(folder / "config.json", token_dropout=True, mask_token_id=32)
    return folder


@pytest.mark.filterwarnings("ignore::edgebert.errors.CheckpointWarning")
def test_tokens_are_those_of_transformers(folder):
    tokenizer = load_float32(folder)._runner.tokenizer
    assert {text: tokenizer.single(text).ids.tolist() for text in IDS} == IDS
    first, second = tokenizer.pair("MK", "AV")
    (window,) = tokenizer.windows(second, first)
    assert window.ids.tolist() == [0, 20, 15, 2, 5, 7, 2]
    assert not window.type_ids.any()


def test_words_that_are_weighed_by_masks(folder):
    with pytest.warns(CheckpointWarning, match=r"weighs all words by how many are masked \(token_dropout\)"):
        model = load_float32(folder)
    assert model._runner.info.heads == ()
    assert model.embed(["MKT"]).shape == (1, 40)
    for ask in (lambda: model.embed(["M<mask>T"]), lambda: model.hidden_states([[0, 32, 2]])):
        with pytest.raises(InputError, match="has the token <mask>, for masked words: this model weighs all words"):
            ask()
    change_json(folder / "config.json", token_dropout=False)
    plain = load_float32(folder)
    assert plain._runner.info.heads == ("masked_lm",)
    assert np.abs(plain.embed(["MKT"]) - model.embed(["MKT"])).max() > 1e-3
    assert plain.fill_mask(["M<mask>T"])[0]


@pytest.mark.filterwarnings("ignore::edgebert.errors.CheckpointWarning")
def test_a_c_program_cannot_ask_for_masked_words(folder, tmp_path):
    path = edgebert.convert(folder, tmp_path / "m.edgebert", min_agreement=0.9)
    with pytest.raises(SettingError, match="it takes no id 32, for masked words"):
        write_image(ModelFile(path), tmp_path / "m.image")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position_embedding_type": "absolute"}, "position_embedding_type 'absolute'; edgebert runs ESM-2"),
        ({"position_embedding_type": ...}, "position_embedding_type None; edgebert runs ESM-2"),
        ({"is_folding_model": True}, "is_folding_model True"),
    ],
)
def test_what_is_refused(folder, changes, message):
    change_json(folder / "config.json", **changes)
    assert message in open_refusal(folder, kind=UnsupportedModelError)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_token_id": 145}, "mask_token_id is 145, expected 0 to 144"),
        ({"token_dropout": "yes"}, "token_dropout is 'yes', expected true or false"),
        ({"emb_layer_norm_before": 1}, "emb_layer_norm_before is 1, expected true or false"),
    ],
)
def test_what_is_wrong(folder, changes, message):
    change_json(folder / "config.json", **changes)
    assert message in open_refusal(folder)


def test_a_row_that_is_left_from_positions_is_unused(folder):
    tensors = open_checkpoint(GOLDEN / "kinds" / "esm-token").tensors
    assert not any("position" in name or "inv_freq" in name or "contact" in name for name in tensors)
