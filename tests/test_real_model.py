"""Real models, converted here: close to fp32, and as good as it at what they were trained for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import build_models
import numpy as np
import pytest

import edgebert
from edgebert.evaluate import evaluate
from edgebert.evaluate.float32 import load_float32
from tests.test_bundled import SHA256

DATA = Path(__file__).parent / "data"
REACTION = (
    "Nc1cccc2cnccc12.O=C(O)c1cc([N+](=O)[O-])c(Sc2c(Cl)cncc2Cl)s1"
    ">>O=C(Nc1cccc2cnccc12)c1cc([N+](=O)[O-])c(Sc2c(Cl)cncc2Cl)s1"
)
"""The example of the chemistry BERT's makers: 103 tokens, of which it restores 98 in fp32."""
ANTIBODY = (
    "EVQLVQSGPEVKKPGTSVKVSCKASGFTFMSSAVQWVRQARGQRLEWIGWIVIGSGNTNYAQKFQERVTITRDMSTSTAYMELSSLRSEDTAVYYCAAPYCSSISC"
    "NDGFDIWGQGTMVTVS"
)
"""That of the protein BERT's: 122 residues, of which it restores 113 in fp32."""
ADDRESS = "My name is Alice Johnson, call me at 415-555-0132 or write to 742 Evergreen Terrace, Springfield, IL 62704."


def restored(model, text):
    """Mask every token of a text in turn; return how many come back, of how many."""
    tokenizer = model._runner.tokenizer
    window = tokenizer.single(text)
    places = range(window.begin, window.begin + window.last)
    masked = np.tile(window.ids, (len(places), 1))
    masked[np.arange(len(places)), places] = tokenizer.id_of(model.mask_token)
    states = np.stack([rows[at] for rows, at in zip(model.hidden_states(masked), places, strict=True)])
    found = model._runner.heads["masked_lm"].logits(states).argmax(axis=1)
    return int((found == window.ids[window.begin : window.begin + window.last]).sum()), len(places)


def test_vectors_are_close_to_fp32(minilm):
    model = edgebert.load(minilm)
    vectors = model.embed((DATA / "reviews.txt").read_text(encoding="utf-8").splitlines())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    with np.load(DATA / "minilm_fp32_vectors.npz") as file:
        cosines = (vectors * file["reviews"]).sum(axis=1)
    # 0.99957 and 0.99824, on every computer; the bounds leave a third more of the error.
    assert cosines.mean() >= 0.9994
    assert cosines.min() >= 0.9977


def test_it_is_a_sentence_transformer(minilm):
    model = edgebert.load(minilm)
    assert model.max_length == 256
    assert (model.info["pooling"], model.info["normalize"]) == ("mean", True)
    assert minilm.stat().st_size < 24_000_000
    similar = model.embed(["A man is eating food.", "Someone eats a meal.", "The stock market fell sharply."])
    assert similar[0] @ similar[1] > similar[0] @ similar[2] + 0.3


def test_labels_that_nobody_trained(minilm):
    texts = ["The striker scored twice in the second half.", "The central bank raised interest rates again."]
    labels = {"sport": "football and other sports", "economy": "money, banks and markets", "cooking": "food, recipes"}
    found = edgebert.load(minilm).classify(texts, labels=labels)
    assert [each["labels"][0] for each in found] == ["sport", "economy"]


def test_word_embeddings_in_four_bits(material, tmp_path):
    path = edgebert.convert(material("minilm-l6"), tmp_path / "m.edgebert", embeddings="int4")
    receipt = edgebert.load(path).info["receipt"]
    assert receipt["embeddings"]["kind"] == "int4"
    assert receipt["embeddings"]["cosine_mean"] >= 0.994
    assert path.stat().st_size < 19_000_000
    assert receipt["evaluation"]["pooled_cosine_mean"] >= 0.995


def test_a_smaller_sentence_transformer(prepared, tmp_path):
    path = edgebert.convert(prepared("minilm-l3"), tmp_path / "m.edgebert")
    receipt = edgebert.load(path).info["receipt"]
    assert receipt["evaluation"]["pooled_cosine_mean"] >= 0.9993
    assert receipt["evaluation"]["pooled_cosine_worst"] >= 0.998


@pytest.fixture(scope="module")
def rampart(prepared, tmp_path_factory):
    prepared("rampart")
    return build_models.build("personal-data", tmp_path_factory.mktemp("rampart"))


def test_the_file_that_comes_with_edgebert_is_made_again(rampart):
    assert hashlib.sha256(rampart.read_bytes()).hexdigest() == SHA256["personal-data"]


