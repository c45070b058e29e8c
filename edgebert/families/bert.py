"""BERT (arXiv 1810.04805): its encoder, by the names of Hugging Face's tensors, which other families are brought to."""

from __future__ import annotations

from edgebert.architecture import Attention, Embeddings, Encoder, FeedForward, Layer, Linear, Norm, Table
from edgebert.config import BertConfig
from edgebert.families.family import Family, Renames

__all__ = ["FAMILY", "LEGACY_NORMS", "embeddings", "encoder", "layer"]

LEGACY_NORMS: Renames = ((r"LayerNorm\.gamma$", "LayerNorm.weight"), (r"LayerNorm\.beta$", "LayerNorm.bias"))


def encoder(config: BertConfig) -> Encoder:
    """Return the parts of BERT's encoder, and of those families that have the same by other names."""
    return Encoder(
        embeddings=embeddings(config),
        layers=tuple(layer(f"encoder.layer.{i}", config) for i in range(config.num_hidden_layers)),
        hidden_size=config.hidden_size,
        longest=config.max_position_embeddings,
    )


def embeddings(config: BertConfig) -> Embeddings:
    """Return what is looked up for each token."""
    width, hidden = config.embedding_width, config.hidden_size
    return Embeddings(
        words=Table("embeddings.word_embeddings", config.vocab_size, width),
        positions=Table("embeddings.position_embeddings", config.position_rows, width),
        token_types=Table("embeddings.token_type_embeddings", config.type_vocab_size, width),
        norm=Norm("embeddings.LayerNorm", width, config.layer_norm_eps),
        project=Linear("embeddings_project", hidden, width) if config.projects_embeddings else None,
    )


def layer(name: str, config: BertConfig) -> Layer:
    """Return a layer whose tensors' names begin with `name`."""
    H, I = config.hidden_size, config.intermediate_size  # noqa: E741 (the field's own name)
    attention, buckets = f"{name}.attention", config.relative_attention_num_buckets
    parts = tuple(f"{attention}.self.{part}" for part in ("query", "key", "value"))
    return Layer(
        attention=Attention(
            heads=config.num_attention_heads,
            head_dim=config.head_dim,
            query_key_value=Linear(f"{attention}.self.query_key_value", 3 * H, H, parts),
            output=Linear(f"{attention}.output.dense", H, H),
            distances=Table("encoder.relative_attention_bias", buckets, config.num_attention_heads)
            if buckets
            else None,
        ),
        attention_norm=Norm(f"{attention}.output.LayerNorm", H, config.layer_norm_eps),
        feed_forward=FeedForward(
            intermediate=Linear(f"{name}.intermediate.dense", I, H),
            activation=config.activation,
            output=Linear(f"{name}.output.dense", H, I),
            factor=f"{name}.intermediate.factor",
        ),
        feed_forward_norm=Norm(f"{name}.output.LayerNorm", H, config.layer_norm_eps),
    )


FAMILY = Family(
    "bert",
    "Bert",
    "bert.",
    (*LEGACY_NORMS, (r"^cls\.predictions\.bias$", "cls.predictions.decoder.bias")),
    encoder,
    pooler=True,
)
