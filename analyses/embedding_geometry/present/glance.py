"""What the geometry of embeddings says at a glance and in five sentences."""

import numpy as np

from analyses.embedding_geometry.measure.contexts import ContextCurves
from analyses.embedding_geometry.measure.translation import TranslationRetrieval
from analyses.embedding_geometry.present.layer_findings import clouds_sentences, context_sentence, senses_sentence
from analyses.embedding_geometry.present.translation_blocks import CSLS, most_hits, translation_findings
from analyses.embedding_geometry.present.word_figures import map_figure
from analyses.embedding_geometry.present.word_findings import (
    SIGNIFICANT,
    groups_sentences,
    matched_sentences,
    neighbors_sentence,
)
from analyses.embedding_geometry.summary import EmbeddingGeometry
from interp.report import Finding, Headline, judge
from interp.report.numbers import fixed, percent, with_interval

_TOO_FEW = "The groups of words cannot be compared: too few of them are one piece."


def headline(result: EmbeddingGeometry) -> Headline:
    """Whether words lie nearer to their own group than to others."""
    if result.map is None:
        return Headline("No words are compared: the prompts give no two groups of them.", "not judged")
    figure = map_figure(result, result.map).name
    primary = result.comparisons[0]
    if primary.test is None:
        return Headline(_TOO_FEW, "not judged", figure)
    holds = primary.test.p_values["effect"] <= SIGNIFICANT
    sentence = f"{_verdict(result)}: the difference in mean cosine is {fixed(primary['effect'].point, 3)}."
    return Headline(sentence, judge(primary["effect"], holds), figure)


def highlights(result: EmbeddingGeometry) -> tuple[Finding, ...]:
    """Groups, neighbors, the cloud of tokens, context, translations; what is not asked of a model is left out."""
    return (
        *((*_groups(result), _neighbors(result)) if result.words else ()),
        *_cloud(result),
        *((_context(result.contexts, result.start),) if result.contexts else ()),
        *((_translation(result.translation),) if result.translation else ()),
    )


def _verdict(result: EmbeddingGeometry) -> str:
    primary = result.comparisons[0]
    apart = primary.test is not None and primary.test.p_values["effect"] <= SIGNIFICANT and primary["effect"].point > 0
    return "Words lie nearer to their own group than to others" if apart else "Groups do not lie apart beyond chance"


def _groups(result: EmbeddingGeometry) -> tuple[Finding, ...]:
    behind = (*groups_sentences(result), *matched_sentences(result))
    if result.comparisons[0].test is None:
        return (Finding(_TOO_FEW, behind),)
    difference = with_interval(result.comparisons[0]["effect"], 3)
    return (Finding(f"{_verdict(result)}: the difference in mean cosine is {difference}.", behind),)


def _neighbors(result: EmbeddingGeometry) -> Finding:
    share = np.mean([bool(word.nearest["raw"].above_controls) for word in result.words])
    words = f"For {percent(share)} of the words the nearest piece is nearer than one more untrained twin would have it."
    return Finding(words, (neighbors_sentence(result),))


def _cloud(result: EmbeddingGeometry) -> tuple[Finding, ...]:
    """How narrow the last decoder space is; nothing where a run has too few sentences."""
    curve = result.layers.curves[0]
    if not np.isfinite(curve.point[-1]):
        return ()
    value = with_interval(curve[len(curve.point) - 1], 3)
    words = f"Tokens of different sentences have a mean cosine of {value} after the decoder's last layer."
    return (Finding(words, clouds_sentences(result)),)


def _context(contexts: ContextCurves, start: str) -> Finding:
    alike = with_interval(contexts.curves[0, -1])
    words = f"A word in different sentences keeps a cosine of {alike} beyond anisotropy in the encoder's last space."
    return Finding(words, (context_sentence(contexts, start), senses_sentence(contexts)))


def _translation(kinds: tuple[TranslationRetrieval, ...]) -> Finding:
    """The language whose words are found most often, where they are."""
    found = kinds[0]
    places = [most_hits(found, language) for language in range(len(found.languages))]
    best = max(range(len(places)), key=lambda language: float(found.accuracy.point[language, CSLS, places[language]]))
    share = with_interval(found.accuracy[best, CSLS, places[best]])
    meet = (
        "Where they meet best," if found.meeting(best) is not None else "Languages do not meet beyond chance: at best"
    )
    words = f"{meet} the nearest {found.languages[best]} word translates the English one in {share} of the cases."
    return Finding(words, tuple(sentence for one in kinds for sentence in translation_findings(one)))
