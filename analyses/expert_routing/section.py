"""The section: whether experts are chosen by kind of token, the atlas as a figure and as a table, and what it does not say."""

import numpy as np
import pandas as pd

from analyses.expert_routing.summary import Atlas, Routes
from interp.axes import Stack
from interp.report import Figure, Finding, Headline, Heatmap, Panel, Section, Span, Table, judge
from interp.report.numbers import counted, percent, signed, untrained_twins, with_interval
from interp.statistics import largest

TITLE = "Experts by kind of token"
QUESTION = "Which tokens does each expert compute, and does the choice follow what kind of token it is?"

_FIGURE = "expert-routing-kinds"
_LIMITS = (
    "Who computes a token is not what it computes: experts of one kind of token may do the same as others, and the write of an "
    "expert is looked at in logit attribution, where each is a component.",
    "The kind of a token is one of a few, and a router may follow others that go with it, such as its place in the text or the "
    "piece itself: two copies of one piece share an expert in an untrained twin, too.",
    "An expert computes the first tokens of a text that choose it, up to its capacity (expert_capacity): whether a token is "
    "computed depends on those before it. While the host writes token by token no expert is ever full.",
    "The largest probability decides, so rounding may change who computes a token whose two best are nearly as probable.",
)


def present(atlas: Atlas) -> Section:
    """The section of one run.

    Args:
        atlas: the result.
    """
    figure = _figure(atlas)
    return Section(
        name="expert-routing",
        title=TITLE,
        question=QUESTION,
        findings=(_preference_sentence(atlas), *(_stack_sentence(stack, own) for stack, own in atlas.routes.items())),
        blocks=(figure, _experts(atlas), _layers(atlas)),
        limits=_LIMITS,
        headline=Headline(_plain(atlas), judge(atlas.preference), figure.name),
        highlights=(Finding(_with_interval(atlas), (_preference_sentence(atlas),)),),
        methods=(_method(atlas),),
        cites=("fedus2022",),
    )


def _plain(atlas: Atlas) -> str:
    value = float(atlas.preference.point)
    if np.isnan(value):
        return "Too few tokens of a kind to say whether experts are chosen by kind."
    often = "less" if value < 0 else "more"
    return f"Two tokens of one kind share an expert {often} often than two of different kinds: by {signed(value)} in probability."


def _with_interval(atlas: Atlas) -> str:
    one = atlas.preference
    plain = _plain(atlas)
    value = with_interval(one, write=signed)
    return plain if np.isnan(one.point) else plain.replace(signed(float(one.point)), value)


def _preference_sentence(atlas: Atlas) -> str:
    if np.isnan(atlas.preference.point):
        return "No prompt has two tokens of one kind and two of different kinds, so nothing is said about the choice of experts."
    return (
        f"Two tokens of one prompt share an expert with a probability that is {with_interval(atlas.preference, write=signed)} "
        f"larger if they are of one kind than if they are of two ({untrained_twins(atlas.preference, write=signed)}), mean over "
        "all layers with experts."
    )


def _stack_sentence(stack: Stack, routes: Routes) -> str:
    layer, expert, kind = np.unravel_index(largest(routes.kinds.point.ravel())[0], routes.kinds.point.shape)
    chosen = routes.kinds[int(layer), int(expert), int(kind)]
    tokens = routes.tokens[int(layer), int(expert)]
    return (
        f"In the {stack} the largest share of a kind goes to {_name(stack, routes, int(layer), int(expert))}, which computes "
        f"{with_interval(chosen)} of the {routes.categories[int(kind)]} tokens and {with_interval(tokens)} of all; no expert "
        f"computes {percent(float(routes.nobody.point.mean()))} of the tokens."
    )


def _name(stack: Stack, routes: Routes, layer: int, expert: int) -> str:
    """The label that the expert has as a component: `DL1E3`."""
    return f"{stack[0].upper()}L{routes.layers[layer]}E{expert}"


def _figure(atlas: Atlas) -> Figure:
    panels = tuple(
        Panel(
            title=f"{stack} layer {number}",
            values=routes.kinds.point[layer],
            row_labels=tuple(map(str, range(atlas.n_experts))),
            column_labels=routes.categories,
            row_axis="expert",
            column_axis="kind of token",
        )
        for stack, routes in atlas.routes.items()
        for layer, number in enumerate(routes.layers)
    )
    return Figure(
        name=_FIGURE,
        caption=(
            "Of the tokens of a kind, the share that an expert computes, mean over sentences; what is missing to 1 in a column "
            "no expert computes. The kind of a decoder row is that of the token it predicts."
        ),
        alt=_plain(atlas),
        chart=Heatmap(panels, "share of the kind's tokens", lower=0.0, upper=1.0),
    )


def _experts(atlas: Atlas) -> Table:
    rows = []
    for stack, routes in atlas.routes.items():
        for layer in range(len(routes.layers)):
            for expert in range(atlas.n_experts):
                shares = routes.kinds.point[layer, expert]
                rows.append({
                    "expert": _name(stack, routes, layer, expert),
                    **routes.tokens[layer, expert].columns("tokens"),
                    "probability": float(routes.probability.point[layer, expert]),
                    **dict(zip(routes.categories, shares.tolist(), strict=True)),
                })
    return Table(
        name="expert-routing-atlas",
        caption=(
            "A row is an expert (DL1E3: decoder layer 1, expert 3). Tokens: the share of all tokens that it computes, with its "
            "interval and that of untrained twins; probability: its mean where it computes, which its output is "
            "multiplied by; the other columns: the share of the tokens of that kind."
        ),
        frame=pd.DataFrame(rows),
        spans=(Span.of("tokens"),),
        opened=True,
    )


def _layers(atlas: Atlas) -> Table:
    rows = [
        {
            "layer": f"{stack} {number}",
            **routes.preference[layer].columns("preference"),
            **routes.nobody[layer].columns("no expert"),
        }
        for stack, routes in atlas.routes.items()
        for layer, number in enumerate(routes.layers)
    ]
    return Table(
        name="expert-routing-layers",
        caption=(
            "A row is a layer with experts. Preference: how much more often two tokens of one prompt share an expert if they are "
            "of one kind; no expert: the share of tokens that came when their expert was full."
        ),
        frame=pd.DataFrame(rows),
        spans=(Span.of("preference"), Span.of("no expert")),
    )


def _method(atlas: Atlas) -> str:
    room = "any number of tokens" if atlas.capacity is None else f"at most {atlas.capacity} tokens of one text"
    return (
        f"A layer has {atlas.n_experts} experts; its router chooses the most probable one for every token, and an expert "
        f"computes {room}. Shares are taken within a prompt, padding left out, then over prompts that share a sentence, then "
        f"over {counted(atlas.n_sentences, 'sentence')}; brackets are 95 % bootstrap intervals over sentences, the control is "
        f"{atlas.n_twins} untrained models of the same shape on the same texts. Preference compares pairs of tokens of one "
        "prompt, so it is 0 on average where the choice has nothing to do with the kind, however few tokens there are."
    )
