"""DistilBERT (arXiv 1910.01108): BERT with half of the layers, no token types and no pooler."""

from __future__ import annotations

from edgebert.families.bert import encoder
from edgebert.families.family import Family
from edgebert.families.rules import honoured, refused, without_effect

__all__ = ["FAMILY"]

FAMILY = Family(
    "distilbert",
    "DistilBert",
    "distilbert.",
    (
        (r"^transformer\.layer\.", "encoder.layer."),
        (r"\.attention\.q_lin\.", ".attention.self.query."),
        (r"\.attention\.k_lin\.", ".attention.self.key."),
        (r"\.attention\.v_lin\.", ".attention.self.value."),
        (r"\.attention\.out_lin\.", ".attention.output.dense."),
        (r"\.sa_layer_norm\.", ".attention.output.LayerNorm."),
        (r"\.ffn\.lin1\.", ".intermediate.dense."),
        (r"\.ffn\.lin2\.", ".output.dense."),
        (r"\.output_layer_norm\.", ".output.LayerNorm."),
        (r"^pre_classifier\.", "pooler.dense."),
        (r"^vocab_transform\.", "cls.predictions.transform.dense."),
        (r"^vocab_layer_norm\.", "cls.predictions.transform.LayerNorm."),
        (r"^vocab_projector\.", "cls.predictions.decoder."),
    ),
    encoder,
    fields={
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "hidden_act": "activation",
    },
    defaults={"n_layers": 6},
    fixed={"type_vocab_size": 1, "pooler_act": "relu", "layer_norm_eps": 1e-12},
    token_types=False,
    rules={
        **honoured("the encoder's", "dim n_layers n_heads hidden_dim activation"),
        **without_effect("the family reads activation and hidden_dim", "hidden_act intermediate_size"),
        **without_effect("the family has no types, and one epsilon", "type_vocab_size layer_norm_eps"),
        **refused("the family's classifiers have another", "classifier_activation", unless=("relu",)),
        **without_effect("for training", "dropout attention_dropout qa_dropout seq_classif_dropout"),
        **without_effect("the weights have them as they are", "sinusoidal_pos_embds tie_weights_"),
    },
)
