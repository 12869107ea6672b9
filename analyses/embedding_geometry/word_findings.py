"""What was found about words and whole tables, in sentences that carry their numbers."""

import numpy as np

from analyses.embedding_geometry.summary import EmbeddingGeometry
from analyses.embedding_geometry.whole_table import TableGeometry

SIGNIFICANT = 0.05

_LARGE = 0.8
"""Cohen's own word for a difference of this size."""


def word_findings(result: EmbeddingGeometry) -> tuple[str, ...]:
    """Groups, their rival explanation, neighbours, and the whole vocabulary."""
    return (*_groups(result), *_matched(result), _neighbours(result), _vocabulary(result), _frequency(result))


def _groups(result: EmbeddingGeometry) -> tuple[str, ...]:
    primary = result.comparisons[0]
    test = primary.test
    if test is None:
        return (
            f"The groups cannot be compared by {primary.words}: only {primary.n_words} of {len(result.words)} words are "
            "one piece.",
        )
    effects = [twin.effect for twin in primary.twins]
    numbers = (
        f"mean cosine {test.observed.within:.3f} within groups and {test.observed.between:.3f} between, difference "
        f"{test.observed.effect:.3f} [{test.low.effect:.3f}, {test.high.effect:.3f}], p = {test.p_effect:.2g} over "
        f"{test.permutations} random labellings; untrained twins {min(effects):.3f} to {max(effects):.3f}"
    )
    place = f"in the {primary.correction} {primary.space} ({primary.n_words} {primary.words})"
    if test.p_effect > SIGNIFICANT:
        verdict = f"Groups do not lie apart beyond chance {place}: {numbers}."
    elif test.low.effect > 0:
        verdict = f"Words lie nearer to their own group than to others {place}: {numbers}."
    else:
        verdict = (
            f"Words lie nearer to their own group than random labels would have it {place}, but the interval over words "
            f"reaches 0: {numbers}."
        )
    tested = [comparison.test for comparison in result.comparisons if comparison.test]
    agreeing = sum(other.p_effect <= SIGNIFICANT for other in tested)
    alone = "no more often than by chance" if test.p_leave_one_out > SIGNIFICANT else "more often than by chance"
    size = "small: " if abs(test.observed.cohens_d) < _LARGE else ""
    return (
        verdict,
        f"The effect is {size}{test.observed.cohens_d:.2f} standard deviations of pair cosines, silhouette "
        f"{test.observed.silhouette:.3f} (p = {test.p_silhouette:.2g}); the single nearest other word is of the same group for "
        f"{test.observed.leave_one_out:.0%} of these words, {alone} ({test.chance:.0%}, p = {test.p_leave_one_out:.2g}). Of "
        f"{len(tested)} ways to compare (spaces, corrections, with and without means of pieces), {agreeing} have an effect "
        f"with p of at most {SIGNIFICANT}.",
    )


def _matched(result: EmbeddingGeometry) -> tuple[str, ...]:
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
    subject = "Frequency" if matched.matched else "Chance"
    return (
        f"{subject} {verdict} the difference of {test.observed.effect:.3f}: {kind}, grouped in the same way, give "
        f"{matched.mean:.3f} [{matched.low:.3f}, {matched.high:.3f}] over {matched.draws} draws (p = {matched.p_value:.2g}).",
    )


def _neighbours(result: EmbeddingGeometry) -> str:
    nearer = sum(word.cosines["raw"][0] > max(word.twin_cosines["raw"]) for word in result.words)
    examples = ", ".join(
        f"{word.word}: {word.neighbours['raw'][0]} ({word.cosines['raw'][0]:.2f})" for word in result.words[:3]
    )
    twins = [cosine for word in result.words for cosine in word.twin_cosines["raw"]]
    return (
        f"For {nearer} of {len(result.words)} words the nearest piece in the raw input embedding is nearer than in any untrained "
        f"twin (there {min(twins):.2f} to {max(twins):.2f}); for example {examples}."
    )


def _vocabulary(result: EmbeddingGeometry) -> str:
    table = result.tables[0]
    numbers, twins = table.geometry, table.twins
    width = round((numbers.participation_ratio - 1) / numbers.iso_score) + 1
    return (
        f"Over the {numbers.pieces:.0f} pieces of the {table.space}, the mean cosine of all pairs is {numbers.anisotropy:.3f} "
        f"(untrained twins {min(t.anisotropy for t in twins):z.3f} to {max(t.anisotropy for t in twins):z.3f}), and the variance "
        f"spreads over {numbers.participation_ratio:.0f} of {width} directions (IsoScore {numbers.iso_score:.2f}, "
        "the same number on "
        f"another scale; twins {min(t.iso_score for t in twins):.2f} to {max(t.iso_score for t in twins):.2f}). "
        f"{_two_tables(result)}"
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
        f"Input and output embedding {shared}: the rows of a piece have a mean cosine of {result.same_row_cosine:.2f}, and the "
        f"{other.space} has a mean cosine of {other.geometry.anisotropy:.3f} and an IsoScore of {other.geometry.iso_score:.2f}."
    )


def _frequency(result: EmbeddingGeometry) -> str:
    numbers, twins = result.tables[0].geometry, result.tables[0].twins
    skews = [twin.hub_skewness for twin in twins]
    hubs = (
        f"Nearest-neighbour lists have hubs: skewness {numbers.hub_skewness:.2f}, {numbers.hub_skewness_centred:.2f} "
        "after centring "
        f"(untrained twins {min(skews):.2f} to {max(skews):.2f}); the strongest is {result.hubs[0].piece}, in "
        f"{result.hubs[0].count} lists."
    )
    if numbers.norm_and_frequency != numbers.norm_and_frequency:
        return f"{hubs} The tokenizer ({result.tokenizer_kind}) keeps no frequencies, so their part cannot be told."
    correlations = [twin.norm_and_frequency for twin in twins]
    return (
        f"{hubs} Frequent pieces have {'longer' if numbers.norm_and_frequency > 0 else 'shorter'} rows (rank correlation "
        f"{numbers.norm_and_frequency:.2f}; untrained twins {min(correlations):.2f} to {max(correlations):.2f}), yet "
        "log frequency "
        f"explains {numbers.frequency_share:.1%} of the variance, and without it the mean cosine is still "
        f"{numbers.anisotropy_without_frequency:.3f}.{_sentinels(numbers)}"
    )


def _sentinels(numbers: TableGeometry) -> str:
    """How long the rows of sentinels are; not every tokenizer has some."""
    if np.isnan(numbers.norm_of_sentinels):
        return ""
    return (
        f" Sentinels, left out of all this, have rows of length {numbers.norm_of_sentinels:.1f} against "
        f"{numbers.norm_mean:.1f} of pieces."
    )
