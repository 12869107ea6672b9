"""Wiring: builds all hook points of a model from its family's row in the table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from interp.axes import Stack
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.families.sites import Site
from interp.families.table import Family
from interp.hooks.attention import AttentionPoints, watch
from interp.hooks.hook_point import HookPoint
from interp.hooks.module_hooks import (
    EmbeddingWire,
    InputWire,
    NormWire,
    OutputWire,
    PositionBiasWire,
    PositionsWire,
    ResultWire,
    StreamWire,
    TorchWire,
)
from interp.hooks.names import attention_kind, axes_of


@dataclass(frozen=True, slots=True)
class Wiring:
    """What was found in a model.

    Attributes:
        points: hook name -> point, in forward order.
        modules: site name -> host module. A site is named like its hook point, or by the stem of several: `decoder.0.attn`,
            `encoder.2.ln1`, `decoder.ln_final`.
    """

    points: dict[str, HookPoint]
    modules: dict[str, nn.Module]


def wire(model: nn.Module, family: Family, config: ModelConfig) -> Wiring:
    """Create every hook point of a model, in forward order.

    Args:
        model: the host model; it must use the attention implementation registered by `interp.hooks.attention`.
        family: its row of the table.
        config: its facts.

    Returns:
        The points and the modules behind them. Nothing is attached to the model until a function is attached to a point.

    Raises:
        InputError: if a module of the table does not exist in the model, naming its path.
    """
    points: dict[str, HookPoint] = {}
    modules: dict[str, nn.Module] = {}
    connector = _Connector(config)
    for name, site in _sites(family, config):
        modules[name] = _module(model, site.module)
        points.update(connector.connect(name, site, modules[name]))
    return Wiring(points, modules)


def _sites(family: Family, config: ModelConfig) -> Iterator[tuple[str, Site]]:
    stacks: tuple[Stack, ...] = ("encoder", "decoder")
    for stack in stacks:
        sites = family.stacks[stack]
        yield from _placed(stack, sites.module, sites.before, 0, config)
        for layer in range(config.n_layers(stack)):
            yield from _placed(f"{stack}.{layer}", sites.module, sites.layer, layer, config)
        yield from _placed(stack, sites.module, sites.after, 0, config)
    yield "unembed.hook_out", Site(family.unembed, "output")


def _placed(
    prefix: str, stack_module: str, sites: Mapping[str, Site], layer: int, config: ModelConfig
) -> Iterator[tuple[str, Site]]:
    first_projection = "wi_0" if config.gated_mlp else "wi"
    for name, site in sites.items():
        if site.gated_only and not config.gated_mlp:
            continue
        path = f"{stack_module}.{site.module}".format(l=layer, wi=first_projection)
        yield f"{prefix}.{name}", Site(path, site.side)


def _module(model: nn.Module, path: str) -> nn.Module:
    try:
        return model.get_submodule(path)
    except AttributeError as error:
        raise InputError(
            f"The model has no module {path!r}, which its family should have; it was probably built by other code than "
            "transformers' own class. Load it with transformers' class for its model type."
        ) from error


class _Connector:
    """Makes the points of sites and connects them, keeping the wires that serve several sites."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.norms: dict[nn.Module, NormWire] = {}
        self.stream: StreamWire | None = None

    def connect(self, name: str, site: Site, module: nn.Module) -> dict[str, HookPoint]:
        """The points of one site, connected to its module."""
        if site.side == "attention":
            heads = {leaf: _point(f"{name}.hook_{leaf}") for leaf in ("q", "k", "v", "attn_scores", "pattern", "z")}
            return {point.name: point for point in watch(module, AttentionPoints(**heads))}
        if site.side == "norm":
            scale, normalized = _point(f"{name}.hook_scale"), _point(f"{name}.hook_normalized")
            centred = self.config.norm == "layer"
            self.norms[module] = NormWire(module, self.config.eps, centred, scale=scale, normalized=normalized)
            return {point.name: point for point in (scale, normalized)}
        point = _point(name)
        if site.side in ("stream_in", "stream", "stream_out"):
            self._connect_stream(site.side, module, point)
        elif site.side == "norm_output":
            self.norms[module].hand_on(point)
        elif site.side == "heads":
            assert isinstance(module, nn.Linear)
            ResultWire(module, self.config.heads_of(attention_kind(name)), value=point)
        elif site.side == "embedding":
            EmbeddingWire(module, self.config.embed_scale, value=point)
        else:
            _SIMPLE[site.side](module, value=point)
        return {name: point}

    def _connect_stream(self, side: str, module: nn.Module, point: HookPoint) -> None:
        """The points of one layer's stream follow each other, so one wire at a time is open."""
        if side == "stream_in":
            self.stream = StreamWire(module, point)
            return
        assert self.stream is not None
        if side == "stream":
            self.stream.between(module, point)
        else:
            self.stream.leave(point)


_SIMPLE: dict[str, type[TorchWire]] = {
    "bias": PositionBiasWire,
    "input": InputWire,
    "output": OutputWire,
    "positions": PositionsWire,
}


def _point(name: str) -> HookPoint:
    return HookPoint(name, axes_of(name))
