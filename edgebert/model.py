"""A model that answers: load an .edgebert file, and ask it what its heads were trained for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.arguments import checked_callable, checked_path, listed_sequences, listed_texts
from edgebert.batch import Ids
from edgebert.description import Described, Description
from edgebert.engine.backend import Backend, open_backend
from edgebert.engine.devices import choose_device
from edgebert.engine.threads import default_threads
from edgebert.errors import EdgebertError
from edgebert.heads import HEADS, architecture_of
from edgebert.heads.pooling import Embedding
from edgebert.memory import memory_limit
from edgebert.runner import OnExtent, Runner, token_budget
from edgebert.tasks import embed
from edgebert.tasks.of_texts import TextTasks
from edgebert.tasks.of_tokens import TokenTasks

__all__ = ["DEFAULT_MODEL", "Model", "load"]

DEFAULT_MODEL = Path(__file__).parent / "models" / "sentiment.edgebert"
"""The sentiment classifier that comes with the package."""


def load(
    path: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    max_memory: str | int | None = None,
    device: str | None = None,
) -> Model:
    """Load a model.

    Parameters
    ----------
    path : path, optional
        An .edgebert file; the sentiment classifier that comes with edgebert by default.
    threads : int, optional
        Threads to compute with; by default ``EDGEBERT_NUM_THREADS``, else the processors that this process may use.
    max_memory : str or int, optional
        Most resident memory of this process: ``"200MB"``, ``"1.5GB"``, ``"512MiB"``, or a number of bytes; by default
        ``EDGEBERT_MAX_MEMORY``, else no limit. What the process has already counts. Fewer tokens are then computed at a
        time, with the same results. What the caller gives and gets (very long texts, many vectors) is not bounded by
        that: where it takes the process over the limit, there is one `MemoryWarning`.
    device : str, optional
        ``"cpu"``; ``"cuda"``, an NVIDIA GPU (needs ``edgebert[cuda]``); ``"auto"``, a GPU where one can be used. By
        default ``EDGEBERT_DEVICE``, else the processor.

    Raises
    ------
    ArtifactError
        When the file is missing, damaged, or of a newer format.
    InputError
        When `path` is no path.
    SettingError
        When an option or a setting of the environment cannot be used, or when `max_memory` is too little, with what
        would do.
    """
    file = DEFAULT_MODEL if path is None else checked_path(path, "path")
    limit = memory_limit(max_memory)
    chosen, _ = choose_device(device)
    description = Description(file)
    config = description.config
    backend = open_backend(config, description.tensors, default_threads(threads), token_budget(config), chosen)
    model = Model(description, backend)
    if limit is not None:
        model._runner.limit_memory(limit)
    model._loaded_by = (None if path is None else os.path.abspath(file), threads, max_memory, device)
    return model


class Model(TextTasks, TokenTasks):
    """A loaded model. It may be called from several threads at once, and inherited by a forked child.

    A signal handler or a finalizer that interrupts a call may not call the same model: that is an `EdgebertError`.
    Pickled, for worker processes, it is its path and the options of `edgebert.load`, by which it is loaded there; a
    copy is the model itself, which nothing changes. Its file is mapped, not read: replace it by renaming another one
    to its name, never by writing over it. A call finds that out, and raises `ArtifactError`; a file that is cut short
    during a call ends the process.

    Make one with `edgebert.load`. A task whose head the model lacks raises `InputError`, which says what it has.

    **Long texts.** For labels, tags, masked words, scores and answers, a text over `max_length` is read in windows
    that overlap: ``stride`` is the number of tokens that two of them have in common (a quarter of a window by default),
    and ``truncate=True`` reads one window alone: the first, or the last where the model's tokenizer cuts texts on the
    left (``truncation_side``), which holds for vectors and pairs of sentences, too. **How much was seen** of each text
    is told to ``on_extent``, a callable that gets the index of a text and its `Extent`: tokens, windows, whether
    something was not seen. Without it, texts that were not seen whole cause one `TruncationWarning` for the call.

    **Blank texts**, white space alone, have no label, tag, word or score: None or an empty list stands in their place,
    as the command line leaves the answers of blank lines empty, and they are not ranked. A vector and an answer they
    have like any other text, from special tokens alone; where the tokenizer adds none, `InputError` says so.

    **Numbers.** What a damaged or extreme model computes may be no finite number: then `ArtifactError` is raised,
    whatever it was asked.

    Attributes
    ----------
    labels : tuple of str
        Of the classifier; empty for a model without one.
    max_length : int
        Tokens of a text that the model sees at once, special ones included.
    hidden_size : int
        Width of a token's hidden state.
    dimensions : int
        Width of a text's vector.
    threads : int
    device : str
        ``"cpu"`` or ``"cuda"``.
    """

    _loaded_by: tuple[str | None, int | None, str | int | None, str | None] | None = None
    """The arguments of `load`."""

    def __init__(self, description: Described, backend: Backend) -> None:
        self._description = description
        self.labels, self.max_length = description.labels, description.max_length
        self.hidden_size = description.config.hidden_size
        self.dimensions: int = description.pipeline.dimensions(self.hidden_size)
        self._runner = Runner(description, backend)
        self.threads, self.device = backend.threads, backend.device
        self._heads = {
            name: HEADS[name](description.tensors, description.config, backend) for name in description.heads
        }
        self._embedding = Embedding(description.tensors, description.pipeline, backend)

    def __repr__(self) -> str:
        return f"<edgebert.Model {self._description.path.name}: {architecture_of(self._description.heads)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._loaded_by is None:
            raise EdgebertError(
                f"{self!r} cannot be pickled: it was not made by edgebert.load, from a file to load again"
            )
        return load, self._loaded_by

    def __copy__(self) -> Model:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        return self

    @property
    def info(self) -> dict[str, Any]:
        """Facts about the model, in the order of reading them."""
        return self._description.info

    @property
    def model_card(self) -> str:
        """What the model's makers say of it; empty where they say nothing."""
        return self._description.card

    @property
    def prompts(self) -> dict[str, str]:
        """Texts to put before others, by the names that `embed` takes."""
        return dict(self._description.prompts)

    def embed(
        self,
        texts: Iterable[str],
        pooling: str | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        on_extent: OnExtent | None = None,
    ) -> Any:
        """Compute a vector for each text, as the model's makers meant it unless told otherwise.

        Parameters
        ----------
        texts : iterable of str
        pooling : str, optional
            ``"mean"``, ``"cls"``, ``"max"``, ``"weightedmean"``, ``"lasttoken"``, ``"mean_sqrt_len_tokens"``; or
            ``"none"`` for the hidden states of all tokens, special ones included. Several joined by ``+`` give their
            vectors one after the other.
        normalize : bool, optional
            Whether vectors have length one.
        dimensions : int, optional
            Keep only the first so many values (arXiv 2205.13147), before normalising.
        prompt, prompt_name : str, optional
            What to put before every text, or the name of one of `prompts`.
        on_extent
            As the class says. Of a text that is too long the beginning is embedded.

        Returns
        -------
        ndarray [shape=(len(texts), dimensions), dtype=float32]
            With ``pooling="none"`` a list of ndarray [shape=(tokens, hidden_size), dtype=float32].

        Raises
        ------
        InputError
        """
        listed = listed_texts(texts)
        checked_callable(on_extent, "on_extent")
        description, pipeline = self._description, self._description.pipeline
        embed.check_embedding_options(pooling, normalize, dimensions, pipeline, self.hidden_size)
        before = embed.prompt_of(description.prompts, description.default_prompt, prompt, prompt_name)
        vectors, extents = embed.embed(
            self._runner, self._embedding, listed, pooling, normalize, dimensions, before, description.include_prompt
        )
        if pooling == "none":
            return self._told(vectors, extents, on_extent)
        width = dimensions or pipeline.dimensions(self.hidden_size, pooling)
        matrix = np.stack(vectors) if vectors else np.empty((0, width), np.float32)
        return self._told(matrix, extents, on_extent)

    def hidden_states(self, token_ids: Sequence[Ids]) -> list[np.ndarray]:
        """Compute the last hidden states of sequences of token ids, for callers with their own tokenizer.

        Parameters
        ----------
        token_ids : sequence of sequences of int
            Special tokens included; each at most ``max_position_embeddings`` long; an empty one gives no rows.

        Returns
        -------
        list of ndarray [shape=(len(ids), hidden_size), dtype=float32]

        Raises
        ------
        InputError
            When an id is outside of the vocabulary, or a sequence is too long or no list of whole numbers.
        """
        token_ids = listed_sequences(token_ids, "token_ids")
        results: list[np.ndarray] = [np.empty(0, np.float32)] * len(token_ids)
        for indices, hidden in self._runner.encode_ids(token_ids):
            for index, rows in zip(indices, hidden, strict=True):
                results[index] = rows
        return results
