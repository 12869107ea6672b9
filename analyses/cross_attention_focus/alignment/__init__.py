"""Do heads, layers and flows point at the source word that a target word translates?

Word alignments are read off any matrix of decoder rows by source tokens and scored against links drawn by people:

    AER = 1 - (|A & S| + |A & P|) / (|A| + |S|),  precision = |A & P| / |A|,  recall = |A & S| / |S|     Och and Ney 2003

with sure links S, possible links P (S is part of P) and the model's links A, summed over the corpus. A number without its
baseline says little: a straight diagonal already reaches far, so it and random links stand in every table. Two directions of
translation can be merged (`directions`).
"""

from analyses.cross_attention_focus.alignment.baselines import diagonal_links, random_links
from analyses.cross_attention_focus.alignment.directions import Directions, evaluate_directions, merge_directions
from analyses.cross_attention_focus.alignment.evaluate import Alignment, SystemScore, evaluate, system_links
from analyses.cross_attention_focus.alignment.extract import Conventions, Step, read_links
from analyses.cross_attention_focus.alignment.gold import read_gold, write_links
from analyses.cross_attention_focus.alignment.page import alignment_section, directions_section
from analyses.cross_attention_focus.alignment.score import Score, counts, score
from analyses.cross_attention_focus.alignment.symmetrise import (
    MERGES,
    Merge,
    both_directions,
    grow_diagonal,
    grow_diagonal_final,
)
from analyses.cross_attention_focus.alignment.texts import AlignedPair, pairs_from_prompts, reversed_pairs, word_spans
from interp.text.word_links import Gold, Link, Links

__all__ = [
    "MERGES",
    "AlignedPair",
    "Alignment",
    "Conventions",
    "Directions",
    "Gold",
    "Link",
    "Links",
    "Merge",
    "Score",
    "Step",
    "SystemScore",
    "alignment_section",
    "both_directions",
    "counts",
    "diagonal_links",
    "directions_section",
    "evaluate",
    "evaluate_directions",
    "grow_diagonal",
    "grow_diagonal_final",
    "merge_directions",
    "pairs_from_prompts",
    "random_links",
    "read_gold",
    "read_links",
    "reversed_pairs",
    "score",
    "system_links",
    "word_spans",
    "write_links",
]
