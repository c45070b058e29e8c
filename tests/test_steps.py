"""The forward pass as a list, and that it stands nowhere else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from edgebert.architecture import Encoder, Linear
from edgebert.config import BertConfig
from edgebert.families import FAMILIES, encoder_of
from edgebert.steps import (
    AddAndNorm,
    Embed,
    Expand,
    Normalise,
    Place,
    Project,
    ProjectHeads,
    Quantize,
    linear_of,
    steps,
)

ROOT = Path(__file__).parents[1]
LAYER = [
    *("query_key_value", "attend", "quantize_context", "attention_output", "add_and_norm"),
    *("feed_forward", "output", "add_and_norm"),
]
STRUCTURE = re.compile(
    r"encoder\.layer|attention\.self|attention\.output|intermediate\.dense|output\.dense|output\.LayerNorm"
    r"|embeddings\.(word|position|token_type)_embeddings|embeddings\.LayerNorm|embeddings_project"
    r"|relative_attention_bias"
)


def strings(path):
    """Return the strings of a module with their lines, but for what documents."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in documents)
    return [(node.lineno, node.value) for node in found if isinstance(node.value, str)]


@pytest.mark.parametrize("folder", ["edgebert", "benchmarks"])
def test_the_structure_of_a_layer_stands_in_the_families_alone(folder):
    places = [
        f"{path.relative_to(ROOT)}:{line}: {value!r}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "families" not in path.parts[-2:-1]
        for line, value in strings(path)
        if STRUCTURE.search(value)
    ]
    assert places == []


def test_the_names_are_in_the_families():
    assert any(STRUCTURE.search(value) for _, value in strings(ROOT / "edgebert/families/bert.py"))


def encoder(**values) -> Encoder:
    return encoder_of(BertConfig(**{"num_hidden_layers": 2, **values}))


def test_the_steps_of_bert():
    assert [step.name for step in steps(encoder())] == ["embed", *LAYER, *LAYER]


def test_narrow_embeddings_are_projected():
    found = steps(encoder(embedding_size=64))
    before = ["embed", "project_embeddings", "quantize_embeddings"]
    assert [step.name for step in found] == [*before, *LAYER, *LAYER]
    embed, project, quantize = found[:3]
    assert isinstance(embed, Embed)
    assert isinstance(project, Project)
    assert isinstance(quantize, Quantize)
    assert (embed.target, project.target) == (Place.BRANCH, Place.RESIDUAL)
    assert embed.quantize_for == project.linear
    assert (project.linear.K, project.linear.N) == (64, 768)


@pytest.mark.parametrize("width", [0, 64])
def test_the_smoothing_of_the_stream_is_undone_by_what_made_it(width):
    """And every linear layer reads rows that were quantized for it."""
    maker, ready = None, {}
    for step in steps(encoder(embedding_size=width)):
        if isinstance(step, AddAndNorm):
            assert step.undo == maker
        linear = linear_of(step)
        if linear:
            assert ready[step.source is Place.INTERMEDIATE] == linear
        if isinstance(step, Embed | Quantize | AddAndNorm):
            ready[False] = step.quantize_for
        if isinstance(step, Expand):
            ready[True] = step.feed_forward.output
        if step.target is Place.RESIDUAL and not isinstance(step, Quantize):
            maker = step.linear if isinstance(step, Project) else step.norm
    assert ready[False] is None  # nothing reads the result


def test_layers_that_are_normalised_before():
    """ModernBERT: the stream is divided by the embeddings' norm alone, and what is read stands beside it."""
    config = FAMILIES["modernbert"].read_config({"num_hidden_layers": 2})
    found = steps(encoder_of(config))
    assert [step.name for step in found] == ["embed", *LAYER, *LAYER]
    norms = [step for step in found if isinstance(step, AddAndNorm)]
    assert [step.norm.name.removeprefix("encoder.") for step in norms] == [
        "layer.0.intermediate.LayerNorm",
        "layer.1.attention.LayerNorm",
        "layer.1.intermediate.LayerNorm",
        "final_norm",
    ]
    assert [step.target for step in norms] == [Place.BRANCH] * 3 + [Place.RESIDUAL]
    assert [step.undo.name if step.undo else None for step in norms] == ["embeddings.LayerNorm", None, None, None]
    readers = [step.source for step in found if isinstance(step, ProjectHeads)]
    assert readers == [Place.RESIDUAL, Place.BRANCH]
    assert [norm.name for norm in encoder_of(config).stream_norms()] == ["embeddings.LayerNorm"]


