"""Does one head read what another wrote? Q-, K- and V-composition between all heads of both stacks, by their weights alone.

    A first head's OV, B what the second reads by: its QK from the query's side (Q), from the key's side (K), its OV (V)
    composition = ||A B|| / (||A|| ||B||)                                                                 Elhage et al. 2021

All heads of a model like the same few directions, so composition of any two is above that of random matrices. Two nulls:

    spectra       the same singular values, turned at random: mean and deviation of the square in closed form, hence z
    no path       pairs in which the second cannot read the first (later first, same layer, decoder first): what their z is

A pair stands out if its z is beyond that of every pair without a path that is read by the same input; if all pairs were alike, m
pairs with a path beside n without one would give m / (n + 1) such. Gains of norms are folded in, means taken off where LayerNorm
takes them. Encoder heads reach the keys and values of all cross-attention heads.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import networkx as nx
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from interp.axes import AttentionKind
from interp.circuits.graph import HeadInput, Port, graph_of
from interp.circuits.head_matrices import (
    centered,
    head_ports,
    norms_between,
    projection,
    random_square,
    through,
)
from interp.hooks.names import HeadId
from interp.model.factored_matrix import FactoredMatrix, composition
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import output_weights
from interp.report.framed import Framed

SLOTS: tuple[HeadInput, ...] = ("q", "k", "v")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Compositions(Framed):
    """Composition of all pairs of heads.

    Attributes:
        heads: all heads, encoder, decoder, cross, in the order of layers.
        frame: one row a pair and input: `first`, `second`, `input` (q, k, v), `composition`, `random` (of the same spectra), `z`,
            `path` (whether the second reads the first), `beyond` (share of pairs without a path whose z is as large; NaN for
            those).
    """

    heads: tuple[HeadId, ...]
    frame: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """One row a pair and input, the largest z first."""
        return self.frame

    def standing_out(self) -> pd.DataFrame:
        """The pairs whose composition is beyond that of all pairs without a path, the largest z first."""
        return self.frame[self.frame["beyond"] == 0].reset_index(drop=True)

    @property
    def expected_by_chance(self) -> float:
        """How many pairs would stand out if those with a path were like those without."""
        chance = 0.0
        for slot in SLOTS:
            path = self.frame.loc[self.frame["input"] == slot, "path"].to_numpy(dtype=bool)
            chance += int(path.sum()) / (int((~path).sum()) + 1)
        return chance

    def graph(self) -> nx.MultiDiGraph:
        """The heads that stand out as a graph: an edge from writer to reader for every input, with `input` and `z`."""
        graph = nx.MultiDiGraph()
        out = self.standing_out()
        for first, second, slot, z in zip(out["first"], out["second"], out["input"], out["z"], strict=True):
            graph.add_edge(first, second, input=slot, z=z)
        return graph

    def matrix(self, slot: HeadInput) -> np.ndarray:
        """Z of one input, [second first]; NaN where there is no path.

        Args:
            slot: which input.
        """
        names = [str(head) for head in self.heads]
        chosen = self.frame[(self.frame["input"] == slot) & self.frame["path"]]
        table = chosen.pivot_table(index="second", columns="first", values="z", aggfunc="first")
        return table.reindex(index=names, columns=names).to_numpy(dtype=np.float64)


@torch.no_grad()
def compositions(model: HookedEncoderDecoder) -> Compositions:
    """Composition of all pairs of heads of a model of any family.

    Args:
        model: the model; of an untrained twin no pair should stand out.
    """
    rows = pd.DataFrame(list(_pairs(model)), columns=["first", "second", "input", "composition", "random", "z", "path"])
    rows["beyond"] = np.nan
    for slot in SLOTS:
        own = rows["input"] == slot
        null, z = np.sort(rows.loc[own & ~rows["path"], "z"].to_numpy()), rows.loc[own & rows["path"], "z"].to_numpy()
        if len(null):
            rows.loc[own & rows["path"], "beyond"] = 1 - np.searchsorted(null, z, side="left") / len(null)
    kinds: tuple[AttentionKind, ...] = ("encoder", "decoder", "cross")
    heads = tuple(
        HeadId(kind, layer, head)
        for kind in kinds
        for layer in range(model.cfg.layers_of(kind))
        for head in range(model.cfg.heads_of(kind))
    )
    order = rows["z"].sort_values(ascending=False, kind="stable").index
    return Compositions(heads, rows.loc[order].reset_index(drop=True))


def _pairs(model: HookedEncoderDecoder) -> Iterator[tuple[str, str, str, float, float, float, bool]]:
    """Layer by layer of writers, port by port of readers."""
    graph = graph_of(model.cfg)
    ports = head_ports(graph)
    free = model.cfg.d_model - (model.cfg.norm == "layer")
    for step in graph.steps:
        if step.attention is None or step.layer is None:
            continue
        W_V = projection(model, ports[step.name, "v"])
        W_O = output_weights(model, step.attention, step.layer)
        for (path, slot), port in ports.items():
            reads = step.name in {one.name for one in port.writer_steps()}
            # The reader's own norm is folded into what it reads by.
            before = norms_between(port, step.name)[:-1] if reads else ()
            written = FactoredMatrix(W_V, centered(model, through(model, before, W_O)))
            reading = _reading(model, ports, path, port)
            sizes = (len(step.writers), len(port.receivers))
            value = composition(
                FactoredMatrix(*(one[:, None].expand(*sizes, -1, -1) for one in (written.A, written.B))),
                FactoredMatrix(*(one.expand(*sizes, -1, -1) for one in (reading.A, reading.B))),
            )
            mean, deviation = random_square(_small(written)[:, None], _small(reading.T).mT, free)
            z = (value.square() - mean) / deviation.clamp_min(1e-12)
            for place, writer in enumerate(step.writers):
                for reader, label in enumerate(port.receivers):
                    numbers = float(value[place, reader]), mean**0.5, float(z[place, reader])
                    yield writer, label.partition(".")[0], slot, *numbers, reads


def _reading(model: HookedEncoderDecoder, ports: dict[tuple[str, str], Port], path: str, port: Port) -> FactoredMatrix:
    """What the heads of a port read by."""
    assert port.attention is not None
    assert port.layer is not None
    own = projection(model, port)
    if port.slot == "v":
        return FactoredMatrix(own, output_weights(model, port.attention, port.layer).float())
    return FactoredMatrix(own, projection(model, ports[path, "k" if port.slot == "q" else "q"]).mT)


def _small(matrix: FactoredMatrix) -> Tensor:
    """A matrix with the same outputs and spectrum as A B, of rank many rows: R B with A = Q R."""
    small: Tensor = torch.linalg.qr(matrix.A).R @ matrix.B
    return small
