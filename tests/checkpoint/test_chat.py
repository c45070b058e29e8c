"""What a chat template puts round a pair, and templates that are none, or worse."""

from __future__ import annotations

import json
import shutil

import pytest
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

from edgebert.checkpoint import _check_pairs, chat, open_checkpoint
from edgebert.errors import InputError, UnsupportedModelError
from edgebert.evaluate.float32 import load_float32
from tests.checkpoint.folders import change_json, open_refusal
from tests.golden import GOLDEN

pytest.importorskip("jinja2")

SENTENCES = GOLDEN / "sentences"
SETTINGS, TEMPLATE = "sentence_bert_config.json", "chat_template.jinja"
PAIR = "{{ messages[0].content }} and {{ messages[1].content }}"


@pytest.fixture
def folder(tmp_path):
    """Return a copy of a model that is asked by a template."""
    return shutil.copytree(SENTENCES / "reranker-template", tmp_path / "model")


def told(folder):
    return open_checkpoint(folder).info.pair_texts


def test_what_stands_round_a_pair(folder):
    before, between = "<|endoftext|>Judge.\nQuery: ", "\nDocument: "
    assert told(folder) == (before, between, "<|endoftext|>\ngood?")
    change_json(folder / SETTINGS, processing_kwargs={"chat_template": {"restore_suffix": False}})
    assert told(folder) == (before, between, "<|endoftext|>\n")
    assert told(SENTENCES / "reranker-prompt")[0] == "<|endoftext|>Judge the story.\nQuery: "
    assert told(SENTENCES / "reranker-pair") is None


def test_the_template_may_stand_among_the_tokenizers_settings(folder):
    (folder / TEMPLATE).unlink()
    change_json(folder / "tokenizer_config.json", chat_template="{{ eos_token }}" + PAIR, eos_token="<|endoftext|>")
    assert told(folder) == ("<|endoftext|>", " and ", "")


def test_what_a_template_is_given(folder):
    """The special tokens that the tokenizer has, whatever form they are written in, and what the settings say."""
    (folder / TEMPLATE).write_text("{{ bos_token }}|{{ cls_token }}|{{ pad_token }}|{{ more }}|" + PAIR)
    change_json(
        folder / "tokenizer_config.json",
        bos_token={"__type": "AddedToken", "content": "<|endoftext|>", "lstrip": False, "special": True},
        cls_token="<|endoftext|>",
    )
    change_json(folder / SETTINGS, processing_kwargs={"chat_template": {"more": "why", "max_length": 9}})
    assert told(folder)[0] == "<|endoftext|>|<|endoftext|>|<|endoftext|>|why|"
    assert open_checkpoint(folder).info.max_length == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"chat_template": "x"}, "chat_template 'x'"),
        ({"truncation": False}, "truncation False"),
        ({"continue_final_message": True}, "continue_final_message True"),
    ],
)
def test_arguments_that_would_change_more(folder, arguments, message):
    change_json(folder / SETTINGS, processing_kwargs={"chat_template": arguments})
    assert message in open_refusal(folder, kind=UnsupportedModelError)


def test_messages_that_are_objects(folder):
    (folder / TEMPLATE).write_text(
        "{% for m in messages %}"
        "{% if m.content is string %}no{% else %}<{{ m.content[0].text }}>{% endif %}"
        "{% endfor %}"
    )
    modalities = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))["modality_config"]
    modalities["message"]["format"] = "structured"
    change_json(folder / SETTINGS, modality_config=modalities)
    assert told(folder) == ("<", "><", ">")
    modalities["message"]["format"] = "auto"
    change_json(folder / SETTINGS, modality_config=modalities)
    assert "has the format 'auto' of messages, expected flat or structured" in open_refusal(
        folder, kind=UnsupportedModelError
    )


def test_words_that_run_into_each_other_are_refused():
    """As with the expression of Qwen's tokenizers, which takes line ends to the signs before them."""
    tokens = {token: i for i, token in enumerate([*ByteLevel.alphabet(), ".\u010a"])}
    tokenizer = Tokenizer(BPE(tokens, [(".", "\u010a")]))
    lines = Split(Regex(r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+"), "isolated")
    tokenizer.pre_tokenizer = Sequence([lines, ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.add_special_tokens(["<|end|>"])
    _check_pairs("it", tokenizer.to_str(), ("Query: ", "\nDocument: ", "<|end|>\ngood?"))
    with pytest.raises(UnsupportedModelError, match="words run into those of the texts"):
        _check_pairs("it", tokenizer.to_str(), ("Query: ", "\nDocument: ", "\ngood?"))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ messages[0].content | trim }} {{ messages[1].content }}", "changes the texts of a pair"),
        ("{{ messages[1].content }} {{ messages[0].content }}", "changes the texts of a pair"),
        ("{{ messages[0].content }}", "changes the texts of a pair"),
        (f"{PAIR}{PAIR}", "changes the texts of a pair"),
        ("{{ messages[0].content | upper }} {{ messages[1].content }}", "changes the texts of a pair"),
    ],
)
def test_templates_that_change_the_texts(folder, template, message):
    (folder / TEMPLATE).write_text(template)
    assert message in open_refusal(folder, kind=UnsupportedModelError)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% if %}", "fails: jinja2.exceptions.TemplateSyntaxError"),
        ("{{ raise_exception('no roles') }}", "fails: jinja2.exceptions.TemplateError: no roles"),
        ("{% for i in range(10**9) %}x{% endfor %}", "fails: OverflowError: Range too big"),
        ("{{ ''.__class__.__mro__ }}", "fails: jinja2.exceptions.SecurityError"),
        ("{{ messages.append(1) }}", "fails: jinja2.exceptions.SecurityError"),
        ("", "expected one in chat_template.jinja"),
        ("{{ 'x' * 70000 }}" + PAIR, "fails: it writes more than 65536 characters"),
        ("{{ '\\ud800' }}" + PAIR, "writes a lone surrogate"),
    ],
)
def test_templates_that_fail(folder, template, message):
    (folder / TEMPLATE).write_text(template)
    assert message in open_refusal(folder)


