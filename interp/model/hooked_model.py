"""The hooked model: a thin wrapper of a Hugging Face encoder-decoder that can be read and edited at every hook point.

The forward pass is the host's own; the wrapper only sets the attention implementation to the one with hook points
(`interp.hooks.attention`) and keeps the points. The wrapped model and tokenizer stay reachable as `.hf` and `.tokenizer`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from interp.audio.sound_reader import SoundReader
from interp.axes import Logits, TokenIds
from interp.errors import InputError
from interp.families.host_config import read_config
from interp.hooks.attention import attend_with_hooks
from interp.hooks.build import build_hook_points
from interp.hooks.given_functions import functions_at
from interp.hooks.hook_point import HookFunction, HookPoint, attached
from interp.hooks.host_weights import weight_of
from interp.hooks.module_hooks import head_results
from interp.hooks.names import NamesFilter, matching, resolve
from interp.model.activation_cache import RESULT, ActivationCache
from interp.model.batching import Batcher
from interp.model.cache_buffers import CacheBuffers
from interp.model.finiteness import check_logits
from interp.model.host_access import HostAccess
from interp.model.host_fields import host_fields
from interp.model.keeping import check_place, in_order, keeper
from interp.model.one_run import one_run_at_a_time
from interp.model.pass_tensors import HostPasses, logits_apart
from interp.model.runnable_circuit import RunnableCircuit
from interp.model.wrapped_host import WrappedHost
from interp.model.wrapping import check_tokenizer, checked_host
from interp.model.writing import TextMethods
from interp.report import notebook_html
from interp.text.batch import Batch, TargetOrigin
from interp.text.languages import languages_of
from interp.text.pieces import named_rows
from interp.text.text_memory import remembered
from interp.text.tokenized_text import length_limit

Hooks = Sequence[tuple[NamesFilter, HookFunction]]
"""Pairs of a hook name (or any names filter) and a function `fn(tensor, hook)` that may return a replacement."""


Inputs = Batch | Mapping[str, Tensor] | str | Sequence[str]
"""What a model runs on: a batch, Hugging Face's fields by name, or texts, whose targets it writes itself."""


