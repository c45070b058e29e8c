"""What a chat template puts round the texts of a pair, for cross-encoders that are asked by one.

Templates are programs (Jinja's), of whoever made the model. One is run when a model is converted and never again: in
Jinja's sandbox, in a process of its own with little time and memory, on marks in the place of texts. What stands round
the marks is kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgebert.checkpoint.text_files import read_json, read_text
from edgebert.errors import CheckpointError, UnsupportedModelError

__all__ = ["pair_texts"]

_FILE, _FIELD = "chat_template.jinja", "chat_template"
_QUERY, _DOCUMENT = "\ue000query\ue001", "\ue000document\ue001"
"""Marks, of characters that no template has."""
_MARKS = {"query": _QUERY, "document": _DOCUMENT}
"""Role -> what stands in the place of its text."""
_SPACES = (" \n {} \n ", "{}")
_SECONDS, _BYTES = 10, 1 << 30
_LARGEST = 1 << 16
"""Characters that may stand round a pair."""
_RENDER = """
import json, sys
asked = json.load(sys.stdin)
sys.path[:] = asked["path"]
try:
    import resource
    resource.setrlimit(resource.RLIMIT_DATA, (asked["bytes"], asked["bytes"]))
    resource.setrlimit(resource.RLIMIT_CPU, (asked["seconds"], asked["seconds"]))
except ImportError:
    pass
from jinja2.exceptions import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

def raise_exception(message):
    raise TemplateError(message)

def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
environment.globals["raise_exception"] = raise_exception
environment.filters["tojson"] = tojson
template = environment.from_string(asked["template"])
texts = [template.render(**asked["given"], messages=messages) for messages in asked["messages"]]
if max(map(len, texts)) > asked["largest"]:
    sys.exit(f"it writes more than {asked['largest']} characters")
json.dump(texts, sys.stdout)
"""


def pair_texts(
    folder: Path, given: Mapping[str, Any], tokens: Mapping[str, str], instruction: str, *, structured: bool
) -> tuple[str, str, str]:
    """Return what stands before the first text of a pair, between both, and behind the second.

    Parameters
    ----------
    folder : Path
        With chat_template.jinja, or the field chat_template in tokenizer_config.json.
    given : mapping
        What the template is given beside the messages, whose roles are query and document.
    tokens : mapping of str to str
        The tokenizer's special tokens by role, ``"bos"``.
    instruction : str
        The message of the role system before these; empty for none.
    structured : bool
        Whether messages are lists of objects with a text, instead of texts.

    Raises
    ------
    CheckpointError
        There is no template, or it fails.
    UnsupportedModelError
        It changes the texts, or jinja2 is not there to run it.
    """
    path = folder / _FILE
    settings = folder / "tokenizer_config.json"
    values = read_json(settings, dict) if settings.is_file() else {}
    template = read_text(path) if path.is_file() else values.get(_FIELD)
    if not isinstance(template, str) or not template:
        raise CheckpointError(f"{folder} is asked by a chat template, expected one in {_FILE}, or in {settings.name}")
    if find_spec("jinja2") is None:
        raise UnsupportedModelError(
            f"{folder} is asked by a chat template, which takes jinja2 to read: pip install jinja2, and try again"
        )

    def message(role: str, text: str) -> dict[str, Any]:
        return {"role": role, "content": [{"type": "text", "text": text}] if structured else text}

    system = [message("system", instruction)] if instruction else []
    messages = [[*system, *(message(role, form.format(mark)) for role, mark in _MARKS.items())] for form in _SPACES]
    special = {f"{role}_token": token for role, token in tokens.items() if token}
    asked: dict[str, Any] = {"template": template, "messages": messages}
    asked["given"] = {"add_generation_prompt": False, **special, **given}
    asked |= {"seconds": _SECONDS, "bytes": _BYTES, "largest": _LARGEST, "path": sys.path}
    spaced, plain = _rendered(folder, asked)
    before, found, rest = plain.partition(_QUERY)
    between, also, behind = rest.partition(_DOCUMENT)
    whole = _SPACES[0].format(_QUERY), _SPACES[0].format(_DOCUMENT)
    if not found or not also or spaced != f"{before}{whole[0]}{between}{whole[1]}{behind}":
        raise UnsupportedModelError(
            f"{folder} has a chat template that changes the texts of a pair, or does not have each once, the query"
            " first; edgebert puts words before, between and behind them"
        )
    return before, between, behind


def _rendered(folder: Path, asked: Mapping[str, Any]) -> list[str]:
    """Run the template, once for each conversation."""
    command = [sys.executable, "-I", "-c", _RENDER]
    try:
        done = subprocess.run(
            command, input=json.dumps(asked), capture_output=True, encoding="utf-8", timeout=2 * _SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        done = None
    except (OSError, UnicodeError) as error:
        raise CheckpointError(f"the chat template of {folder} could not be run: {error}") from error
    if done is None or done.returncode:
        lines = done.stderr.strip().splitlines() if done else []
        why = lines[-1] if lines else f"it takes more than {_SECONDS} s, or too much memory"
        raise CheckpointError(f"the chat template of {folder} fails: {why[:300]}")
    texts: list[str] = json.loads(done.stdout)
    if not all(_is_unicode(text) for text in texts):
        raise CheckpointError(f"the chat template of {folder} writes a lone surrogate, which is no text")
    return texts


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
