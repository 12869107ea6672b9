"""What was found about words and whole tables, in sentences that carry their numbers."""

import numpy as np

from analyses.embedding_geometry.summary import EmbeddingGeometry, StaticTable
from interp.report.numbers import between, control_range, fixed, significant, untrained_twins, with_interval

SIGNIFICANT = 0.05

_LARGE = 0.8
"""Cohen's own word for a difference of this size."""


def word_findings(result: EmbeddingGeometry) -> tuple[str, ...]:
    """Groups, their rival explanation, neighbors, and the whole vocabulary."""
    words = (*groups_sentences(result), *matched_sentences(result), neighbors_sentence(result)) if result.words else ()
    return (*words, _vocabulary(result), _frequency(result))


def groups_sentences(result: EmbeddingGeometry) -> tuple[str, ...]:
    """Whether words lie nearer to their own group, and how large and how steady that is."""
    primary = result.comparisons[0]
    test = primary.test
    if test is None:
        return (
            f"The groups cannot be compared by {primary.words}: only {primary.n_words} of {len(result.words)} words are "
            "one piece.",
        )
    effect, p_values = primary["effect"], test.p_values
    numbers = (
        f"mean cosine {fixed(test.observed.within, 3)} within groups and {fixed(test.observed.between, 3)} between, difference "
        f"{with_interval(effect, 3)}, p = {significant(p_values['effect'])} over {test.permutations} random labelings; "
        f"{untrained_twins(effect, 3)}"
    )
    place = f"in the {primary.correction} {primary.space} ({primary.n_words} {primary.words})"
    if p_values["effect"] > SIGNIFICANT:
        verdict = f"Groups do not lie apart beyond chance {place}: {numbers}."
    elif effect.low > 0:
        verdict = f"Words lie nearer to their own group than to others {place}: {numbers}."
    else:
        verdict = (
            f"Words lie nearer to their own group than random labels would have it {place}, but the interval over words "
            f"reaches 0: {numbers}."
        )
    tested = [comparison.test for comparison in result.comparisons if comparison.test]
    agreeing = sum(other.p_values["effect"] <= SIGNIFICANT for other in tested)
    chance = "no more often than by chance" if p_values["leave_one_out"] > SIGNIFICANT else "more often than by chance"
    size = "small: " if abs(test.observed.cohens_d) < _LARGE else ""
    return (
        verdict,
        f"The effect is {size}{fixed(test.observed.cohens_d)} standard deviations of pair cosines, silhouette "
        f"{fixed(test.observed.silhouette, 3)} (p = {significant(p_values['silhouette'])}); the single nearest other word is of "
        f"the same group for {test.observed.leave_one_out:.0%} of these words, {chance} ({test.chance:.0%}, p = "
        f"{significant(p_values['leave_one_out'])}). Of {len(tested)} ways to compare (spaces, corrections, with and without "
        f"means of pieces), {agreeing} have an effect with p of at most {SIGNIFICANT}.",
    )


def matched_sentences(result: EmbeddingGeometry) -> tuple[str, ...]:
    """Whether frequency alone could place the words so."""
    matched, test = result.matched, result.comparisons[0].test
    if matched is None or test is None:
        return ()
    kind = (
        "everyday words of like frequency"
        if matched.matched
        else f"random everyday words (this tokenizer, {result.tokenizer_kind}, keeps no frequencies)"
    )
    verdict = "does not explain" if matched.p_value <= SIGNIFICANT else "may explain"
    return (
        f"{'Frequency' if matched.matched else 'Chance'} {verdict} the difference of {fixed(test.observed.effect, 3)}: {kind}, "
        f"grouped in the same way, give {with_interval(matched.effect, 3)} over {matched.effect.count} draws (p = "
        f"{significant(matched.p_value)}).",
    )


