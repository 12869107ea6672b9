"""Reading and writing texts: the methods of a hooked model that make batches, and let it write their targets."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interp.audio.recordings import GivenSound
from interp.axes import Residual
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.hooks.hook_point import HookPoint, attached
from interp.hooks.names import NamesFilter
from interp.hooks.steps import stepping
from interp.model.activation_cache import ActivationCache
from interp.model.batching import Batcher
from interp.model.finiteness import check_logits
from interp.model.generation import Decoding, Generation
from interp.model.host_generation import Written, write
from interp.model.one_run import one_run_at_a_time
from interp.model.step_recorder import StepRecorder
from interp.text.batch import Batch
from interp.text.languages import Languages
from interp.text.tokenized_text import GivenText, numbered


class TextMethods:
    """The methods of a hooked model that are about texts."""

    hf: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    cfg: ModelConfig
    languages: Languages
    _points: Mapping[str, HookPoint]
    _batcher: Batcher

    if TYPE_CHECKING:

        @property
        def device(self) -> torch.device:
            """Where the weights are."""

        __call__: "Callable[..., Any]"
        check_host: "Callable[[], None]"
        _names: "Callable[[NamesFilter], tuple[str, ...]]"
        _cache: "Callable[[Mapping[str, Tensor], Batch | None], ActivationCache]"

    @property
    def batcher(self) -> Batcher:
        """What makes batches of texts; it holds no weights."""
        return self._batcher

    def batch(
        self,
        sources: str | Sequence[GivenText] = (),
        targets: str | Sequence[GivenText] | None = None,
        prefixes: Sequence[str] | None = None,
        max_new_tokens: int | None = None,
        source_lang: str | None = None,
        target_lang: str | None = None,
        ids: Sequence[Sequence[int]] | None = None,
        target_ids: Sequence[Sequence[int]] | None = None,
        label: Callable[[int], str] = str,
        audio: GivenSound | Sequence[GivenSound] | None = None,
        sampling_rate: int | None = None,
    ) -> Batch:
        """A padded batch of texts, of sounds, or of token ids that stand for no text, with masks on both sides.

        Args:
            sources: one or more source texts, each with its task prefix, each whole or as the list of its words.
            targets: as many target texts; if missing, targets are generated greedily and used as teacher forcing, and the
                batch says so in `target_origin`.
            prefixes: the task prefix of every source, where it is not one T5 was trained with.
            max_new_tokens: limit of generated targets; by default twice the longest source plus 20, within `max_length`.
            source_lang: code of the sources' language, in models that mark it; by default that of the model (`languages`).
            target_lang: the same of the targets.
            ids: in place of `sources`, the token ids of every source, as bins of a time series; needs no tokenizer.
            target_ids: in place of `targets`, those of every target.
            label: what a token of `ids` is called wherever it is shown; its number by default.
            audio: in place of `sources`, in models that read sounds: paths of WAV files, or arrays of samples.
            sampling_rate: samples a second of the arrays; what the model reads by default, and nothing else is taken.

        Raises:
            InputError: if a text is empty or longer than `max_length`, the numbers of texts differ, a language is not named, an
                id is none of the model's, a sound cannot be read, or two kinds of sources are given.
        """
        if audio is not None:
            if len(sources) or prefixes is not None or ids is not None or target_ids is not None:
                raise InputError("A batch is made of texts, of `ids` or of `audio` (with `targets`); got two of them.")
            languages = self.languages.named(source_lang, target_lang)
            inputs = self._sounds(audio, targets, languages, sampling_rate)
            if targets is not None:
                return inputs
            return self.write(inputs, None, max_new_tokens, self._begun(None, inputs, languages))[0]
        if ids is not None or target_ids is not None:
            if ids is None or len(sources) or targets is not None:
                raise InputError("A batch is made of texts or of `ids` (with `target_ids`); got both, or no `ids`.")
            return self._numbered(ids, target_ids, label, max_new_tokens)
        languages = self.languages.named(source_lang, target_lang)
        answers = None if targets is None else _texts(targets)
        before = None if prefixes is None else _texts(prefixes)
        inputs = self._batcher.given(_texts(sources), answers, before, self.device, languages)
        if targets is not None:
            return inputs
        return self.write(inputs, Decoding(first_token=languages.first_token), max_new_tokens)[0]

    def _sounds(
        self,
        audio: GivenSound | Sequence[GivenSound],
        targets: str | Sequence[GivenText] | None,
        languages: Languages,
        rate: int | None = None,
    ) -> Batch:
        """The batch of sounds, in the type of the weights; without targets they only stand in."""
        answers = None if targets is None else _texts(targets)
        made = self._batcher.of_sounds(_listed(audio), answers, self.device, languages, rate)
        return replace(made, input_features=made.source_fields["input_features"].to(self.hf.dtype))

    def unanswered(self, sources: Sequence[GivenText], prefixes: Sequence[str] | None = None) -> Batch:
        """A padded batch of sources whose targets only stand in, for readers of what no target has a part in.

        Args:
            sources: as for `batch`.
            prefixes: as for `batch`.

        Raises:
            InputError: as for `batch`.
        """
        return self._batcher.given(_texts(sources), None, prefixes, self.device, self.languages)

    def _numbered(
        self,
        ids: Sequence[Sequence[int]],
        target_ids: Sequence[Sequence[int]] | None,
        label: Callable[[int], str],
        max_new_tokens: int | None,
    ) -> Batch:
        inputs = self._batcher.of_ids(ids, target_ids, self.device, label)
        if target_ids is not None:
            return inputs
        written = self.write(inputs, None, max_new_tokens)[0]
        named = (
            replace(numbered(text.ids, self.cfg.eos_token_id, label), forced=text.forced)
            for text in written.target_texts
        )
        return replace(written, target_texts=tuple(named))

    @one_run_at_a_time
    def generate(
        self,
        sources: str | Sequence[str] | Batch = (),
        names_filter: NamesFilter = None,
        decoding: Decoding | None = None,
        max_new_tokens: int | None = None,
        target_prefix: str | Sequence[str] | None = None,
        source_lang: str | None = None,
        target_lang: str | None = None,
        audio: GivenSound | Sequence[GivenSound] | None = None,
    ) -> Generation:
        """Targets written token by token with the key-value cache on, and the activations of every step.

        Args:
            sources: source texts, or a batch whose sources are taken.
            names_filter: which activations; by default every hook point but `hook_result`.
            decoding: how tokens are chosen; greedily by default.
            max_new_tokens: as for `batch`.
            target_prefix: how the target, or every target, begins; the model goes on from there.
            source_lang: as for `batch`.
            target_lang: as for `batch`.
            audio: as for `batch`.

        Returns:
            Texts, logits and a cache laid out like that of one teacher-forced pass over the same tokens, which it equals up
            to rounding (rows behind a text's end are zero).

        Raises:
            InputError: as for `batch`, or if target prefixes differ in length.
            KeyError: if the filter names no hook point.
        """
        decoding, languages = decoding or Decoding(), self.languages.named(source_lang, target_lang)
        if decoding.first_token is None:
            decoding = replace(decoding, first_token=languages.first_token)
        if isinstance(sources, Batch):
            inputs = sources
        elif audio is not None:
            inputs = self._sounds(audio, None, languages)
        else:
            inputs = self._batcher.given(_texts(sources), None, None, self.device, languages)
        begun = self._begun(target_prefix, inputs, languages)
        recorder = StepRecorder({name: self._points[name] for name in self._names(names_filter)})
        with attached(recorder.functions()):
            batch, written = self.write(inputs, decoding, max_new_tokens, begun)
        kept = recorder.assemble(written.rows, decoding.beams if decoding.method == "beam" else 1)
        kept_texts = self._batcher.hypotheses(written)
        return Generation(batch, written.logits, self._cache(kept, batch), decoding, kept_texts, written.begun)

    @one_run_at_a_time
    def write(
        self,
        inputs: Batch,
        decoding: Decoding | None = None,
        max_new_tokens: int | None = None,
        begun: Sequence[Sequence[int]] | None = None,
        memory: Residual | None = None,
    ) -> tuple[Batch, Written]:
        """What is written to the sources of a batch: as a batch, and as the host wrote it.

        Args:
            inputs: the sources.
            decoding: how tokens are chosen; greedily by default.
            max_new_tokens: as for `batch`.
            begun: tokens that every target begins with, equally many each.
            memory: what the decoder reads in place of what the encoder makes of the sources, [batch source d_model].

        Raises:
            InputError: if the logits are not finite.
        """
        self.check_host()
        decoding = decoding or Decoding()
        if decoding.first_token is None:
            decoding = replace(decoding, first_token=self.languages.first_token)
        if begun is None:
            begun = self._begun(None, inputs, self.languages)
        limit = self._batcher.limit(inputs, max_new_tokens)
        limit = max(min(limit, self._batcher.max_length - len(begun[0])), 1) if begun else limit
        copies = decoding.beams if decoding.method == "beam" else 1
        try:
            with stepping(self.hf, self._points.values(), copies):
                written = write(self.hf, self.cfg, inputs, decoding, limit, begun, memory)
        except RuntimeError:
            self(inputs)  # the host draws no sample from logits that are not finite, and does not say where it began
            raise
        batch = self._batcher.written(inputs, written)
        check_logits(written.logits, self._points, lambda: self.hf(**batch, use_cache=False))
        return batch, written

    def _begun(
        self, target_prefix: str | Sequence[str] | None, inputs: Batch, languages: Languages
    ) -> list[list[int]] | None:
        """The tokens that targets begin with: what the caller says, and in targets of sounds their language and task."""
        prompts = len(inputs)
        if target_prefix is None:
            return [self._batcher.opening(languages)] * prompts if inputs.is_audio else None
        texts = [target_prefix] * prompts if isinstance(target_prefix, str) else _texts(target_prefix)
        if len(texts) != prompts:
            raise InputError(
                f"Got {prompts} sources and {len(texts)} target prefixes; give one for each source, or one for all."
            )
        begun = self._batcher.begun(texts, languages)
        if len({len(ids) for ids in begun}) > 1:
            raise InputError(
                f"The target prefixes have {', '.join(str(len(ids)) for ids in begun)} tokens; texts that are written together "
                "are begun with equally many: generate them one by one."
            )
        return begun


def _texts(given: Any, what: str = "Texts") -> list[Any]:
    """Texts as a list, of one or more; what has no order, or is read by names, is none."""
    if isinstance(given, str):
        return [given]
    column = (
        ", of which one column is to be given" if hasattr(given, "columns") else ""
    )  # a data frame gives their names
    if column or isinstance(given, Mapping | set | frozenset | bytes) or not isinstance(given, Iterable):
        raise InputError(f"{what} are given as one or as a list of them; got a {type(given).__name__}{column}.")
    return list(given)


def _listed(audio: Any) -> list[GivenSound]:
    """Sounds as a list, of one or more: one is a path, or numbers."""
    if isinstance(audio, str | Path):
        return [audio]
    whole = _texts(audio, "Sounds")
    one = whole and not isinstance(whole[0], str | Path) and np.ndim(whole[0]) == 0
    return [audio] if one else whole
