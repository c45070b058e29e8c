"""Jina BERT v2 in torch, for golden folders: transformers has no class for it.

Written from its papers: ALiBi (arXiv 2108.12409), on both sides of a token as in arXiv 2310.19923; gated layers (arXiv
2002.05202). Names of tensors are the checkpoints'. One sequence at a time: there is no padding here.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from transformers import BertConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput

__all__ = [
    "JinaBertForMaskedLM",
    "JinaBertForSequenceClassification",
    "JinaBertForTokenClassification",
    "JinaBertModel",
]


def fall(heads: int, length: int) -> torch.Tensor:
    """Return what is added to scores, [heads, length, length]."""
    lower = 2 ** math.floor(math.log2(heads))
    slopes = torch.logspace(-8 / lower, -8, lower, base=2, dtype=torch.float64)
    if lower < heads:
        doubled = torch.logspace(-4 / lower, -8, 2 * lower, base=2, dtype=torch.float64)
        slopes = torch.cat([slopes, doubled[::2][: heads - lower]])
    places = torch.arange(length)
    return -slopes[:, None, None] * (places[:, None] - places[None]).abs()


def normed(config: BertConfig) -> nn.LayerNorm:
    """Return one of its LayerNorms."""
    return nn.LayerNorm(config.hidden_size, config.layer_norm_eps)


class Layer(nn.Module):
    """Attention and a gated part, LayerNorms behind the sums."""

    def __init__(self, config: BertConfig):
        super().__init__()
        size, inner = config.hidden_size, config.intermediate_size
        asking = nn.ModuleDict({name: nn.Linear(size, size) for name in ("query", "key", "value")})
        answer = nn.ModuleDict({"dense": nn.Linear(size, size), "LayerNorm": normed(config)})
        self.attention = nn.ModuleDict({"self": asking, "output": answer})
        gated = nn.Linear(size, 2 * inner, bias=False)
        self.mlp = nn.ModuleDict({"gated_layers": gated, "wo": nn.Linear(inner, size), "layernorm": normed(config)})
        self.heads = config.num_attention_heads
        self.gate = {"geglu": nn.functional.gelu, "reglu": nn.functional.relu}[config.feed_forward_type]

    def forward(self, stream: torch.Tensor) -> torch.Tensor:
        """Return the stream [tokens, size] behind the layer."""
        length, size = stream.shape
        query, key, value = (
            self.attention["self"][name](stream).view(length, self.heads, -1).transpose(0, 1)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(1, 2) / math.sqrt(size // self.heads) + fall(self.heads, length)
        seen = (scores.softmax(-1) @ value).transpose(0, 1).reshape(length, size)
        output = self.attention["output"]
        stream = output["LayerNorm"](output["dense"](seen) + stream)
        gate, rest = self.mlp["gated_layers"](stream).chunk(2, dim=-1)
        return self.mlp["layernorm"](self.mlp["wo"](self.gate(gate) * rest) + stream)


class JinaBertModel(PreTrainedModel):
    """Its encoder, with BERT's pooler."""

    config_class = BertConfig
    base_model_prefix = "bert"

    def __init__(self, config: BertConfig):
        super().__init__(config)
        tables = {"word_embeddings": config.vocab_size, "token_type_embeddings": config.type_vocab_size}
        self.embeddings = nn.ModuleDict({name: nn.Embedding(rows, config.hidden_size) for name, rows in tables.items()})
        self.embeddings["LayerNorm"] = normed(config)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(config.hidden_size, config.hidden_size)})
        self.post_init()

    def forward(self, input_ids: torch.Tensor, token_type_ids: torch.Tensor | None = None) -> BaseModelOutput:
        """Return the hidden states of one sequence, [1, tokens, size]."""
        (ids,) = input_ids
        types = torch.zeros_like(ids) if token_type_ids is None else token_type_ids[0]
        words, kinds = self.embeddings["word_embeddings"](ids), self.embeddings["token_type_embeddings"](types)
        stream = self.embeddings["LayerNorm"](words + kinds)
        for layer in self.encoder["layer"]:
            stream = layer(stream)
        return BaseModelOutput(last_hidden_state=stream[None])


class WithHead(PreTrainedModel):
    """What its models with a head share: `logits` of hidden states [1, tokens, size]."""

    config_class = BertConfig
    base_model_prefix = "bert"

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.bert = JinaBertModel(config)

    def forward(self, **batch: torch.Tensor) -> MaskedLMOutput:
        """Return its logits."""
        return MaskedLMOutput(logits=self.logits(self.bert(**batch).last_hidden_state))


class JinaBertForMaskedLM(WithHead):
    """Its transform has the activation that config.json calls hidden_act, not the gates'."""

    def __init__(self, config: BertConfig):
        super().__init__(config)
        size = config.hidden_size
        transform = nn.ModuleDict({"dense": nn.Linear(size, size), "LayerNorm": normed(config)})
        decoder = nn.Linear(size, config.vocab_size)
        predictions = nn.ModuleDict({"transform": transform, "decoder": decoder})
        self.cls = nn.ModuleDict({"predictions": predictions})
        self.activation = {"gelu": nn.functional.gelu, "relu": nn.functional.relu}[config.hidden_act]
        self.post_init()

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return those of each token."""
        predictions = self.cls["predictions"]
        dense, norm = (predictions["transform"][name] for name in ("dense", "LayerNorm"))
        return predictions["decoder"](norm(self.activation(dense(hidden))))


class JinaBertForSequenceClassification(WithHead):
    """A classifier of the first token, behind the pooler."""

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return those of the text."""
        return self.classifier(self.bert.pooler["dense"](hidden[:, 0]).tanh())


class JinaBertForTokenClassification(WithHead):
    """A classifier of each token."""

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return those of each token."""
        return self.classifier(hidden)