def neighbors_sentence(result: EmbeddingGeometry) -> str:
    """For how many words the nearest piece is nearer than one more twin would have it.

    The nearest of the twins alone would be left behind by one of k + 1 words of a model that learnt nothing.
    """
    nearest = [word.nearest["raw"] for word in result.words]
    nearer = sum(bool(found.above_controls) for found in nearest)
    first = [(word.word, *word.neighbors["raw"][0]) for word in result.words[:3]]
    examples = ", ".join(f"{word}: {piece} ({fixed(cosine)})" for word, piece, cosine in first)
    lowest, highest = min(found.control_low for found in nearest), max(found.control_high for found in nearest)
    return (
        f"For {nearer} of {len(result.words)} words the nearest piece in the raw input embedding is nearer than one more "
        f"untrained twin would have it (95 % prediction interval; twins {between(float(lowest), float(highest))}); for example "
        f"{examples}."
    )


def _vocabulary(result: EmbeddingGeometry) -> str:
    table = result.tables[0]
    numbers, statistics = table.geometry, table.statistics
    if not np.isfinite(numbers.participation_ratio):
        return f"All {numbers.pieces:.0f} pieces of the {table.space} have one and the same row. {_two_tables(result)}"
    return (
        f"Over the {numbers.pieces:.0f} pieces of the {table.space}, the mean cosine of all pairs is "
        f"{fixed(numbers.anisotropy, 3)} ({untrained_twins(statistics['anisotropy'], 3)}), and the variance spreads over "
        f"{numbers.participation_ratio:.0f} of {result.cfg.d_model} directions (IsoScore {fixed(numbers.iso_score)}, the same "
        f"number on another scale; twins {control_range(statistics['iso_score'])}). {_two_tables(result)}"
    )


def _two_tables(result: EmbeddingGeometry) -> str:
    if len(result.tables) == 1:
        return (
            "Input and output embedding are one table: they share one tensor, and norm_place="
            f"{result.cfg.norm_place!r} leaves no final gain between them."
        )
    other = result.tables[1]
    shared = "share one tensor but for the final gain" if result.tied else "are two tensors"
    return (
        f"Input and output embedding {shared}: the rows of a piece have a mean cosine of {fixed(result.same_row_cosine)}, and "
        f"the {other.space} has a mean cosine of {fixed(other.geometry.anisotropy, 3)} and an IsoScore of "
        f"{fixed(other.geometry.iso_score)}."
    )


def _frequency(result: EmbeddingGeometry) -> str:
    numbers, statistics = result.tables[0].geometry, result.tables[0].statistics
    hubs = (
        f"Nearest-neighbor lists have hubs: skewness {fixed(numbers.hub_skewness)}, {fixed(numbers.hub_skewness_centered)} after "
        f"centring ({untrained_twins(statistics['hub_skewness'])}); the strongest is {result.hubs[0].piece}, in "
        f"{fixed(result.hubs[0].lists, 0)} lists."
    )
    if np.isnan(numbers.norm_and_frequency):
        return f"{hubs} The tokenizer ({result.tokenizer_kind}) keeps no frequencies, so their part cannot be told."
    return (
        f"{hubs} Frequent pieces have {'longer' if numbers.norm_and_frequency > 0 else 'shorter'} rows (rank correlation "
        f"{fixed(numbers.norm_and_frequency)}; {untrained_twins(statistics['norm_and_frequency'])}), yet log frequency explains "
        f"{numbers.frequency_share:.1%} of the variance, and without it the mean cosine is still "
        f"{fixed(numbers.anisotropy_without_frequency, 3)}.{_sentinels(result.tables[0])}"
    )


def _sentinels(table: StaticTable) -> str:
    """How long the rows of sentinels are; not every tokenizer has some."""
    if np.isnan(table.geometry.norm_of_sentinels):
        return ""
    return (
        f" Sentinels, left out of all this, have rows of length {fixed(table.geometry.norm_of_sentinels, 1)} against "
        f"{fixed(table.geometry.norm_mean, 1)} of pieces."
    )
