"""Does a model do its task: translation scores by corpus and language, and whether the task prefix decides the language.

Scores are BLEU (Papineni et al. 2002) and chrF (Popović 2015) as sacreBLEU computes them (Post 2018), with the signatures that
make them comparable. The prefix-swap rate is the share of sources that come out in another language when the prefix asks for
it: only if it is near 1 is the prefix something that heads must read. Language is told by naive Bayes over the 1- to 3-grams of
characters (Cavnar and Trenkle 1994 use the same evidence), trained on the references of the same pairs; its own error on them, by
cross-validation, is part of the result, because the rate cannot be trusted beyond it.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from interp.errors import InputError
from interp.text.generation_settings import empty_cache, own_settings
from interp.text.translation_pairs import TranslationPair

FOLDS = 10
"""Parts of the cross-validation that measures the language classifier."""


@dataclass(frozen=True, slots=True)
class Score:
    """Translation quality on the pairs of one corpus and target language.

    Attributes:
        corpus: the corpus, as named in the pairs.
        language: code of the target language.
        sentences: how many pairs.
        bleu: sacreBLEU's BLEU, 0 to 100, cased and detokenized.
        chrf: sacreBLEU's chrF2, 0 to 100.
        bleu_signature: how BLEU was computed, sacreBLEU's words.
        chrf_signature: how chrF was computed.
    """

    corpus: str
    language: str
    sentences: int
    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str


@dataclass(frozen=True, slots=True)
class PrefixSwap:
    """How often another prefix gives another language.

    Attributes:
        sources: translations with a swapped prefix: every source, once for each other language.
        switched: share of them that the classifier assigns to the language the swapped prefix names, 0 to 1.
        reference_error: share of the references that the classifier assigns to a wrong language, by cross-validation.
        missed: up to 20 of the translations that did not switch, as (swapped source, translation).
    """

    sources: int
    switched: float
    reference_error: float
    missed: tuple[tuple[str, str], ...]


def translate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sources: Sequence[str],
    beams: int = 4,
    batch_size: int = 64,
    first_token: int | None = None,
) -> tuple[str, ...]:
    """Translations of texts, in their order, by beam search without sampling.

    Args:
        model: an encoder-decoder of transformers; it is left in the mode it was in.
        tokenizer: its tokenizer.
        sources: texts with their task prefixes.
        beams: beam width; 1 is greedy search.
        batch_size: sources decoded together; batches are made of sources of like length.
        first_token: the token of the target's language, in models that mark it.
    """
    order = sorted(range(len(sources)), key=lambda index: (len(sources[index]), index))
    translations = [""] * len(sources)
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            inputs = tokenizer([sources[index] for index in chosen], return_tensors="pt", padding=True).to(model.device)
            settings = _settings(model, beams, 2 * inputs["input_ids"].shape[1] + 10, first_token)
            with torch.no_grad(), own_settings(model, settings):
                ids = model.generate(
                    input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], **empty_cache()
                )
            texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
            for index, text in zip(chosen, texts, strict=True):
                translations[index] = text
    finally:
        model.train(was_training)
    return tuple(translations)


def _settings(model: PreTrainedModel, beams: int, most: int, first_token: int | None) -> GenerationConfig:
    """The checkpoint's own settings, as it was made to translate, with this beam width and length."""
    settings = copy.deepcopy(model.generation_config)
    # A length with the start token.
    settings.update(num_beams=beams, do_sample=False, max_new_tokens=None, max_length=most + 1)
    settings.update(min_length=min(settings.min_length or 0, most))
    if beams == 1:
        settings.update(early_stopping=False, length_penalty=1.0)
    if first_token is not None:
        settings.update(forced_bos_token_id=first_token)
    return settings


