"""Gradients and perturbations of the source's embeddings, as captum computes them; the target so far is held.

    saliency               length of the gradient of a token's embedding                                  Simonyan et al. 2014
    input-x-gradient       embedding times gradient                                                       Shrikumar et al. 2017
    integrated-gradients   embedding less padding's, times the mean gradient on the way between them      Sundararajan et al. 2017
    occlusion              what is lost when padding is embedded in a token's place, one at a time        Zeiler and Fergus 2014

The path of integrated gradients starts at padding, not at zero: norms that know no scale jump at zero, and the integral with
them. Steps are doubled until it comes out; a path on which it does not gives no attribution.

Needs the optional extra `captum`.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.sources.question import Question, answers, baseline, embedded

TOLERANCE = 0.05
"""How far integrated gradients may be from the difference they explain, as a share of the summed sizes of its parts."""

_FIRST_STEPS, _MOST_STEPS = 32, 1024
_COPIES_AT_ONCE = 64


def captum_attributions(
    model: HookedEncoderDecoder, question: Question, method: str
) -> tuple[Float[Tensor, "row source"], Float[Tensor, " row"]]:
    """Attributions of one method, and how far those of a row are from adding up (NaN for methods that do not claim it).

    Args:
        model: the model.
        question: what is explained.
        method: `saliency`, `input-x-gradient`, `integrated-gradients` or `occlusion`.

    Raises:
        InputError: if captum is not there.
    """
    attr = _captum()
    own = embedded(model, question).unsqueeze(0)
    taken_out = baseline(model).expand_as(own)
    found, gaps = [], []
    for row in range(len(question.rows)):

        def forward(embeddings: Tensor, row: int = row) -> Tensor:
            return answers(model, question, embeddings)[:, row]

        gap = torch.nan
        inputs = own.clone().requires_grad_()
        if method == "saliency":
            values = attr.Saliency(forward).attribute(inputs).norm(dim=-1)
        elif method == "input-x-gradient":
            values = attr.InputXGradient(forward).attribute(inputs).sum(-1)
        elif method == "integrated-gradients":
            values, gap = _integrated(attr, forward, inputs, taken_out)
        else:
            places = torch.arange(own.shape[1], device=own.device)[None, :, None].expand_as(own)
            ablation = attr.FeatureAblation(forward)
            chosen = {"feature_mask": places, "perturbations_per_eval": _COPIES_AT_ONCE}
            values = ablation.attribute(own, baselines=taken_out, **chosen)[..., 0]
        found.append(values[0].detach())
        gaps.append(gap)
    return torch.stack(found), torch.tensor(gaps, device=own.device)


def _integrated(attr: Any, forward: Any, inputs: Tensor, start: Tensor) -> tuple[Tensor, float]:
    """Integrated gradients with as many steps as they need, and their gap; NaN where they do not come out."""
    steps, integral = _FIRST_STEPS, attr.IntegratedGradients(forward)
    while True:
        values, delta = integral.attribute(
            inputs, start, n_steps=steps, internal_batch_size=_COPIES_AT_ONCE, return_convergence_delta=True
        )
        values = values.detach().sum(-1)
        gap = float(delta.detach().abs() / values.abs().sum().clamp_min(1e-30))
        if gap <= TOLERANCE:
            return values, gap
        if steps >= _MOST_STEPS:
            return torch.full_like(values, torch.nan), gap
        steps *= 2


def _captum() -> Any:
    try:
        from captum import attr
    except ImportError:
        raise InputError(
            "Saliency, input-x-gradient, integrated-gradients and occlusion need captum: pip install 't5-interp[captum]', or "
            "choose other methods."
        ) from None
    return attr
