"""The section: sentences first, then the evidence, then what the evidence does not support."""

import numpy as np

from analyses.core.contract import Example
from analyses.cross_attention_focus.measure.category_mass import VERSIONS
from analyses.cross_attention_focus.present.best_heads import head_sentence, told
from analyses.cross_attention_focus.present.explorer import attention_patterns, explorer
from analyses.cross_attention_focus.present.figures import example_figure, head_figure, mass_figure, shape_figures
from analyses.cross_attention_focus.present.flow import flow_figures, flow_sentence, flow_tables, gradient_sentence
from analyses.cross_attention_focus.present.glance import headline, highlights
from analyses.cross_attention_focus.present.hypothesis import claim_sentence, norm_sentence
from analyses.cross_attention_focus.present.tables import tables
from analyses.cross_attention_focus.present.token_swaps import swap_figure, swap_sentences, swap_table
from analyses.cross_attention_focus.summary import Focus
from interp.report import Block, Page, Section, View
from interp.report.numbers import between, control_range, counted, with_interval
from interp.report.views import head_view

TITLE = "Cross-attention focus"
QUESTION = (
    "What does each decoder layer read from the encoder: the task prefix, the content, or the end of the sentence?"
)

_ATTENTION_LIMITS = (
    "Attention is not importance: a token can be read without mattering and matter without being read (Jain and Wallace 2019; "
    "Wiegreffe and Pinter 2019), and weights are not even identifiable when there are more source tokens than d_head (Brunner et "
    "al. 2020). Pair these figures with the norm-weighted version here and with interventions.",
)
_SPECIAL_LIMITS = (
    "Translation models park weight on tokens without information, such as end of sentence, to regulate how much they take from "
    "the source against the target prefix (Ferrando and Costa-jussà 2021); the masked version leaves such tokens out, at the "
    "price of resting on the retained mass only.",
)
_PREFIX_LIMITS = (
    "By these layers a source token's vector already holds its neighbors: reading a prefix token may be reading the sentence.",
)
_FLOW_LIMITS = (
    "ALTI+ leaves feed-forward layers out and measures mixing, not effect; rollout assumes that every residual keeps half; "
    "Chefer's relevance follows one logit's gradient and is no share.",
)
_SWAP_LIMITS = (
    "An exchanged token is followed under teacher forcing with the original target, which after the first row disagrees with it.",
)
_TEXT_LIMITS = (
    "Content and function words are told apart by the word list of the text's language (see the prompts); in a language without "
    "a list all words count as content.",
    "The unit is the sentence: prompts that share one are averaged first, so what differs between their target languages is not "
    "seen here. Sentences of one set are alike, and intervals hold for sentences like these.",
)


def _limits(focus: Focus) -> tuple[str, ...]:
    """What the evidence does not support, of what there is."""
    categories = focus.masses["raw"].categories
    return (
        *_ATTENTION_LIMITS,
        *(_SPECIAL_LIMITS if {"prefix", "eos"} & set(categories) else ()),
        *(_PREFIX_LIMITS if "prefix" in categories else ()),
        *_FLOW_LIMITS,
        *(_SWAP_LIMITS if focus.swaps else ()),
        *_TEXT_LIMITS,
    )


def present(focus: Focus) -> Section:
    """The section of a summary."""
    blocks: list[Block] = [mass_figure(focus, version) for version in VERSIONS]
    blocks += [head_figure(focus, version) for version in VERSIONS]
    blocks += [*shape_figures(focus), *flow_figures(focus)]
    blocks += [*tables(focus), *flow_tables(focus)]
    blocks += [swap_figure(focus), swap_table(focus)] if focus.swaps else []
    figure = example_figure(focus.example)
    title = f"Prompt {focus.example.id}, layer by layer"
    blocks += [figure, explorer(focus.example, title, figure.name)]
    return Section(
        name="cross-attention-focus",
        title=TITLE,
        question=QUESTION,
        findings=findings(focus),
        blocks=tuple(blocks),
        limits=_limits(focus),
        pages=(_heads_page(focus.example),),
        headline=headline(focus),
        highlights=highlights(focus),
        cites=("kobayashi2020", "abnar2020", "ferrando2022", "chefer2021", "page1963"),
        methods=(_how_to_read(focus),),
    )


def _heads_page(example: Example) -> Page:
    """The example's heads as BertViz draws them."""
    title = f"Cross-attention heads of prompt {example.id} (BertViz)"
    view = View(
        "cross-focus-bertviz",
        title,
        head_view(attention_patterns(example), "cross", name="cross-focus"),
        fallback="The report has the first and the last layer as a figure.",
    )
    return Page("cross-attention-heads", title, "Every head of one prompt; point at a token.", (view,))


def findings(focus: Focus) -> tuple[str, ...]:
    """What was found, the answer to the usual claim first."""
    sentences = [claim_sentence(focus), norm_sentence(focus), _span_sentence(focus), flow_sentence(focus)]
    sentences += [gradient_sentence(focus.gradients)] if focus.gradients else []
    sentences += [head_sentence(best) for best in focus.heads if told(best)]
    return (*(sentence for sentence in sentences if sentence is not None), *swap_sentences(focus))


def _how_to_read(focus: Focus) -> str:
    origin = {
        "given": "The targets were given and fed to the decoder (teacher forcing).",
        "generated": (
            "No targets were given: the model's own greedy output was fed back as teacher forcing, to the untrained twins too."
        ),
    }[focus.target_origin]
    return (
        f"{origin} Masses are means over decoder rows within each of {counted(focus.n_prompts, 'prompt')}, then over "
        f"prompts that share a sentence, then over {counted(focus.n_sentences, 'sentence')}; brackets are 95 % bootstrap "
        f"intervals over sentences; the control is {focus.n_twins} untrained models of the same shape on the same texts. "
        "Decoder row t reads target token t - 1 and predicts token t. Every reading is shown raw, masked to the content "
        "span (no prefix, no end of sentence) with the mass it retains, and weighted by the length of what is written. "
        "Weight on padding was checked to be exactly 0."
    )


def _span_sentence(focus: Focus) -> str | None:
    """How much of the reading the masked version keeps, and how sharp it is there."""
    if not {"prefix", "eos"} & set(focus.masses["raw"].categories):
        return None
    retained, entropy = focus.shapes["raw.layer.retained"], focus.shapes["raw.head.span_entropy"]
    last = focus.n_layers - 1
    heads, twins = entropy.point[last], entropy.controls[:, last]
    chance = f"{control_range(retained[0])} and {control_range(retained[last])}"
    kept = (
        f"Without prefix and end of sentence, layer 0 keeps {with_interval(retained[0])} of its mass and layer {last} "
        f"{with_interval(retained[last])} (untrained twins {chance})"
    )
    if not np.isfinite(heads).any():  # a single word has no spread
        return f"{kept}."
    return (
        f"{kept}; there the normalized entropy of the last layer's heads runs from {between(np.nanmin(heads), np.nanmax(heads))} "
        f"(twins {between(twins.min(), twins.max())})."
    )
