"""What stands in for an activation that is taken away: the one definition of every ablation.

    zero       nothing: of a head's z, the removal of what the head writes (its share of the values' bias included)
    mean       the mean over the positions of the same class in prompts with the same task prefix
    resample   the value at such a position of another sentence, drawn by a seed

Prompts are those of the batch itself or of a reference; classes are first, ordinary and final (`interp.text.token_sets.classes`).
Where no other sentence has a position of the class behind the prefix, mean and resample are NaN, and so is what the model makes
of it: a prompt's own value would ablate nothing and pass for a head without effect. Whoever averages over prompts leaves NaN out
and says how many are left. Padding keeps its value. Zero is off the distribution that the rest of the model has seen; mean and
resample stay closer to it and answer the question differently, so results name the replacement.
Wang et al. 2022; Zhang and Nanda 2024.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from interp.hooks.steps import of_source
from interp.text.batch import Batch
from interp.text.token_sets import POSITION_CLASSES, classes
from interp.text.tokenized_text import Side
from interp.text.words import PREFIX

Ablation = Literal["zero", "mean", "resample"]

ABLATIONS: tuple[Ablation, ...] = ("zero", "mean", "resample")

_SIDES: tuple[Side, ...] = ("source", "target")

_Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """Mean activations of reference prompts, by task prefix and class of position.

    Attributes:
        values: (hook name, token ids of a prefix) -> mean, [class, ...]; zero for a class without positions.
        counts: (side, prefix) -> positions averaged, per class.
        sentences: (side, prefix) -> per class the token ids of the sentences that have such a position.
    """

    values: Mapping[tuple[str, _Ids], Float[Tensor, "class *rest"]]
    counts: Mapping[tuple[Side, _Ids], Int[Tensor, " class"]]
    sentences: Mapping[tuple[Side, _Ids], tuple[set[_Ids | bytes], ...]]

    @classmethod
    def over(cls, runs: Iterable[tuple[Batch, Mapping[str, Tensor]]]) -> "Means":
        """Means over any number of batches, one after another, in float64.

        Args:
            runs: batches, and of each its activations by hook name, with axes [batch pos ...].
        """
        sums: dict[tuple[str, _Ids], Tensor] = {}
        counts: dict[tuple[Side, _Ids], Tensor] = {}
        sentences: dict[tuple[Side, _Ids], tuple[set[_Ids | bytes], ...]] = {}
        for batch, activations in runs:
            texts = _texts(batch)
            members = {side: one_hot(classes(batch, side) + 1, 1 + len(POSITION_CLASSES))[..., 1:] for side in _SIDES}
            for prefix in dict.fromkeys(prefix for prefix, _ in texts):
                rows = [row for row, (own, _) in enumerate(texts) if own == prefix]
                for side, of_class in members.items():
                    counts[side, prefix] = counts.get((side, prefix), 0) + of_class[rows].sum((0, 1)).cpu()
                    known = sentences.setdefault((side, prefix), tuple(set() for _ in POSITION_CLASSES))
                    for row in rows:
                        for index in of_class[row].any(0).nonzero()[:, 0].tolist():
                            known[index].add(texts[row][1])
                for name, value in activations.items():
                    of_class = members[side_of(name)][rows].double()
                    total = torch.einsum("bpc,bp...->c...", of_class, value[rows].double())
                    sums[name, prefix] = sums[name, prefix] + total if (name, prefix) in sums else total
        means = {
            (name, prefix): total / _as_wide(counts[side_of(name), prefix].clamp_min(1).to(total), total)
            for (name, prefix), total in sums.items()
        }
        return cls(means, counts, sentences)

    def replace(
        self, name: str, value: Float[Tensor, "batch pos *rest"], batch: Batch
    ) -> Float[Tensor, "batch pos *rest"]:
        """The mean of its prefix and class at every position; NaN where no other sentence has one; padding as it is.

        Args:
            name: the hook point, among those the means were taken of.
            value: the activation that is replaced.
            batch: its prompts.

        Raises:
            KeyError: if no means of the hook point were taken.
        """
        if not any(known == name for known, _ in self.values):
            raise KeyError(f"No means of {name!r} were taken; there are {sorted({known for known, _ in self.values})}.")
        side = side_of(name)
        table = value.new_full((len(batch), len(POSITION_CLASSES), *value.shape[2:]), torch.nan)
        for row, (prefix, sentence) in enumerate(_texts(batch)):
            for index, known in enumerate(self.sentences.get((side, prefix), ())):
                if known - {sentence}:
                    table[row, index] = self.values[name, prefix][index].to(value)
        found = classes(batch, side)
        rows = torch.arange(len(batch), device=found.device).unsqueeze(1)
        return torch.where(_as_wide(found < 0, value), value, table[rows, found.clamp_min(0)])


@dataclass(frozen=True, slots=True, eq=False)
class Donors:
    """Which position of a reference stands in for every position of a batch.

    Attributes:
        prompts: side -> prompt of the reference, [batch pos]; -1 where no other sentence has such a position, -2 at padding.
        positions: side -> position in that prompt, [batch pos].
    """

    prompts: Mapping[Side, Int[Tensor, "batch pos"]]
    positions: Mapping[Side, Int[Tensor, "batch pos"]]

    def replace(
        self, name: str, value: Float[Tensor, "batch pos *rest"], reference: Float[Tensor, "donor other *rest"]
    ) -> Float[Tensor, "batch pos *rest"]:
        """The donor's value at every position; NaN where there is none; padding as it is.

        Args:
            name: the hook point.
            value: the activation that is replaced.
            reference: the same activation of the reference; `value` itself where the batch is its own.
        """
        prompts, positions = (part[side_of(name)].to(value.device) for part in (self.prompts, self.positions))
        taken = reference.to(value)[prompts.clamp_min(0), positions]
        taken = taken.masked_fill(_as_wide(prompts == -1, value), torch.nan)
        return torch.where(_as_wide(prompts == -2, value), value, taken)


def draw_donors(batch: Batch, reference: Batch, seed: int) -> Donors:
    """Draw a donor for every position of a batch.

    For every prompt the other sentences of the reference behind the same prefix are put into random order; a position gets a
    random position of its class in the first of them that has one, so that a prompt has one donor wherever that is possible.

    Args:
        batch: the prompts whose activations are replaced.
        reference: the prompts that give; may be the batch itself.
        seed: of the draw; average over several.
    """
    generator = torch.Generator().manual_seed(seed)
    own, other = ({side: classes(one, side).cpu() for side in _SIDES} for one in (batch, reference))
    givers = _texts(reference)
    prompts = {side: torch.where(own[side] < 0, -2, -1) for side in _SIDES}
    positions = {side: torch.zeros_like(own[side]) for side in _SIDES}
    for row, (prefix, sentence) in enumerate(_texts(batch)):
        order = torch.randperm(len(reference), generator=generator).tolist()
        others = [giver for giver in order if givers[giver][0] == prefix and givers[giver][1] != sentence]
        for side in _SIDES:
            for index in range(len(POSITION_CLASSES)):
                here = own[side][row] == index
                donor = next((giver for giver in others if bool((other[side][giver] == index).any())), None)
                if donor is None or not bool(here.any()):
                    continue
                places = (other[side][donor] == index).nonzero()[:, 0]
                prompts[side][row, here] = donor
                drawn = torch.randint(len(places), (int(here.sum()),), generator=generator)
                positions[side][row, here] = places[drawn]
    return Donors(prompts, positions)


def replacements(
    ablation: Ablation, name: str, value: Float[Tensor, "batch pos *rest"], batch: Batch, donors: Sequence[Donors]
) -> Float[Tensor, "draw batch pos *rest"]:
    """What stands in for an activation of a batch whose prompts are each other's reference.

    Args:
        ablation: the kind; see the module's docstring.
        name: the hook point.
        value: its activation.
        batch: the prompts.
        donors: draws from the batch itself, one version of `resample` each; zero and mean have one version.
    """
    if ablation == "zero":
        return torch.zeros_like(value).unsqueeze(0)
    if ablation == "mean":
        return Means.over([(batch, {name: value})]).replace(name, value, batch).unsqueeze(0)
    return torch.stack([drawn.replace(name, value, value) for drawn in donors])


def side_of(name: str) -> Side:
    """Whose positions the value at a hook point has: keys and values of cross-attention are source positions.

    Args:
        name: the hook point.
    """
    return "source" if of_source(name) else "target"


def _texts(batch: Batch) -> list[tuple[_Ids, _Ids | bytes]]:
    """Of every source the token ids of its task prefix, and what tells all of it from others."""
    prefixes = batch.source_categories == PREFIX
    rows = zip(batch.input_ids, prefixes, batch.source_identities, strict=True)
    return [(tuple(ids[prefix].tolist()), whole) for ids, prefix, whole in rows]


def _as_wide(mask: Tensor, value: Tensor) -> Tensor:
    """A tensor of the first axes of a value, with as many axes as it."""
    return mask.view(*mask.shape, *[1] * (value.ndim - mask.ndim))
