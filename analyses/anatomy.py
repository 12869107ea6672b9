"""The anatomy of a model: where its parameters are, and what shape every activation has."""

from collections import Counter

from interp.errors import InputError
from interp.model import HookedEncoderDecoder


def parameter_counts(model: HookedEncoderDecoder) -> list[tuple[str, int, float]]:
    """Parameters by part of the model: (part, count, share), shared tensors counted once.

    The parts are the first two levels of the host's module tree, layers summed: `encoder.block`, `shared`.
    """
    counts: Counter[str] = Counter()
    for name, parameter in model.hf.named_parameters():
        counts[".".join(name.removesuffix(".weight").split(".")[:2])] += parameter.numel()
    total = sum(counts.values())
    return [(part, count, count / total) for part, count in counts.items()] + [("total", total, 1.0)]


def shape_trace(model: HookedEncoderDecoder, source: str) -> list[tuple[str, str, str]]:
    """The shape of every hook point for one source and its greedy target: (name, axes, shape), in forward order."""
    if not source.strip():
        raise InputError("The text whose shapes are to be traced is empty; give a source with its task prefix.")
    _, cache = model.run_with_cache(model.batch(source))
    points = model.hook_points()
    return [(name, " ".join(points[name].axes), " x ".join(map(str, cache[name].shape))) for name in cache]
