"""The arrays of circuits; all are of the experiment."""

from functools import partial

from analyses.core.arrays import array_specs

_experiment = partial(array_specs, stage="experiment")

SELECTIONS = ("signed", "absolute")
"""How edges are chosen for the curves: those that harm the answer last, and by size alone."""

ARRAYS = (
    *_experiment("scores", "found_pair edge", "logits or nats"),
    *_experiment("circuit", "edge", content="label"),
    *_experiment("weights", "circuit_edge", over="composition"),
    *_experiment("kept", "one", "share"),
    *_experiment("alone whole empty", "judged_pair", "logits or nats"),
    *_experiment("same_size same_degree", "draw", "share"),
    *_experiment("completeness", "part", "share"),
    *_experiment("minimality", "needed", "share"),
    *_experiment("minimality_outside", "lacking", "share"),
    *_experiment("needed", "needed", content="label"),
    *_experiment("lacking", "lacking", content="label"),
    *_experiment("faithfulness", "selection share", "share"),
    *_experiment("sizes", "selection share", "edges"),
    *_experiment("sampled", "sampled", content="label"),
    *_experiment("exact restored", "found_pair sampled", "logits or nats"),
    *_experiment("rank rank_of_both", "bounds"),
    *_experiment("error", "one", "share"),
    *_experiment("steps", "one", content="label"),
)
"""All arrays of this analysis."""
