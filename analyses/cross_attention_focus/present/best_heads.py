"""The heads that do one thing most, in sentences."""

from analyses.cross_attention_focus.measure.best_heads import BestHead
from analyses.cross_attention_focus.present.hypothesis import CATEGORY_NAMES
from interp.report.numbers import control_range, fixed, with_interval


def told(best: BestHead) -> bool:
    """Whether the findings tell of it; the tables have all."""
    return best.what in ("prefix", "content", "eos", "forward") and not is_everything(best.base_rate)


def stands_out(best: BestHead) -> bool:
    """Whether its whole interval lies above whatever the best head of one more untrained twin may have."""
    return bool(best.value.low > best.value.control_bounds[1])


def is_everything(base_rate: float | None) -> bool:
    """Whether there is nothing else to read than tokens of this base rate."""
    return base_rate is not None and base_rate > 1 - 1e-6


def head_sentence(best: BestHead) -> str:
    """What it does most, with its base rate and its controls."""
    does = "reads most steadily forward" if best.what == "forward" else f"reads {CATEGORY_NAMES[best.what]} most"
    twins = f"the best heads of untrained twins {control_range(best.value)}"
    if best.base_rate is None:
        numbers = f"Kendall's tau of its center with the decoder row {with_interval(best.value)}; {twins}"
    else:
        numbers = f"{with_interval(best.value)} of its attention; base rate {fixed(best.base_rate)}; {twins}"
    norm = "" if best.norm is None else f"; weighted by the length of what it writes {with_interval(best.norm)}"
    verdict = "" if stands_out(best) else ", so no head stands out in this"
    return (
        f"Of {best.n_heads} heads, {best.head} {does} (chosen on the first half of the sentences, measured on the second): "
        f"{numbers}{verdict}{norm}."
    )