def test_embeddings_without_a_norm():
    """Gemma: the first layer's stands beside the stream, and what layers add is normalised, too."""
    config = FAMILIES["gemma3_text"].read_config({"num_hidden_layers": 1})
    found = steps(encoder_of(config))
    assert [step.name for step in found] == ["embed", "normalise", *LAYER]
    embed, normalise = found[:2]
    assert isinstance(embed, Embed)
    assert (embed.norm, embed.quantize_for, embed.target) == (None, None, Place.RESIDUAL)
    assert isinstance(normalise, Normalise)
    assert (normalise.source, normalise.target) == (Place.RESIDUAL, Place.BRANCH)
    assert normalise.quantize_for == encoder_of(config).layers[0].attention.query_key_value
    norms = [step for step in found if isinstance(step, AddAndNorm)]
    assert [step.undo for step in norms] == [None, None]
    assert [step.branch_norm.name for step in norms if step.branch_norm] == [
        "encoder.layer.0.attention.output.norm",
        "encoder.layer.0.output.norm",
    ]
    assert encoder_of(config).stream_norms() == []


@pytest.mark.parametrize("other", [{"rms": False}, {"bias": True}])
def test_heads_are_normalised_by_one_kind_of_norm(other):
    one = encoder_of(FAMILIES["qwen3"].read_config({"num_hidden_layers": 1}))
    (layer,) = one.layers
    assert layer.attention.key_norm
    attention = layer.attention._replace(key_norm=layer.attention.key_norm._replace(**other))
    with pytest.raises(ValueError, match="key_norm normalises heads, expected an RMSNorm without bias"):
        Encoder(one.embeddings, (layer._replace(attention=attention),), one.hidden_size, one.longest, one.final_norm)


def test_a_norm_that_is_missing():
    one = encoder()
    bare = one.layers[0]._replace(attention_norm=None)
    with pytest.raises(ValueError, match="layer 1 has no LayerNorm beside its attention"):
        steps(Encoder(one.embeddings, (one.layers[0], bare), one.hidden_size, one.longest))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_parts_of_an_encoder_are_those_of_its_steps(name):
    positions = {"position_embedding_type": "rotary"} if name == "esm" else {}  # others of that type are refused
    config = FAMILIES[name].read_config({"model_type": name, "num_hidden_layers": 3, **positions})
    found = encoder_of(config)
    assert {linear.name for linear in found.linears()} == {
        linear.name for step in steps(found) if (linear := linear_of(step))
    }
    names = [part.name for part in found.parts()]
    assert len(set(names)) == len(names)
    heads = [step.attention for step in steps(found) if isinstance(step, ProjectHeads)]
    assert len(heads) == len(found.layers)
    for attention in heads:
        assert sum(attention.slots) * attention.head_dim == attention.query_key_value.N


def test_a_layer_that_stands_twice_is_there_once():
    one = encoder()
    shared = Encoder(one.embeddings, (one.layers[0],) * 3, one.hidden_size, one.longest)
    assert len(steps(shared)) == 1 + 3 * len(LAYER)
    assert shared.linears() == encoder(num_hidden_layers=1).linears()


def test_layers_of_different_sizes_are_refused():
    """Kernels have one buffer for all: what fits one layer would not fit another."""
    one, other = encoder(), encoder(intermediate_size=64)
    with pytest.raises(ValueError, match="layers have 2 different sizes"):
        Encoder(one.embeddings, (one.layers[0], other.layers[0]), one.hidden_size, one.longest)


def test_what_a_checkpoint_has_in_the_place_of_a_layer():
    assert Linear("a", 12, 4, ("q", "k", "v")).stored == {"q": 4, "k": 4, "v": 4}
    assert Linear("a", 12, 4).stored == {"a": 12}
