"""What is assumed, in sentences: which norms are held and what is a component differ with the model's norms and biases.

With one norm in the way of every write, the final one, and no biases (T5) the sentences are the shortest.
"""

from interp.attribution.components import has_biases
from interp.families.config import ModelConfig

FINAL_NORM = "the final norm"
"""What is held where one norm is in the way."""


def norms_held(cfg: ModelConfig) -> str:
    """The norms between a head of the decoder and the logits."""
    return FINAL_NORM if cfg.heads_add_to_stream else "the norms in its way"


def lengths(cfg: ModelConfig) -> str:
    """What the column of squared lengths is."""
    if not has_biases(cfg):
        return "Squared length is that of the component's write as a share of the final stream's."
    return (
        "Squared length is that of what has become of the component's write where the last norm measures the stream, as a share "
        "of the stream's, means taken off; what is added behind that norm has none."
    )


def encoder_writers(cfg: ModelConfig) -> str:
    """What stands in the table of encoder components."""
    if not has_biases(cfg):
        return "The encoder's embedding, heads and MLPs"
    return "The encoder's embedding, positions, heads, MLPs and biases, and the bias of the values,"


def lens_reading(cfg: ModelConfig) -> str:
    """How the rows of the decoder's depths are read."""
    if cfg.norm_place == "post":
        lens, held = "every layer's stream as it is, normed by its own layer", "all later norms held"
    else:
        lens, held = "the final norm taken anew at every depth", "the last layer's norm at every depth"
    return (
        f"logit lens ({lens}) and, beside it, the accumulated attribution of the logit difference ({held}), which is another "
        "curve."
    )


def norm_limit(cfg: ModelConfig) -> str:
    """Which norms are held, and what that hides."""
    if cfg.write_norms:
        held = (
            "The final norm, and of every write the norm that it passes before it is added (write_norms=True), are held at their "
            "values in this forward pass"
        )
    elif not has_biases(cfg):
        held = "The final norm is held at its value in this forward pass"
    elif cfg.norm_place == "pre":
        held = "The final norm, and the norm of the embedding where there is one, are held at their values in this forward pass"
    else:
        held = (
            "Every norm that a write passes on its way to the logits is held at its value in this forward pass, one behind "
            f"every later sublayer (norm_place={cfg.norm_place!r})"
        )
    return (
        f"{held}, so a component that writes where no logit looks, and thereby turns all others down, gets no share for it; "
        "the column of squared lengths shows which ones those could be."
    )


def family_limits(cfg: ModelConfig) -> tuple[str, ...]:
    """What else holds where logits are capped, or there are experts, biases, positions of their own or norms behind sublayers."""
    capped = (
        f"The host caps logits (logit_cap={cfg.logit_cap}), logit = c tanh(x / c). What is explained is x, the number before "
        "the cap, to which contributions add up; tables of logits, ranks and losses are of what the model gives.",
    )
    routed = (
        f"Routing is held: which of a layer's experts (n_experts={cfg.n_experts}) computes a token, and the probability that "
        "its output is multiplied by. Each expert is a component (DL1E3: decoder layer 1, expert 3), which writes 0 for the "
        "tokens of others; neurons are shown of the layers without experts alone.",
    )
    merged = (
        "A head of self-attention and the one of cross-attention of the same number are two sides of one head "
        "(merged_attention=True): one softmax is over target and source, and DL0H1 and XL0H1 are what it brings from either, "
        "exact terms of what it writes; taking weight from one side gives it to the other, which holding patterns hides.",
    )
    if not has_biases(cfg):
        facts = ((capped, cfg.logit_cap is not None), (routed, cfg.n_experts > 0), (merged, cfg.merged_attention))
        return tuple(sentence for sentences, holds in facts if holds for sentence in sentences)
    found = [
        "Biases (biases=True) are components of their own, which write the same whatever is read. The bias of the "
        "values is part of every head's contribution, because its pattern sums to 1, and a row of its own (value bias) among the "
        "encoder components. Untrained twins are made with biases of zero: for biases they are no control, so biases are not "
        "counted among the components that differ from them."
    ]
    if cfg.positions == "sinusoidal":
        found.append(
            f"Positions (positions={cfg.positions!r}) are a component of their own; they are no parameters, so every twin has "
            "the same."
        )
    elif cfg.positions == "learned":
        found.append(f"Positions (positions={cfg.positions!r}) are a component of their own, drawn anew in every twin.")
    if cfg.norm_place == "post":
        found.append(
            f"More is held with norm_place={cfg.norm_place!r} than with norm_place='pre', where a write passes the final norm "
            "alone: contributions of models of the two kinds are not to be compared, those of T5's family among them."
        )
    return tuple(found)


def sampled_limits(cfg: ModelConfig) -> tuple[str, ...]:
    """What the lenses read where no final norm stands behind the layers."""
    if cfg.norm_place == "pre":
        return ()
    return (
        f"With norm_place={cfg.norm_place!r} no final norm stands behind the layers: the logit lens, the readings of neurons' "
        "values and DecoderLens take every layer for the last one, whose own norm the stream or value has passed. What comes "
        "before the first layer is read as it is, normed or not.",
    )


def patching_limits(cfg: ModelConfig) -> tuple[str, ...]:
    """How the bundled pairs are read by models that know no task prefixes."""
    if cfg.reads_prefixes:
        return ()
    return (
        f"The minimal pairs are read without their task prefix (positions={cfg.positions!r}: a model that was made for none), "
        "and pairs that differ in nothing else are left out; their answers are German and French.",
    )


def side_by_side_limits(first: ModelConfig, second: ModelConfig) -> tuple[str, ...]:
    """What speaks against subtracting the contributions of two models."""
    if first.norm_place != second.norm_place:
        held = {"pre": "the final norm", "post": "every norm behind a sublayer"}
        return (
            f"Contributions under held norms are not the same quantity in both: with norm_place={first.norm_place!r} "
            f"{held[first.norm_place]} is held, with norm_place={second.norm_place!r} {held[second.norm_place]}. What ablation "
            "and patching do can be compared; who contributes how much cannot.",
        )
    if has_biases(first) != has_biases(second):
        return (
            "One model has biases (biases=True), which are components of their own, and the other has none: averages over all "
            "components divide by different numbers of them.",
        )
    return ()
