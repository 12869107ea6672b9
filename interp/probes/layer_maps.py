"""Affine maps, one for every depth of a stack, that lenses learn; how they are saved, and what comparing them gives.

A map adds A h + b to the stream h and begins as nothing (A = 0, b = 0), so that a lens begins as the untrained one. The last
depth needs none: there the untrained lens is the model.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from interp.activations import ActivationStore
from interp.axes import Stack
from interp.errors import InputError, reason
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import weights_digest
from interp.report.framed import Framed
from interp.statistics.interval import Interval

LensKind = Literal["tuned lens", "decoder lens"]
STACK_OF: dict[LensKind, Stack] = {"tuned lens": "decoder", "decoder lens": "encoder"}
"""Whose streams a lens maps."""

FORMAT = "interp lens 1"


class LayerMaps(nn.Module):
    """The maps of a lens.

    Args:
        kind: of the lens.
        depths: of the stack, the last left out.
        d_model: width of the stream.
        weights: `weights_digest` of the model that the lens reads.
    """

    def __init__(self, kind: LensKind, depths: int, d_model: int, weights: str) -> None:
        super().__init__()
        self.kind, self.weights = kind, weights
        self.maps = nn.ModuleList(nn.Linear(d_model, d_model) for _ in range(depths))
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, stream: Tensor, depth: int) -> Tensor:
        """The mapped stream, of the same shape; the stream itself behind the last layer.

        Args:
            stream: [... d_model].
            depth: layers that the stream has passed.
        """
        if depth == len(self.maps):
            return stream
        return stream + self.maps[depth](stream)  # type: ignore[no-any-return]


def new_maps(model: HookedEncoderDecoder, kind: LensKind) -> LayerMaps:
    """Maps that change nothing yet: the untrained lens.

    Args:
        model: the model.
        kind: of the lens.
    """
    maps = LayerMaps(kind, model.cfg.n_layers(STACK_OF[kind]), model.cfg.d_model, weights_digest(model))
    return maps.to(model.device)


def save_lens(lens: LayerMaps, path: str | Path) -> None:
    """Write a lens to one safetensors file.

    Args:
        lens: the lens.
        path: of the file.

    Raises:
        InputError: if it cannot be written there.
    """
    notes = {"format": FORMAT, "kind": lens.kind, "depths": json.dumps(len(lens.maps)), "weights": lens.weights}
    tensors = {name: value.detach().cpu().contiguous() for name, value in lens.state_dict().items()}
    try:
        save_file(tensors, path, notes)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"The lens cannot be written to {str(path)!r} ({reason(error)}); give a file in a folder that is there."
        ) from error


def load_lens(path: str | Path, model: HookedEncoderDecoder) -> LayerMaps:
    """A saved lens.

    Args:
        path: of the file.
        model: that it was learned for.

    Raises:
        InputError: if the file cannot be read, is no lens, or is one of another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata() or {}
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"The lens {str(path)!r} cannot be read ({reason(error)}); give a file that `save_lens` wrote."
        ) from error
    if notes.get("format") != FORMAT:
        raise InputError(
            f"{str(path)!r} holds no lens (format {notes.get('format')!r}); give a file that `save_lens` wrote."
        )
    if notes["weights"] != weights_digest(model):
        raise InputError(
            f"The lens {str(path)!r} was learned for other weights; load that model, or fit a lens for this one."
        )
    kind: LensKind = "tuned lens" if notes["kind"] == "tuned lens" else "decoder lens"
    lens = LayerMaps(kind, json.loads(notes["depths"]), model.cfg.d_model, notes["weights"])
    lens.load_state_dict(values)
    return lens.to(model.device)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LensComparison(Framed):
    """How far a learned and an untrained lens are from the model on prompts that neither has seen.

    Attributes:
        learned: KL(model || lens) in nats, mean over sentences of the mean over their rows, by depth.
        untrained: the same of the untrained lens.
        saved: untrained less learned, paired by prompt.
    """

    learned: Interval
    untrained: Interval
    saved: Interval

    def to_frame(self) -> pd.DataFrame:
        """One row a depth: KL in nats with 95 % intervals over sentences."""
        found: dict[str, np.ndarray] = {"depth": np.arange(len(self.learned.point))}
        for name in ("learned", "untrained", "saved"):
            interval: Interval = getattr(self, name)
            parts = (("", interval.point), (" low", interval.low), (" high", interval.high))
            found |= {f"{name}{part} (nats)": values for part, values in parts}
        return pd.DataFrame(found)


def stream_hooks(model: HookedEncoderDecoder, kind: LensKind, store: ActivationStore) -> list[str]:
    """The hook points of the stream that a lens maps, at every depth.

    Args:
        model: the model.
        kind: of the lens.
        store: that must hold them.

    Raises:
        InputError: if it lacks one, or was written with other weights.
    """
    stack = STACK_OF[kind]
    layers = model.cfg.n_layers(stack)
    names = [f"{stack}.{layer}.hook_resid_pre" for layer in range(layers)]
    names.append(f"{stack}.{layers - 1}.hook_resid_post")
    missing = [name for name in names if name not in store.hooks]
    if missing:
        raise InputError(
            f"The store lacks {missing[0]}; write one with `lens_hooks(model, {stack!r})` as its hook points."
        )
    if store.manifest.recipe.weights != weights_digest(model):
        raise InputError(
            "The store was written with other weights than this model's; load that model, or write it anew."
        )
    return names
