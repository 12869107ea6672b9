"""Layer-wise relevance propagation through transformers, as gradients of a pass that runs under rules (Achtibat et al. 2024).

The relevance of an input is input x gradient, once the gradient is taken by these rules; forward, no value changes:

    norm                  its scale is a constant; a mean is not
    activation f(x)       x times the constant f(x) / x
    gate a * b            half of the gradient to each
    experts               who computes a token, and the weight of what it writes, are constants
    attention A v         attnlrp: half to A and half to v, half of what reaches q.k to each; the softmax as it is
                          attnlrp-held: A is a constant, that is q, k and position biases are held

Under the second set of rules the logits are linear in embeddings, positions and biases, so that their relevances add up to the
explained number, exactly. Under the first they do not, because a softmax is no product with its input, and the gap is stated.
What belongs to no token stands beside: positions (embeddings of them, or biases of scores) and biases of layers.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from interp.axes import Stack
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.hooks.hook_point import HookFunction, HookPoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import unembedding_bias
from interp.sources.question import Question

_STACKS: tuple[Stack, ...] = ("encoder", "decoder")
_POSITIONS = ("hook_pos_embed", "position_bias")

Relevances = tuple[
    Float[Tensor, "row source"], Float[Tensor, "row prefix"], Float[Tensor, " row"], Float[Tensor, " row"]
]
"""Of the source tokens, of the decoder's input tokens, of all positions, of all biases."""


def why_no_attnlrp(cfg: ModelConfig) -> str | None:
    """Why relevance cannot go through queries and keys, in a sentence; None where it can.

    Args:
        cfg: the model's facts.
    """
    if not cfg.head_norms:
        return None
    return (
        f"AttnLRP holds the scale of every norm, and those of the queries and keys of {cfg.model_type} (head_norms=True) have no "
        "hook point; use attnlrp-held, which holds patterns."
    )


def propagate(model: HookedEncoderDecoder, question: Question, hold_patterns: bool) -> Relevances:
    """Relevances of source tokens and of the decoder's own, of positions and of biases.

    Args:
        model: the model.
        question: what is explained.
        hold_patterns: whether attention patterns are constants; else queries, keys and values share the relevance.

    Raises:
        InputError: if relevance is to go through queries and keys that norms of their own stand behind.
    """
    if not hold_patterns and (why := why_no_attnlrp(model.cfg)) is not None:
        raise InputError(why)
    points = model.hook_points()
    tokens = [f"{stack}.hook_embed" for stack in _STACKS]
    positions = [name for name in points if name.endswith(_POSITIONS)]
    biases = [one for name, one in model.hf.named_parameters() if name.endswith(".bias")]
    with requiring_gradients(biases), model.hooks(_rules(model, hold_patterns)):
        logits, cache = model.run_with_cache(question.batch, [*tokens, *positions], gradients=True)
        values = question.read(logits)[0]
        leaves = [*(cache[name] for name in (*tokens, *positions)), *biases]
        rows = [_products(value, leaves) for value in values]
    source, target = (torch.stack([row[place].sum(-1)[0] for row in rows]) for place in range(2))
    first = 2 + len(positions)
    placed, biased = (
        torch.stack([sum((part.sum() for part in row[part_of]), values.new_zeros(())) for row in rows])
        for part_of in (slice(2, first), slice(first, None))
    )
    last = unembedding_bias(model)
    return source, target, placed, biased + last[question.tokens] - last[question.foils]


def _products(value: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """Input x gradient of every leaf."""
    gradients = torch.autograd.grad(value, leaves, retain_graph=True, allow_unused=True)
    return [
        torch.zeros_like(leaf) if gradient is None else (leaf * gradient).detach()
        for leaf, gradient in zip(leaves, gradients, strict=True)
    ]


def _rules(model: HookedEncoderDecoder, hold_patterns: bool) -> list[tuple[str, HookFunction]]:
    """The rules, at the points where they hold."""
    inputs: dict[str, Tensor] = {}

    def remember(value: Tensor, hook: HookPoint) -> None:
        inputs[hook.name] = value

    def activation(value: Tensor, hook: HookPoint) -> Tensor:
        path = hook.name.removesuffix("post")
        return _through_activation(value, inputs.pop(f"{path}pre"), inputs.pop(f"{path}pre_linear", None))

    rules: list[tuple[str, HookFunction]] = [
        *((f"{stack}.hook_embed", _constant) for stack in _STACKS),  # what made it is not followed: it is the input
        ("*.hook_scale", _constant),
        ("*.mlp.hook_pre", remember),
        ("*.mlp.hook_post", activation),
    ]
    if model.cfg.gated_mlp:
        rules.append(("*.mlp.hook_pre_linear", remember))
    if model.cfg.n_experts:
        rules.append(("*.mlp.hook_expert_weights", _constant))
    if hold_patterns:
        return [*rules, ("*.hook_pattern", _constant)]
    return [*rules, *((f"*.hook_{leaf}", _halved) for leaf in ("q", "k", "v", "pattern"))]


def _constant(value: Tensor, hook: HookPoint) -> Tensor:
    return value.detach()


def _halved(value: Tensor, hook: HookPoint) -> Tensor:
    """The value, with half of its gradient."""
    return value.detach() + 0.5 * (value - value.detach())


def _through_activation(value: Tensor, entering: Tensor, factor: Tensor | None) -> Tensor:
    """What an activation (times a gate's other factor) gives, linear in what enters it; where that is 0, nothing comes of it."""
    parts = [entering] if factor is None else [entering, factor]
    result = value.detach()
    for part in parts:
        ratio = torch.where(part == 0, 0.0, value / part).detach()
        result = result + ratio / len(parts) * (part - part.detach())
    return result


@contextmanager
def requiring_gradients(parameters: list[Tensor]) -> Iterator[None]:
    """Frozen parameters that take part in gradients for a while.

    Args:
        parameters: which.
    """
    before = [one.requires_grad for one in parameters]
    for one in parameters:
        one.requires_grad_(True)
    try:
        yield
    finally:
        for one, required in zip(parameters, before, strict=True):
            one.requires_grad_(required)