def score_texts(pairs: Sequence[TranslationPair], translations: Sequence[str]) -> tuple[Score, ...]:
    """Scores of translations, one for each corpus and target language, sorted by both.

    Args:
        pairs: the references.
        translations: one for each pair, e.g. `translate(model, tokenizer, [pair.source for pair in pairs])`.
    """
    bleu, chrf = BLEU(), CHRF()

    def place(item: tuple[TranslationPair, str]) -> tuple[str, str]:
        return item[0].corpus, item[0].language

    scores = []
    for (corpus, language), items in groupby(sorted(zip(pairs, translations, strict=True), key=place), key=place):
        group = list(items)
        texts, references = [text for _, text in group], [[pair.target for pair, _ in group]]
        bleu_score, chrf_score = (float(metric.corpus_score(texts, references).score) for metric in (bleu, chrf))
        signatures = str(bleu.get_signature()), str(chrf.get_signature())
        scores.append(Score(corpus, language, len(group), bleu_score, chrf_score, *signatures))
    return tuple(scores)


def sentence_chrf(translation: str, reference: str) -> float:
    """SacreBLEU's chrF2 of one sentence, 0 to 100.

    Args:
        translation: the sentence.
        reference: what it should be.
    """
    return float(CHRF().sentence_score(translation, [reference]).score)


def prefix_swap(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[TranslationPair],
    beams: int = 4,
    batch_size: int = 64,
) -> PrefixSwap:
    """How often a source comes out in the other language when its prefix asks for that language.

    Args:
        model: an encoder-decoder of transformers.
        tokenizer: its tokenizer.
        pairs: sources with prefixes, and references in at least two languages, at least 10 pairs each.
        beams: beam width.
        batch_size: sources decoded together.

    Raises:
        InputError: if the pairs have fewer than two languages, too few pairs of one, or two prefixes for one language.
    """
    prefixes = check_swap(pairs)
    asked = [(pair, language) for pair in pairs for language in sorted(prefixes) if language != pair.language]
    sources, wanted = [prefixes[to] + pair.sentence for pair, to in asked], [language for _, language in asked]
    translations = translate(model, tokenizer, sources, beams, batch_size)
    classifier = language_classifier()
    references, languages = [pair.target for pair in pairs], [pair.language for pair in pairs]
    error = reference_error(references, languages)
    told = classifier.fit(references, languages).predict(list(translations))
    hits = told == np.array(wanted)
    missed = [(sources[index], translations[index]) for index in np.flatnonzero(~hits)[:20]]
    return PrefixSwap(len(sources), float(hits.mean()), error, tuple(missed))


def language_classifier() -> Pipeline:
    """An unfitted classifier of texts by language: naive Bayes over character 1- to 3-grams within words, equal priors."""
    return make_pipeline(
        CountVectorizer(analyzer="char_wb", ngram_range=(1, 3)), MultinomialNB(alpha=0.1, fit_prior=False)
    )


def reference_error(texts: Sequence[str], languages: Sequence[str]) -> float:
    """Share of `texts` that the classifier, trained on the others, assigns to a wrong language: 10-fold cross-validation.

    Texts that occur twice may be in both parts; references of test sets hardly ever do.

    Args:
        texts: texts of known language.
        languages: the language of each.
    """
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    told = cross_val_predict(language_classifier(), list(texts), np.array(languages), cv=folds)
    return float((told != np.array(languages)).mean())


def check_swap(pairs: Sequence[TranslationPair]) -> dict[str, str]:
    """The prefix of every language, where they can be swapped.

    Args:
        pairs: sources with prefixes, and references.

    Raises:
        InputError: if there are fewer than two languages, too few pairs of one, or two prefixes for one language.
    """
    if not all(pair.prefix for pair in pairs):
        raise InputError("Swapping prefixes needs sources with a task prefix; leave it out with --no-swap.")
    found: dict[str, str] = {}
    for pair in pairs:
        if found.setdefault(pair.language, pair.prefix) != pair.prefix:
            raise InputError(
                f"The pairs have two prefixes for {pair.language!r}, {found[pair.language]!r} and {pair.prefix!r}, so that a "
                "swap is ambiguous. Give pairs with one prefix for each language."
            )
    counts = {language: sum(pair.language == language for pair in pairs) for language in found}
    if len(found) < 2 or min(counts.values()) < FOLDS:
        had = ", ".join(f"{count} of {language!r}" for language, count in sorted(counts.items())) or "none"
        raise InputError(
            f"Swapping prefixes needs pairs of two languages or more, at least {FOLDS} of each; got {had}. Give more pairs."
        )
    return found
