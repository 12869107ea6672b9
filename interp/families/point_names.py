"""Which hook points a model has, from its family's row and its `config.json` alone: no module, no tensor, no torch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from interp.families.sites import Site, expert_layers
from interp.families.table import FAMILIES, Family

if TYPE_CHECKING:
    from interp.axes import Stack

POINTS: Mapping[str, tuple[str, ...]] = {
    "attention": ("q", "k", "v", "attn_scores", "pattern", "z"),
    "merged": ("q", "k", "v", "attn_scores", "pattern", "z"),
    "merged_part": (),
    "norm": ("scale", "normalized"),
    "experts": ("expert_weights", "expert_indices", "pre", "post"),
}
"""Side of a site that has several points -> the last parts of their names; any other site is one point of its own name."""


UNCAPPED = "attn_scores_uncapped"
"""Scores before they are capped, in families that cap them."""


def placed_sites(
    family: Family, depths: "Mapping[Stack, int]", gated: bool, experts: "Mapping[Stack, Sequence[int]]"
) -> Iterator[tuple[str, Site]]:
    """Every site of a model with its full name and its path in the host's module tree, in forward order.

    Args:
        family: the model's row of the table.
        depths: layers of each stack.
        gated: whether its feed-forward layers are gated.
        experts: layers of each stack with experts.
    """
    for stack, sites in family.stacks.items():
        groups: list[tuple[str, int, Mapping[str, Site]]] = [(stack, 0, sites.before)]
        groups += [(f"{stack}.{layer}", layer, sites.layer) for layer in range(depths[stack])]
        for prefix, layer, group in [*groups, (stack, 0, sites.after)]:
            for name, site in group.items():
                if (gated or not site.gated_only) and site.experts in (None, layer in experts[stack]):
                    path = f"{sites.module}.{site.module}".format(l=layer, wi="wi_0" if gated else "wi")
                    yield f"{prefix}.{name}", Site(path, site.side)
    yield "unembed.hook_out", Site(family.host.unembed, "output")


def says_all(config: Mapping[str, Any]) -> bool:
    """Whether a `config.json` says all that decides which hook points its model has; the host fills in what it leaves out.

    Args:
        config: its content.
    """
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        return False
    host = family.host
    depths = (host.attributes["n_encoder_layers"], host.attributes["n_decoder_layers"])
    paths = (*depths, host.activation, *host.expert_steps.values())
    return all(_at(config, path) is not None for path in paths)


def hook_names(config: Mapping[str, Any]) -> Iterator[str]:
    """Names of all hook points of a model, in forward order.

    Args:
        config: the content of its `config.json`; that of a model outside the table gives no names.
    """
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        return
    encoder, decoder = (family.host.attributes[f"n_{stack}_layers"] for stack in ("encoder", "decoder"))
    depth: int = _at(config, encoder)
    depths: dict[Stack, int] = {"encoder": depth, "decoder": _at(config, decoder) or depth}
    gated = family.host.constants.get("gated_mlp", str(config.get("feed_forward_proj")).startswith("gated"))
    capped = _at(config, family.host.attributes.get("score_cap", "")) is not None
    experts = {stack: expert_layers(depths[stack], _at(config, path)) for stack, path in _expert_steps(family).items()}
    for name, site in placed_sites(family, depths, gated, experts):
        yield from points_of(name, site, capped)


def _expert_steps(family: Family) -> "dict[Stack, str]":
    return {stack: family.host.expert_steps.get(stack, "") for stack in family.stacks}


def points_of(name: str, site: Site, capped: bool) -> Iterator[str]:
    """Names of the points of one site, in forward order.

    Args:
        name: full name of the site.
        site: the site.
        capped: whether scores are capped.
    """
    if site.side not in POINTS:
        yield name
    for leaf in leaves(site, capped) if site.side in POINTS else ():
        yield f"{name}.hook_{leaf}"
        if site.side == "merged":
            yield f"{cross_beside(name)}.hook_{leaf}"


def cross_beside(name: str) -> str:
    """The name of the cross-attention that shares its module with a self-attention.

    Args:
        name: of the self-attention, `decoder.0.attn`.
    """
    return f"{name.removesuffix('attn')}cross_attn"


def leaves(site: Site, capped: bool) -> tuple[str, ...]:
    """The last parts of the names of a site's points.

    Args:
        site: one that has several.
        capped: whether scores are capped; they are then shown before it too.
    """
    own = POINTS[site.side]
    if site.side != "attention" or not capped:
        return own
    place = own.index("attn_scores")
    return (*own[:place], UNCAPPED, *own[place:])


def _at(config: Any, path: str) -> Any:
    for name in path.split("."):
        config = config.get(name) if isinstance(config, Mapping) else None
    return config
