"""Footprint: what a model needs in memory and in operations, from its configuration alone.

The host's model is built without data (torch's `meta` device) and its forward pass is made there: shapes are the real ones, no
number is computed and no memory taken. Parameters and operations are so counted, not estimated, for every family alike.
"""

import copy
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedConfig, PreTrainedModel

from interp.axes import Stack
from interp.families.config import ModelConfig
from interp.families.table import FAMILIES
from interp.hooks.attention import IMPLEMENTATION, register
from interp.hooks.names import attention_kind, axes_of

PARTS = ("embedding", "encoder", "decoder", "unembedding")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a model needs.

    Attributes:
        parameters: part of the model -> parameters; a tied unembedding has none of its own.
        bytes: part of the model -> bytes of its weights.
        largest_layer: bytes of the largest layer or table, which is in memory at once even where weights are on the disk.
    """

    parameters: Mapping[str, int]
    bytes: Mapping[str, int]
    largest_layer: int

    @property
    def all(self) -> int:
        """All parameters."""
        return sum(self.parameters.values())


@dataclass(frozen=True, slots=True)
class PassCost:
    """What one forward pass needs beside the weights.

    Attributes:
        operations: floating-point operations of its matrix products.
        peak: most bytes of activations at the same time, if none is kept.
    """

    operations: int
    peak: int


def model_without_data(config: PreTrainedConfig) -> PreTrainedModel:
    """The host's model of a configuration, with shapes and no numbers, attending as hooked models do.

    Args:
        config: the host's configuration.
    """
    register()
    auto = getattr(transformers, FAMILIES[config.model_type].host.auto_class)
    with torch.device("meta"):
        model: PreTrainedModel = auto.from_config(
            copy.deepcopy(config), attn_implementation=IMPLEMENTATION, dtype=torch.float32
        )
    return model.eval().requires_grad_(False)


def footprint(model: PreTrainedModel, dtype: torch.dtype, untied: bool = False) -> Footprint:
    """What the weights of a model take.

    Args:
        model: the host's model, with or without data.
        dtype: the type they are loaded in; what the host keeps in float32 under float16 is counted so.
        untied: whether the checkpoint has an unembedding of its own, which the host ties where it builds a model from nothing.
    """
    parameters, sizes = dict.fromkeys(PARTS, 0), dict.fromkeys(PARTS, 0)
    embedding = next(model.get_input_embeddings().parameters())
    unembedding = next(model.get_output_embeddings().parameters())
    for name, weight in model.named_parameters():
        part = "embedding" if weight is embedding else "unembedding" if weight is unembedding else _stack_of(name)
        parameters[part] += weight.numel()
        sizes[part] += weight.numel() * _itemsize(model, name, dtype)
    if untied and not parameters["unembedding"]:
        parameters["unembedding"], sizes["unembedding"] = embedding.numel(), embedding.numel() * dtype.itemsize
    layers = [layer for module in model.modules() if isinstance(module, nn.ModuleList) for layer in module]
    largest = max(sum(weight.numel() for weight in layer.parameters()) for layer in layers)
    return Footprint(parameters, sizes, max(largest, embedding.numel()) * dtype.itemsize)


def _stack_of(name: str) -> str:
    return next((part for part in name.split(".") if part in ("encoder", "decoder")), "embedding")


def _itemsize(model: PreTrainedModel, name: str, dtype: torch.dtype) -> int:
    kept = getattr(model, "_keep_in_fp32_modules", None) or () if dtype is torch.float16 else ()
    return 4 if set(kept) & set(name.split(".")) else dtype.itemsize


def pass_cost(model: PreTrainedModel, batch: int, source: int, target: int, dtype: torch.dtype) -> PassCost:
    """What one forward pass needs.

    Args:
        model: of `model_without_data`; it is changed to the type.
        batch: prompts.
        source: tokens of a source.
        target: tokens of a target.
        dtype: type of weights and activations.
    """
    model = model.to(dtype)
    # Without padding: whether there is some is read from the numbers of a mask, and it changes neither shapes nor operations.
    shapes = {"input_ids": (batch, source), "decoder_input_ids": (batch, target)}
    inputs = {name: torch.ones(shape, dtype=torch.long, device="meta") for name, shape in shapes.items()}
    with torch.no_grad(), _one_expert(model), FlopCounterMode(display=False) as flops, _LiveBytes() as live:
        model(**inputs, use_cache=False)
    return PassCost(flops.get_total_flops(), live.most)


class _OneExpert(nn.Module):
    """All tokens computed by one expert: the same number of operations whatever a router would choose, which needs numbers."""

    def __init__(self, expert: nn.Module) -> None:
        super().__init__()
        self.expert = expert

    def forward(self, hidden: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        written: Tensor = self.expert(hidden) * weights
        return written


@contextmanager
def _one_expert(model: PreTrainedModel) -> Iterator[None]:
    """While it is on, layers with experts have one."""
    names = FAMILIES[model.config.model_type].host.experts
    if names is None:
        yield
        return
    layers = [layer for layer in model.modules() if {names.router, names.experts} <= {*dict(layer.named_children())}]
    experts = [layer.get_submodule(names.experts) for layer in layers]
    for layer, own in zip(layers, experts, strict=True):
        layer.set_submodule(names.experts, _OneExpert(next(own.children())))
    try:
        yield
    finally:
        for layer, own in zip(layers, experts, strict=True):
            layer.set_submodule(names.experts, own)


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages that are made while it is on and still held."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = {id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        if func is torch.ops.aten._local_scalar_dense.default and args[0].dtype == torch.bool:
            return True  # a host that asks whether a mask has no padding at all; there is none
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and id(storage := leaf.untyped_storage()) not in self._alive | known:
                self._alive.add(id(storage))
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, id(storage), storage.nbytes())
        self.most = max(self.most, self.now)
        return out

    def _gone(self, key: int, n_bytes: int) -> None:
        self._alive.discard(key)
        self.now -= n_bytes


_ITEMSIZES = {"hook_scale": 4, "hook_expert_indices": 8}


def kept_bytes(cfg: ModelConfig, names: Sequence[str], source: int, target: int, dtype: torch.dtype) -> int:
    """Bytes of some activations of one prompt.

    Args:
        cfg: the model's facts.
        names: hook points.
        source: tokens of the source.
        target: tokens of the target.
        dtype: type of activations; scales of norms are float32, and numbers of experts have 8 bytes.
    """
    return sum(
        _size(cfg, name, source, target) * _ITEMSIZES.get(name.rpartition(".")[2], dtype.itemsize) for name in names
    )


def _size(cfg: ModelConfig, name: str, source: int, target: int) -> int:
    stack: Stack = "encoder" if name.startswith("encoder") else "decoder"
    kind = attention_kind(name)
    own = source if stack == "encoder" else target
    other = source if kind == "cross" else own
    reads_source = kind == "cross" and name.endswith(("hook_k", "hook_v"))
    sizes = {
        "batch": 1,
        "one": 1,
        "pos": source if reads_source else own,
        "query": own,
        "key": other,
        "head": cfg.heads_of(kind),
        "d_head": cfg.d_head_of(kind),
        "d_model": cfg.d_model,
        "d_mlp": cfg.d_mlp_of(stack),
        "expert": cfg.n_experts,
        "vocab": cfg.d_vocab,
    }
    product = 1
    for axis in axes_of(name):
        product *= sizes[axis]
    return product
