"""Keys: equal texts and no others share one, however their short checksums fall."""

from zlib import crc32

import numpy as np

from analyses.core.contract import Observed, Pass
from analyses.core.keys import keys_of, means_by_key, prompt_keys, rows_by_key, sentence_keys
from analyses.head_specialization import HeadSettings, observe
from analyses.head_specialization.measure.observe import hooks_on
from analyses.head_specialization.roles.criteria import independent_texts
from interp.model.hooked_model import HookedEncoderDecoder


def _checksum(ids: tuple[int, ...]) -> int:
    return crc32(repr((ids,)).encode()) & (2**24 - 1)


def test_two_texts_with_one_checksum_of_24_bits_stay_apart(tiny_byt5: HookedEncoderDecoder) -> None:
    """What was their identity once: the checksum of their tokens, small enough for single precision."""
    first: dict[int, str] = {}
    pair = next(
        (first[checksum], text)
        for number in range(40_000)
        for text in [f"{number} {number * number % 99_991}"]
        for checksum in [_checksum((*(byte + 3 for byte in text.encode()), 1))]
        if first.setdefault(checksum, text) != text
    )
    batch = tiny_byt5.batch([*pair, pair[0]], ["one", "two", "one"])
    assert len({_checksum(text.ids) for text in batch.source_texts}) == 1
    logits, cache = tiny_byt5.run_with_cache(batch, list(hooks_on(tiny_byt5.cfg)))
    arrays = observe(Pass(tiny_byt5, batch, logits, cache, HeadSettings()))
    entropy = independent_texts(Observed(arrays, {})).prompts["encoder.entropy"]
    np.testing.assert_allclose(entropy, arrays["encoder.entropy"][:2], rtol=1e-6)


def test_five_thousand_texts_have_five_thousand_keys() -> None:
    texts = [f"translate English to German: Sentence number {number}." for number in range(5000)]
    rows = rows_by_key(keys_of(texts + texts[:10]))
    assert [shared.tolist() for shared in rows] == [
        [number, 5000 + number] if number < 10 else [number] for number in range(5000)
    ]


def test_means_are_over_the_prompts_of_a_key_that_have_a_value() -> None:
    rows = rows_by_key(keys_of(["b", "a", "b", "b"]))
    assert means_by_key(np.array([1.0, 7.0, np.nan, 2.0]), rows).tolist() == [1.5, 7.0]


def test_languages_of_a_sentence_share_its_key_and_other_sentences_do_not(bundled: HookedEncoderDecoder) -> None:
    sources = ["translate English to German: A dog runs.", *["translate English to French: A dog runs."] * 2]
    sources.append("translate English to French: A cat runs.")
    batch = bundled.batch(sources, ["Hund.", "Chien.", "Le chien.", "Chat."])
    assert [shared.tolist() for shared in rows_by_key(sentence_keys(batch))] == [[0, 1, 2], [3]]
    assert [len(rows_by_key(prompt_keys(batch, kind))) for kind in ("encoder", "decoder", "cross")] == [3, 4, 4]


def test_rows_that_share_any_key_are_one_observation_through_others_too() -> None:
    texts, sentences = keys_of("aabcd"), keys_of("xyyzw")
    assert [shared.tolist() for shared in rows_by_key(texts, sentences)] == [[0, 1, 2], [3], [4]]
