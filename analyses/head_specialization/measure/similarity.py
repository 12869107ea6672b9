"""Which heads attend alike?

The distance of two heads of one kind is the Jensen-Shannon divergence of their rows, mean over the rows of a prompt, mean over
prompts (Clark et al. 2019 take the sum; the mean does not grow with length). Heads are grouped by average-linkage clustering
and laid out in two dimensions by metric multidimensional scaling, both of scikit-learn.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from sklearn.cluster import AgglomerativeClustering
from sklearn.manifold import smacof
from sklearn.metrics import silhouette_score
from torch import Tensor

from interp.attention_metrics import jensen_shannon, masked_mean
from interp.statistics import largest, merge_ties

_SAME = 1e-9
_LEAST_CLUSTERS, _MOST_CLUSTERS = 2, 8


@dataclass(frozen=True, slots=True, eq=False)
class HeadMap:
    """Heads laid out by distance.

    Attributes:
        distance: symmetric, zero on the diagonal, in nats.
        cluster: cluster of every head, numbered from 0 in the order of first appearance.
        silhouette: mean silhouette of the clustering, from -1 to 1; NaN if no clustering was possible.
        place: position in two dimensions.
        stress: how far distances on the map are from the real ones (Kruskal's stress-1, 0 is perfect).
        control: silhouette of the heads of an untrained twin; NaN without one.
    """

    distance: Float[np.ndarray, "head other"]
    cluster: Int[np.ndarray, " head"]
    silhouette: float
    place: Float[np.ndarray, "head two"]
    stress: float
    control: float = np.nan


def head_distances(
    patterns: Float[Tensor, "layer batch head query key"], legal: Bool[Tensor, "batch query key"]
) -> Float[np.ndarray, "batch first second"]:
    """Distance of every two heads in every prompt; heads in the order of layer, then index."""
    flat = patterns.float().transpose(0, 1).flatten(1, 2)
    rows, mask = legal.any(-1)[:, None], legal[:, None]
    columns = [
        masked_mean(jensen_shannon(flat[:, index : index + 1].expand_as(flat), flat, mask), rows)
        for index in range(flat.shape[1])
    ]
    distances = torch.stack(columns, -1)
    return np.asarray(((distances + distances.mT) / 2).cpu().numpy())


def head_map(distance: Float[np.ndarray, "head other"], seed: int) -> HeadMap:
    """Cluster heads and lay them out.

    The number of clusters is that with the largest silhouette among 2 to 8.
    """
    distance = np.array(distance, dtype=np.float64)
    np.fill_diagonal(distance, 0.0)
    count = len(distance)
    labelings = [
        AgglomerativeClustering(clusters, metric="precomputed", linkage="average").fit_predict(distance)
        for clusters in range(_LEAST_CLUSTERS, min(_MOST_CLUSTERS, count - 1) + 1)
    ]
    scores = np.array([silhouette_score(distance, labels, metric="precomputed") for labels in labelings] or [np.nan])
    best = largest(scores)[0]
    labels = labelings[best] if labelings else np.zeros(count, dtype=np.int64)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    place, stress = _layout(distance, seed)
    return HeadMap(distance, order[inverse].astype(np.int64), float(scores[best]), place, stress)


def _layout(distance: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    if distance.max(initial=0.0) < _SAME:
        # Heads that do all the same have one place; the algorithm would divide by their distances.
        return np.zeros((len(distance), 2)), 0.0
    # The start is fixed, so that the map is the same everywhere; the seed is asked for and not used.
    place, _ = smacof(
        distance, n_components=2, init=_classical(distance), n_init=1, random_state=seed, normalized_stress=False
    )
    on_map = np.linalg.norm(place[:, None] - place[None], axis=-1)
    stress = np.sqrt(np.square(on_map - distance).sum() / max(np.square(distance).sum(), 1e-300))
    return place, float(stress)


def _classical(distance: np.ndarray) -> np.ndarray:
    """Torgerson's scaling: the two leading axes of the doubly centered squared distances, largest entry positive."""
    count = len(distance)
    center = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(-0.5 * center @ np.square(distance) @ center)
    axes = vectors[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0.0))
    signs = np.sign(axes[merge_ties(np.abs(axes).T).argmax(-1), [0, 1]])
    return np.asarray(axes * np.where(signs == 0, 1.0, signs))
