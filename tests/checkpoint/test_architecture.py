"""Which heads a model has: by the names of its classes, and by the tensors that are there."""

from __future__ import annotations

import pytest

from edgebert.checkpoint.architecture import heads_of, problem_type_of
from edgebert.families import FAMILIES

PRETRAINING = ("masked_lm", "next_sentence")


@pytest.mark.parametrize(
    ("model_type", "architecture", "among", "heads"),
    [
        ("bert", "BertForMaskedLM", (), ("masked_lm",)),
        ("bert", "BertForMaskedLM", PRETRAINING, PRETRAINING),
        ("bert", "BertForNextSentencePrediction", (), ("next_sentence",)),
        ("bert", "BertForNextSentencePrediction", PRETRAINING, PRETRAINING),
        ("bert", "BertForPreTraining", (), PRETRAINING),
        ("bert", "BertForSequenceClassification", PRETRAINING, ("sequence_classification",)),
        ("bert", "BertModel", PRETRAINING, ()),
        ("electra", "ElectraForMaskedLM", (), ("masked_lm",)),
        ("roberta", "RobertaForTokenClassification", (), ("token_classification",)),
    ],
)
def test_heads_of_a_class(model_type, architecture, among, heads):
    values = {"model_type": model_type, "architectures": [architecture]}
    assert heads_of(values, among, FAMILIES[model_type]) == (heads, "")


@pytest.mark.parametrize(
    ("model_type", "architecture"),
    [
        ("electra", "ElectraForPreTraining"),  # it tells replaced words, which is no task here
        ("bert", "RobertaForMaskedLM"),
        ("bert", "MyBertForMaskedLM"),
        ("bert", "BertForMaskedLMAndMore"),
    ],
)
def test_a_class_that_is_not_known(model_type, architecture):
    values = {"model_type": model_type, "architectures": [architecture]}
    assert heads_of(values, PRETRAINING, FAMILIES[model_type]) == ((), architecture)


@pytest.mark.parametrize(
    ("function", "problem_type"),
    [
        ("torch.nn.modules.linear.Identity", "regression"),
        ("torch.nn.modules.activation.Sigmoid", "multi_label_classification"),
        ("torch.nn.modules.activation.Softmax", "single_label_classification"),
    ],
)
def test_what_stands_behind_the_logits_of_a_cross_encoder(function, problem_type):
    assert problem_type_of({}, 2, function, is_cross_encoder=True) == problem_type
