"""The number by which a circuit is judged: one for every pair, read where the answer is predicted.

logit difference    logit of the answer less that of the foil; effects are m(with the corruption) - m(clean), below 0 for what
the answer needs
KL divergence       of what the model says next from what is said with the corruption, summed over the vocabulary, in nats; 0 for
the model itself, where its gradient is 0 too
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError, did_you_mean
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import decoder_outputs
from interp.model.weights import scored
from interp.patching.minimal_pairs import PairBatch

MetricName = Literal["logit-difference", "kl"]


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric of some pairs.

    Attributes:
        name: which.
        pairs: the pairs.
        clean: of KL divergence, what the model says on the clean side.
    """

    name: MetricName
    pairs: PairBatch
    clean: Float[Tensor, "batch vocab"] | None = None

    @classmethod
    @torch.no_grad()
    def of(cls, model: HookedEncoderDecoder, pairs: PairBatch, name: str = "logit-difference") -> "Metric":
        """The metric of a name.

        Args:
            model: the model.
            pairs: the pairs.
            name: `logit-difference` or `kl`.

        Raises:
            InputError: if there is no such metric.
        """
        if name == "logit-difference":
            return cls("logit-difference", pairs)
        if name == "kl":
            outputs = decoder_outputs(model, pairs.clean)[1]
            return cls("kl", pairs, log_probabilities(model, at_rows(pairs, outputs))[0])
        known = ("logit-difference", "kl")
        raise InputError(f"No metric is called {name!r}{did_you_mean(name, known)}; there are {' and '.join(known)}.")

    def __call__(
        self, model: HookedEncoderDecoder, outputs: Float[Tensor, "*copies batch row d_model"]
    ) -> Float[Tensor, "*copies batch"]:
        """The number of every pair, once for every copy.

        Args:
            model: the model.
            outputs: of the decoder, at the answers' rows.
        """
        if self.clean is None:
            return self.pairs.difference(model, outputs)
        said = log_probabilities(model, outputs.squeeze(-2))
        divergence: Tensor = (self.clean.exp() * (self.clean - said)).sum(-1)
        return divergence


def at_rows(pairs: PairBatch, outputs: Float[Tensor, "batch target d_model"]) -> Float[Tensor, "one batch d_model"]:
    """The decoder's output where each pair's answer is predicted.

    Args:
        pairs: the pairs.
        outputs: at all rows.
    """
    return outputs[torch.arange(len(pairs), device=outputs.device), pairs.rows].unsqueeze(0)


def log_probabilities(
    model: HookedEncoderDecoder, outputs: Float[Tensor, "*copies batch d_model"]
) -> Float[Tensor, "*copies batch vocab"]:
    """What is said next, in nats.

    Args:
        model: the model.
        outputs: of the decoder, one row of every pair.
    """
    return scored(model, outputs).log_softmax(-1)
