"""All hook points of a model, built from its family's row in the table and connected to the host's modules."""

import copy

from torch import nn

from interp.axes import Stack
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.families.point_names import POINTS, cross_beside, leaves, placed_sites
from interp.families.sites import Host, Site
from interp.families.table import Family
from interp.hooks.attention import AttentionPoints, attended_by, watch
from interp.hooks.experts import ExpertsHook
from interp.hooks.hook_point import HookPoint
from interp.hooks.merged_attention import MergedAttention
from interp.hooks.module_hooks import (
    PLAIN,
    POSITION_BIAS,
    POSITION_EMBEDDING,
    FrameEmbeddingHook,
    HeadResultHook,
    InputHook,
    Layout,
    NormHook,
    OutputHook,
    ResidualStreamHook,
)
from interp.hooks.names import attention_kind, axes_of


def build_hook_points(
    model: nn.Module, family: Family, config: ModelConfig
) -> tuple[dict[str, HookPoint], dict[str, nn.Module]]:
    """Every hook point of a model and the modules behind them; nothing is on a module until a function is on a point.

    Args:
        model: the host model; it must use the attention implementation registered by `interp.hooks.attention`.
        family: its row of the table.
        config: its facts.

    Returns:
        Hook name -> point, in forward order, and site name -> host module. A site is named like its hook point, or by the stem of
        several: `decoder.0.attn`, `encoder.2.ln1`, `decoder.ln_final`.

    Raises:
        InputError: if a module of the table does not exist in the model, or is one with that of another place, naming its path.
    """
    points: dict[str, HookPoint] = {}
    modules: dict[str, nn.Module] = {}
    paths: dict[nn.Module, str] = {}
    builder = _Builder(config, family.host)
    depths: dict[Stack, int] = {"encoder": config.n_encoder_layers, "decoder": config.n_decoder_layers}
    experts: dict[Stack, tuple[int, ...]] = {stack: config.expert_layers(stack) for stack in depths}
    for name, site in placed_sites(family, depths, config.gated_mlp, experts):
        modules[name] = _module(model, site.module, paths)
        points.update(builder.points_of(name, site, modules[name]))
    return points, modules


def _module(model: nn.Module, path: str, paths: dict[nn.Module, str]) -> nn.Module:
    """The module of a path, which no other path has: a hook could not tell whose call it sees."""
    try:
        module = model.get_submodule(path)
    except AttributeError as error:
        raise InputError(
            f"The model has no module {path!r}, which its family should have; it was probably built by other code than "
            "transformers' own class. Load it with transformers' class for its model type."
        ) from error
    other = paths.setdefault(module, path)
    if other == path:
        return module
    if not isinstance(module, nn.Embedding):
        raise InputError(
            f"The model has one and the same module at {other!r} and {path!r}; give each a module of its own."
        )
    # `resize_token_embeddings` leaves both stacks one module; the decoder gets its own, with the same weight.
    own = copy.deepcopy(module, {id(weight): weight for weight in module.parameters()})
    model.set_submodule(path, own)
    paths[own] = path
    return own


class _Builder:
    """Makes the points of sites and connects them, keeping the module hooks that serve several sites."""

    def __init__(self, config: ModelConfig, host: Host) -> None:
        self.config = config
        self.experts = host.experts
        self.source_states = host.source_states
        self.merged: MergedAttention | None = None
        self.norms: dict[nn.Module, NormHook] = {}
        self.stream: ResidualStreamHook | None = None
        self.frames: FrameEmbeddingHook | None = None

    def points_of(self, name: str, site: Site, module: nn.Module) -> dict[str, HookPoint]:
        """The points of one site, connected to its module."""
        if site.side == "attention":
            parts = leaves(site, self.config.score_cap is not None)
            heads = {leaf: _point(f"{name}.hook_{leaf}") for leaf in parts}
            points = watch(module, AttentionPoints(**heads))
            return {point.name: point for point in (getattr(points, leaf) for leaf in parts)}
        if site.side == "merged":
            return self._merged(name, module)
        if site.side == "merged_part":
            return {}
        if site.side == "norm":
            scale, normalized = (_point(f"{name}.hook_{leaf}") for leaf in POINTS["norm"])
            centered = self.config.norm == "layer"
            self.norms[module] = NormHook(
                module, self.config.eps, centered, self.config.norm_offset, scale=scale, normalized=normalized
            )
            return {point.name: point for point in (scale, normalized)}
        if site.side == "experts":
            assert self.experts is not None
            of_experts = {leaf: _point(f"{name}.hook_{leaf}") for leaf in POINTS["experts"]}
            ExpertsHook(module, self.experts, self.config.expert_capacity, **of_experts)
            return {point.name: point for point in of_experts.values()}
        point = _point(name)
        if site.side in ("stream_in", "stream", "stream_out"):
            self._follow_stream(site.side, module, point)
        elif site.side == "frames":
            self.frames = FrameEmbeddingHook(module, point)
        elif site.side == "merged_heads":
            assert self.merged is not None
            assert isinstance(module, nn.Linear)
            point = self.merged.write_by(module, point)
        elif site.side == "norm_output":
            self.norms[module].hand_on(point)
        elif site.side == "heads":
            assert isinstance(module, nn.Linear)  # see `plain_modules`
            HeadResultHook(module, self.config.heads_of(attention_kind(name)), point)
        elif site.side == "input":
            InputHook(module, value=point)
        else:
            OutputHook(module, point, self._layouts()[site.side])
        return {name: point}

    def _merged(self, name: str, module: nn.Module) -> dict[str, HookPoint]:
        """The points of both sides of one attention."""
        target, source = (
            AttentionPoints(**{leaf: _point(f"{side}.hook_{leaf}") for leaf in POINTS["merged"]})
            for side in (name, cross_beside(name))
        )
        assert self.source_states is not None
        self.merged = attended_by(module, MergedAttention(module, target, source, self.source_states))
        both = zip(*self.merged.sides, strict=True)
        return {point.name: point for pair in both for point in pair if point is not None}

    def _follow_stream(self, side: str, module: nn.Module, point: HookPoint) -> None:
        """The points of one layer's stream follow each other, so one hook at a time is open."""
        if side == "stream_in":
            self.stream = ResidualStreamHook(module, point)
            if self.frames is not None:
                self.frames.read_by(module)
                self.frames = None
            return
        assert self.stream is not None
        self.stream.then(point, module if side == "stream" else None)

    def _layouts(self) -> dict[str, Layout]:
        scale = self.config.embed_scale
        scaled = Layout(lambda output: output * scale, lambda value, output: value / scale)
        return {"output": PLAIN, "embedding": scaled, "positions": POSITION_EMBEDDING, "bias": POSITION_BIAS}


def _point(name: str) -> HookPoint:
    return HookPoint(name, axes_of(name))