def test_a_template_that_never_ends_is_ended(folder, monkeypatch):
    monkeypatch.setattr(chat, "_SECONDS", 1)
    loops = "{% for i in range(99999) %}" * 3 + "{% set x = i %}" + "{% endfor %}" * 3
    (folder / TEMPLATE).write_text(loops)
    assert "fails: it takes more than 1 s, or too much memory" in open_refusal(folder)


def test_a_template_that_wants_all_memory(folder, monkeypatch):
    monkeypatch.setattr(chat, "_BYTES", 1 << 27)
    (folder / TEMPLATE).write_text("{% set ns = namespace(x='a' * 1000) %}" + "{% set ns.x = ns.x ~ ns.x %}" * 20)
    assert "fails: MemoryError" in open_refusal(folder)


def test_without_jinja2(folder, monkeypatch):
    monkeypatch.setattr(chat, "find_spec", lambda _: None)
    assert "takes jinja2 to read: pip install jinja2" in open_refusal(folder, kind=UnsupportedModelError)


def test_models_for_vectors_have_no_template(tmp_path):
    """What sentence-transformers would put texts into, edgebert does not leave out silently."""
    folder = shutil.copytree(SENTENCES / "qwen3-embedding", tmp_path / "model")
    modalities = json.loads((SENTENCES / "reranker-template" / SETTINGS).read_text(encoding="utf-8"))["modality_config"]
    for each in modalities.values():
        each["method_output_name"] = "last_hidden_state"
    change_json(folder / SETTINGS, modality_config=modalities)
    assert "puts texts into a chat template" in open_refusal(folder, kind=UnsupportedModelError)


def test_what_writes_without_a_score_is_refused(folder):
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    (folder / "modules.json").write_text(json.dumps(modules[:1]))
    assert "but there is no LogitScore among its modules" in open_refusal(folder, kind=UnsupportedModelError)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"true_token_id": 300}, "its decoder of words is F16 (300, 32); expected a row for each, of 32"),
        ({"true_token_id": None}, "has the tokens [None, 258], expected ids"),
        ({"false_token_id": "no"}, "has the tokens [262, 'no'], expected ids"),
        ({"true_token_id": -1}, "has the tokens [-1, 258], expected ids"),
        ({"true_token_id": True}, "has the tokens [True, 258], expected ids"),
    ],
)
def test_words_that_are_none(folder, changes, message):
    change_json(folder / "1_LogitScore" / "config.json", **changes)
    assert message in open_refusal(folder)


def test_a_model_whose_words_have_more_before_them(folder, tmp_path):
    other = shutil.copytree(GOLDEN / "encoder", tmp_path / "other")
    for name in ("modules.json", "config_sentence_transformers.json", "1_LogitScore/config.json", SETTINGS):
        (other / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(SENTENCES / "reranker-pair" / name, other / name)
    change_json(other / "1_LogitScore" / "config.json", true_token_id=9)
    assert "makes its score of words, and has more layers before them" in open_refusal(
        other, kind=UnsupportedModelError
    )
    spans = shutil.copytree(GOLDEN / "gliner" / "span", tmp_path / "spans")
    shutil.copyfile(SENTENCES / "encoder" / "modules.json", spans / "modules.json")
    shutil.copytree(SENTENCES / "encoder" / "1_Pooling", spans / "1_Pooling")
    assert "has a modules.json beside gliner_config.json" in open_refusal(spans)


def test_single_texts_are_no_pairs(folder):
    with pytest.raises(InputError, match="scores pairs of texts, a query and a document"):
        load_float32(folder).classify(["a film"])


def test_the_score_is_a_row_of_the_decoder(folder):
    tensors, both = open_checkpoint(folder).tensors, SENTENCES / "reranker-pair"
    words = tensors["embeddings.word_embeddings.weight"]
    assert (tensors["classifier.weight"] == words[262] - words[258]).all()
    assert not tensors["classifier.bias"].any()
    assert (open_checkpoint(both).tensors["classifier.weight"] == words[262]).all()