class HookedEncoderDecoder(TextMethods, HostAccess):
    """A transformers encoder-decoder with named hook points.

    Args:
        hf: a conditional-generation model of a supported family. Its attention implementation is set to the hooked one,
            and it is put into eval mode.
        tokenizer: its tokenizer; None for models without text, which then take ready-made batches only.
        max_length: most tokens a source or target may have; by default the tokenizer's limit, or 512 where it states none.
        source_lang: code of the sources' language, in models that mark it; by default what the tokenizer's files name.
        target_lang: the same of the targets; by default also what the checkpoint forces texts to begin with.
        feature_extractor: what makes spectrograms of sounds, in models that read these.

    Attributes:
        cfg: the model's facts, with two depths; `hf`, `tokenizer` and `max_length` are as given.
        languages: those of its texts.
        sounds: what reads sounds, in models whose sources these are; else None.
        family: its row of the family table.

    Raises:
        InputError: if the model is of no supported family, writes no text, differs from what the family's row describes, has
            modules that compute more than their weights, no row for a token, no such language, or fewer positions than
            `max_length`.
    """

    def __init__(
        self,
        hf: nn.Module,
        tokenizer: PreTrainedTokenizerBase | None = None,
        max_length: int | None = None,
        source_lang: str | None = None,
        target_lang: str | None = None,
        feature_extractor: Any = None,
    ) -> None:
        hf, self.family = checked_host(hf)
        check_tokenizer(tokenizer, hf)
        self.hf = hf.eval()
        self.tokenizer = tokenizer
        self.cfg = read_config(hf.config, self.family, hf.generation_config)
        attend_with_hooks(hf)
        self._points, self._modules = build_hook_points(hf, self.family, self.cfg)
        self._wrapped = WrappedHost(hf)
        self._passes = HostPasses(hf, self._points)
        self.max_length = length_limit(tokenizer, self.cfg.max_positions, max_length)
        named = languages_of(tokenizer, hf.generation_config, self.cfg.decoder_start_token_id)
        self.languages = named.named(source_lang, target_lang)
        forced = getattr(hf.generation_config, "forced_bos_token_id", None)
        self.sounds = None if feature_extractor is None else SoundReader.of(feature_extractor, self.cfg)
        self._batcher = Batcher(tokenizer, self.cfg, self.family.decoder_inputs, self.max_length, forced, self.sounds)

    def __repr__(self) -> str:
        cfg = self.cfg
        shape = f"{cfg.n_encoder_layers}+{cfg.n_decoder_layers} layers, {cfg.describe_heads()}"
        rest = f"d_model {cfg.d_model}, {len(self._points)} hook points, {self.device}, {self.dtype}"
        return f"HookedEncoderDecoder({cfg.model_type}, {shape}, {rest})"

    def _repr_html_(self) -> str:
        return notebook_html.table(repr(self), ("fact", "value"), list(asdict(self.cfg).items()))

    @cached_property
    def named_rows(self) -> Bool[Tensor, " vocab"]:
        """True at rows of the embedding that stand for something; tables are longer than the tokenizer's vocabulary."""
        tokenizer, rows = self.tokenizer, self.cfg.d_vocab
        make = partial(named_rows, tokenizer, rows)
        found = make() if tokenizer is None else remembered(tokenizer, ("named rows", rows), make)
        return torch.from_numpy(found).to(self.device)

    def hook_points(self) -> Mapping[str, HookPoint]:
        """Hook name -> hook point, in forward order."""
        return MappingProxyType(self._points)

    def module(self, site: str) -> nn.Module:
        """The host module behind a site.

        Args:
            site: a hook name, or the stem that several share: `decoder.0.cross_attn`, `encoder.2.ln1`, `decoder.ln_final`.

        Raises:
            KeyError: if there is no such site; the message offers the nearest ones.
        """
        return self._modules[resolve(site, self._modules)]

    def _inputs(self, given: Inputs) -> Batch | Mapping[str, Tensor]:
        return given if isinstance(given, Batch | Mapping) else self.batch(given)

    @one_run_at_a_time
    def __call__(self, batch: Inputs) -> Logits:
        """The logits [batch target vocab] of a batch, of texts, or of Hugging Face's fields by name.

        Raises:
            InputError: if neither decoder inputs nor labels are given, which are never guessed from the source, if a source is an
                image, the host was changed after it was wrapped, or the logits are not finite.
        """
        fields = host_fields(self._inputs(batch), self.cfg)
        self.check_host()
        run = partial(self.hf, **fields, use_cache=False)
        logits: Logits = run().logits
        check_logits(logits, self._points, run)
        return logits

    @contextmanager
    def hooks(self, fwd_hooks: Hooks) -> Iterator["HookedEncoderDecoder"]:
        """Attach functions for the duration of a `with` block; they see every pass of this model, those of other threads too.

        Threads wait for each other's runs, so what `run_with_hooks` and `run_with_cache` attach sees its own run alone.

        Args:
            fwd_hooks: pairs of a name (glob, regular expression, predicate) and a function `fn(tensor, hook)`, which may
                return a replacement of the same shape. They run in this order, after those of an enclosing block.

        Raises:
            KeyError: if a name selects no hook point.
            InputError: if they are no pairs.
        """
        with attached(functions_at(self._points, fwd_hooks)):
            yield self

    @one_run_at_a_time
    def run_with_hooks(self, batch: Inputs, fwd_hooks: Hooks) -> Logits:
        """The logits [batch target vocab] with functions attached for this one forward pass.

        Args:
            batch: what to run.
            fwd_hooks: as for `hooks`.
        """
        batch = self._inputs(batch)  # targets are written without the functions
        with self.hooks(fwd_hooks):
            return self(batch)

    def run_with_circuit(self, circuit: RunnableCircuit, batch: Any, corrupted: Batch | None = None) -> Logits:
        """The logits [batch target vocab] of a batch with some edges only: along all others flows a corrupted run.

        Args:
            circuit: the edges, an `interp.circuits.Circuit`.
            batch: minimal pairs (`interp.patching.pair_batch`), or a clean batch.
            corrupted: for a clean batch, what flows along the other edges; of the same shape.

        Raises:
            InputError: if the circuit is of another graph, the batches differ in shape, or there is no corrupted side, or two.
        """
        return circuit.run(self, batch, corrupted)

    @one_run_at_a_time
    def run_with_cache(
        self,
        batch: Inputs,
        names_filter: NamesFilter = None,
        gradients: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        buffers: CacheBuffers | None = None,
    ) -> tuple[Logits, ActivationCache]:
        """The logits [batch target vocab] of one forward pass and the activations that it left.

        Args:
            batch: what to run.
            names_filter: which activations; by default every hook point but `hook_result`, which the cache computes from z
                when it is read.
            gradients: keep what is needed for `cache.grad` after one `metric.backward()`.
            device: where activations are moved as they are kept, e.g. `cpu` to spare the accelerator's memory.
            dtype: the type they are kept in, e.g. `torch.bfloat16` for half the memory.
            buffers: memory to keep them in, the same for run after run in a loop; it ends the cache that was there before.

        Raises:
            KeyError: if the filter names no hook point.
            InputError: if gradients are asked for together with a device, a type or buffers, or in `torch.inference_mode`, or
                activations cannot be kept on the device or in the type.
        """
        if gradients and not (device is None and dtype is None and buffers is None):
            raise InputError(
                "Gradients reach activations where they were computed; leave out `device`, `dtype` and `buffers`."
            )
        if gradients and torch.is_inference_mode_enabled():
            raise InputError("Nothing has gradients within `torch.inference_mode`; ask for them outside of it.")
        check_place(device, dtype)
        batch = self._inputs(batch)
        names = self._names(names_filter)
        told = batch if isinstance(batch, Batch) else None
        if not gradients and device is None and dtype is None and buffers is None:
            own = self._passes.run(names, batch, lambda: self(batch))
            if own is not None:
                return own[0], self._cache(own[1], told)
        kept: dict[str, Tensor] = {}
        keep = keeper(kept, gradients, device, dtype, buffers)
        if buffers is not None:
            buffers.take_back()
        grad, functions = gradients or torch.is_grad_enabled(), [(self._points[name], keep) for name in names]
        with torch.set_grad_enabled(grad), attached(functions):
            logits = logits_apart(self(batch), kept.values())
        tensors = in_order(kept, names)
        return logits, self._cache(tensors if buffers is None else buffers.lend(tensors), told, gradients)

    def _cache(self, kept: Mapping[str, Tensor], batch: Batch | None, gradients: bool = False) -> ActivationCache:
        how = self.cfg.norm_place, self.cfg.merged_attention
        return ActivationCache(kept, batch, self.compute_result, gradients, self.logit_directions, *how)

    def _names(self, names_filter: NamesFilter) -> tuple[str, ...]:
        """The points a filter selects; without one, all but results, which a cache computes from z."""
        names = matching(names_filter, tuple(self._points))
        return names if names_filter is not None else tuple(name for name in names if not name.endswith(RESULT))

    def compute_result(self, name: str, z: Tensor) -> Tensor:
        """What every head writes to the residual stream, [batch pos head d_model]; summed over heads, the attention's output.

        Args:
            name: a result point, e.g. `decoder.0.cross_attn.hook_result`.
            z: that attention's z, [batch pos head d_head].
        """
        return head_results(z, weight_of(self.module(name)).to(z))

    def decoder_inputs(self, labels: TokenIds, origin: TargetOrigin = "given") -> TokenIds:
        """What the decoder reads to predict labels: the start token (in mBART the last label given), then labels shifted.

        Args:
            labels: token ids, -100 at padding.
            origin: `given` or `generated`; the start token comes first in every family where they were generated.
        """
        return self._batcher.shifted(labels, origin)

    def logit_directions(self, tokens: Int[Tensor, " *tokens"]) -> Float[Tensor, "*tokens d_model"]:
        """The direction of the final decoder stream that a token's logit reads: s * gain * W_U[token], float32 at least.

        logit[t, w] = r_t <x_t, direction_w> with x_t the stream after the last decoder layer and r_t the inverse scale of the
        final norm (Elhage et al. 2021).

        Args:
            tokens: token ids.

        Raises:
            InputError: for families with biases, whose logits are no such product, or a token that the model has not.
        """
        if not self.cfg.logits_are_linear:
            raise InputError(
                f"Logits of {self.cfg.model_type!r} are no linear read-out without a bias; this is for T5's family."
            )
        if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < self.cfg.d_vocab:
            raise InputError(f"Tokens are 0 to {self.cfg.d_vocab - 1}; got {int(tokens.min())} to {int(tokens.max())}.")
        table, gain = weight_of(self.module("unembed.hook_out")), weight_of(self.module("decoder.ln_final"))
        wide = torch.promote_types(table.dtype, torch.float32)
        return self.cfg.logit_scale * gain.to(wide) * nn.functional.embedding(tokens.to(table.device), table).to(wide)