def test_names_and_addresses(rampart):
    (found,) = edgebert.load(rampart).tag([ADDRESS])
    assert [(each["entity_group"], each["word"]) for each in found] == [
        ("GIVEN_NAME", "Alice"),
        ("SURNAME", "Johnson"),
        ("PHONE", "415-555-0132"),
        ("BUILDING_NUMBER", "742"),
        ("STREET_NAME", "Evergreen Terrace"),
        ("CITY", "Springfield"),
        ("STATE", "IL"),
        ("ZIP_CODE", "62704"),
    ]
    assert all(ADDRESS[each["start"] : each["end"]] == each["word"] for each in found)


def test_tags_are_those_of_fp32(rampart, prepared):
    texts = [ADDRESS, *(DATA / "reviews.txt").read_text(encoding="utf-8").splitlines()]
    agreement = evaluate(rampart, prepared("rampart"), texts).head_agreement["token_classification"]
    assert agreement >= 0.995
    exact = load_float32(prepared("rampart")).tag([ADDRESS])[0]
    assert [each["word"] for each in edgebert.load(rampart).tag([ADDRESS])[0]] == [each["word"] for each in exact]


def test_reactions(prepared, tmp_path):
    path = edgebert.convert(prepared("chemistry-pretrained"), tmp_path / "m.edgebert", min_agreement=0.95)
    model = edgebert.load(path)
    count, of = restored(model, REACTION)
    assert of == 103
    assert count >= 96
    reactions = (DATA / "reactions.txt").read_text(encoding="utf-8").splitlines()
    agreement = evaluate(path, prepared("chemistry-pretrained"), reactions).head_agreement
    assert agreement["masked_lm"] >= 0.99
    assert agreement["next_sentence"] >= 0.99
    # What belongs together is more natural than the same in another order.
    natural, scrambled = model.score([REACTION, REACTION[::2]])
    assert natural["perplexity"] < scrambled["perplexity"]


def test_reactions_in_layers_that_share_their_weights(prepared, tmp_path):
    """ALBERT: of a file of 1 MB, all twelve layers; its receipt measures general texts, which have no reactions."""
    path = edgebert.convert(prepared("chemistry-albert"), tmp_path / "m.edgebert", min_agreement=0.9)
    model = edgebert.load(path)
    assert path.stat().st_size < 1_000_000
    receipt = model.info["receipt"]
    assert receipt["evaluation"]["heads"]["masked_lm"]["agreement"] >= 0.94
    assert receipt["evaluation"]["token_cosine_mean"] >= 0.998
    count, of = restored(model, REACTION)  # all of them in fp32
    assert of == 103
    assert count >= 101
    reactions = (DATA / "reactions.txt").read_text(encoding="utf-8").splitlines()
    evaluation = evaluate(path, prepared("chemistry-albert"), reactions)
    assert evaluation.head_agreement["masked_lm"] >= 0.99
    assert evaluation.pooled_cosines.mean() >= 0.9995


def test_classes_of_reactions(prepared, tmp_path):
    path = edgebert.convert(prepared("chemistry-classes"), tmp_path / "m.edgebert", min_agreement=0.9)
    model = edgebert.load(path)
    assert len(model.labels) == 50
    reactions = (DATA / "reactions.txt").read_text(encoding="utf-8").splitlines()
    assert evaluate(path, prepared("chemistry-classes"), reactions).agreement >= 0.98
    assert model.classify([REACTION])[0]["label"] == "LABEL_20"  # as fp32 says, with 0.99995


def test_residues(prepared, tmp_path):
    path = edgebert.convert(prepared("protein"), tmp_path / "m.edgebert", min_agreement=0.9)
    count, of = restored(edgebert.load(path), ANTIBODY)
    assert of == 122
    assert count >= 110


def test_words_of_abstracts(prepared, tmp_path):
    """splade-tiny: the words of a text and those beside them, in a file whose receipt is about its vectors."""
    path = edgebert.convert(prepared("splade-tiny"), tmp_path / "m.edgebert")
    model, exact = edgebert.load(path), load_float32(prepared("splade-tiny"))
    assert path.stat().st_size < 10_000_000
    assert model.info["receipt"]["agreement"] >= 0.999  # measured: 0.99979
    texts = ["A man is eating food.", "the boundary layer of a flat plate in supersonic flow"]
    for found, right in zip(model.embed_sparse(texts), exact.embed_sparse(texts), strict=True):
        assert found.dot(right) / np.sqrt(found.dot(found) * right.dot(right)) > 0.999
    (eating, flow) = model.embed_sparse(texts, top_k=5)
    assert {"man", "food", "eating", "eat"} < {*eating}
    assert {"boundary", "layer", "flat", "plate"} < {*flow}
    assert [each["index"] for each in model.rank("what is a person having for dinner?", texts)] == [0, 1]
