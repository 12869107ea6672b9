"""Wiring: builds all hook points of a model from its family's row in the table."""

from dataclasses import dataclass

from torch import nn

from interp.axes import Stack
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.families.point_names import POINTS, placed_sites
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
    depths: dict[Stack, int] = {"encoder": config.n_encoder_layers, "decoder": config.n_decoder_layers}
    for name, site in placed_sites(family, depths, config.gated_mlp):
        modules[name] = _module(model, site.module)
        points.update(connector.connect(name, site, modules[name]))
    return Wiring(points, modules)


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
            heads = {leaf: _point(f"{name}.hook_{leaf}") for leaf in POINTS["attention"]}
            return {point.name: point for point in watch(module, AttentionPoints(**heads))}
        if site.side == "norm":
            scale, normalized = (_point(f"{name}.hook_{leaf}") for leaf in POINTS["norm"])
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
