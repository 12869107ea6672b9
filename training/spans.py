"""Span corruption as T5 was pretrained with (Raffel et al. 2020, JMLR 21:140, section 3.1.4), and single hidden words.

Of a text of L tokens, round(0.15 L) are hidden, in spans of mean length 3: hidden and shown tokens are each cut into as many
random non-empty parts as there are spans, and the parts interleave. Every span gives way to one sentinel, whose ids descend, and
the target names each span after its sentinel.

Two choices. The released code begins with a shown part and so always hides the last token; of a sentence with one span that
would always be its end, so the hidden places can be rolled around the text by a random distance (`roll`, an option of the
released code too). And a sentinel closes the target where shown text follows the last span, as in the paper's figure and as the
released code does for such places; a text that ends in a span has none.
"""

import random
import re
from collections.abc import Sequence
from itertools import pairwise

CORRUPTION = 0.15
SPAN = 3
_WORD = re.compile(r"(?<!\S)\w+(?=[\s.,;:!?]|$)")


def hidden_places(length: int, draw: random.Random, roll: bool) -> list[bool]:
    """Which of `length` tokens are hidden, at least 1 and at most `length` - 1 of them.

    Args:
        length: tokens of the text, at least 2.
        draw: where chance comes from.
        roll: whether the places are moved around the text by a random distance.
    """
    hidden = min(max(round(CORRUPTION * length), 1), length - 1)
    spans = max(1, round(hidden / SPAN))
    places: list[bool] = []
    for shown_part, hidden_part in zip(_parts(length - hidden, spans, draw), _parts(hidden, spans, draw), strict=True):
        places += [False] * shown_part + [True] * hidden_part
    shift = draw.randrange(length) if roll else 0
    return places[shift:] + places[:shift]


def _parts(total: int, parts: int, draw: random.Random) -> list[int]:
    cuts = [0, *sorted(draw.sample(range(1, total), parts - 1)), total]
    return [end - begin for begin, end in pairwise(cuts)]


def corrupted(
    ids: Sequence[int], hidden: Sequence[bool], sentinels: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Source and target of a text whose `hidden` tokens are to be found, without `</s>`.

    Args:
        ids: the text.
        hidden: True at each token to hide.
        sentinels: ids of `<extra_id_0>`, `<extra_id_1>` and so on, which descend in T5's vocabulary; enough of them.
    """
    source: list[int] = []
    target: list[int] = []
    unused = iter(sentinels)
    before = False
    for token, gone in zip(ids, hidden, strict=True):
        if gone and not before:
            source.append(next(unused))
            target.append(source[-1])
        (target if gone else source).append(token)
        before = gone
    if not before:
        target.append(next(unused))
    return tuple(source), tuple(target)


def hide_word(text: str, draw: random.Random) -> tuple[str, str] | None:
    """`text` with `<extra_id_0>` in place of one word, and the word after its sentinel; None where no word stands alone.

    Words are hidden in the text, not in its tokens, so that a question typed by hand has the tokens of the examples.
    """
    words = list(_WORD.finditer(text))
    if len(words) < 2:
        return None
    word = draw.choice(words)
    closing = " <extra_id_1>" if word.end() < len(text) else ""
    return f"{text[: word.start()]}<extra_id_0>{text[word.end() :]}", f"<extra_id_0> {word[0]}{closing}"
