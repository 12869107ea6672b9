"""How W_O mixes the heads of a layer: what share of the layer's write each makes, and how far they write into the same space.

share     sum over rows of <write of the head, write of all heads> / sum of |write of all heads|^2; shares add up to 1, and a
head that works against the others has one below 0
angles    the principal angles between the column spaces of two heads' W_O: 0 where they share a direction, 90 degrees where
nothing of one is seen by the other (scipy's `subspace_angles`)
overlap   mean squared cosine of the angles: 1 for the same space; spaces drawn at random have d_head / d_model on average
"""

import numpy as np
import pandas as pd
import scipy.linalg
import torch

from interp.attribution.logit_readout import at_least_float32
from interp.axes import AttentionKind
from interp.hooks.names import HeadId, attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import output_weights
from interp.text.batch import Batch

WRITE_HOOKS = ("*attn.hook_z",)
"""What `write_shares` reads."""


@torch.no_grad()
def write_shares(model: HookedEncoderDecoder, cache: ActivationCache, batch: Batch) -> pd.DataFrame:
    """Every head's share of what its layer's heads write: `head`, `kind`, `layer`, `share`, and `length` (root mean square).

    Biases of output projections are no head's, and are left out.

    Args:
        model: the model the cache came from.
        cache: with the activations of `WRITE_HOOKS`.
        batch: its prompts; padded rows do not count.
    """
    rows = []
    kinds: tuple[AttentionKind, ...] = ("encoder", "decoder", "cross")
    for kind in kinds:
        mask = batch.source_mask if kind == "encoder" else batch.target_mask
        for layer in range(model.cfg.layers_of(kind)):
            z = at_least_float32(cache[f"{attention_path(kind, layer)}.hook_z"][mask])
            W_O = at_least_float32(output_weights(model, kind, layer))
            written = torch.einsum("phk,hkd->phd", z, W_O)
            together = written.sum(1)
            shares = torch.einsum("phd,pd->h", written, together) / together.square().sum()
            lengths = written.square().sum(-1).mean(0).sqrt()
            for head, (share, length) in enumerate(zip(shares.tolist(), lengths.tolist(), strict=True)):
                rows.append((str(HeadId(kind, layer, head)), kind, layer, share, length))
    return pd.DataFrame(rows, columns=["head", "kind", "layer", "share", "length"])


@torch.no_grad()
def output_angles(model: HookedEncoderDecoder, kind: AttentionKind, layer: int) -> pd.DataFrame:
    """How near the output spaces of a layer's heads are, pair by pair.

    Args:
        model: the model.
        kind: the kind of attention.
        layer: layer of its stack.

    Returns:
        `first`, `second`, `smallest` and `median` principal angle in degrees, `overlap`, and `random`, the overlap that spaces
        drawn at random have on average.
    """
    W_O = at_least_float32(output_weights(model, kind, layer)).double().cpu().numpy()
    rows = []
    for first in range(len(W_O)):
        for second in range(first + 1, len(W_O)):
            angles = scipy.linalg.subspace_angles(W_O[first].T, W_O[second].T)
            names = (str(HeadId(kind, layer, head)) for head in (first, second))
            smallest, median = np.degrees([angles.min(), np.median(angles)])
            overlap = float(np.square(np.cos(angles)).mean())
            rows.append((*names, float(smallest), float(median), overlap, W_O.shape[1] / W_O.shape[2]))
    return pd.DataFrame(rows, columns=["first", "second", "smallest", "median", "overlap", "random"])
