"""Whether the weights of a checkpoint are those of its config.json: none missing, none left over, none that hold nothing."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedConfig, PreTrainedModel

from interp.errors import InputError
from interp.hooks.host_weights import named_weights, weight_of
from interp.model.checkpoints import Checkpoint

_COMPUTED = re.compile(r"(^|\.)(version|_float_tensor|position_ids|embed_positions\.weights?)$")
"""What old files carry and nothing reads: version marks, places in order, and sinusoidal positions, which are computed."""


def _stored(files: Mapping[str, Path]) -> Iterator[tuple[str, str, str, tuple[int, ...]]]:
    """The weights that loading reads: file, name, type and shape of each; of files that are damaged, none."""
    read = {name: path for name, path in files.items() if name == "model.safetensors" or name.startswith("adapter")}
    for own, path in (read if "model.safetensors" in files else files).items():
        with suppress(SafetensorError), safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - a file is no dict
                weight = file.get_slice(name)
                yield own, name, weight.get_dtype(), tuple(weight.get_shape())


def check_types(checkpoint: Checkpoint) -> None:
    """Refuse weights stored as whole numbers: quantized ones, which the host would take for the weights themselves.

    Args:
        checkpoint: where its files are.

    Raises:
        InputError: naming the first.
    """
    for own, name, kind, _ in _stored(_weights_of(checkpoint)):
        if kind.startswith(("I", "U", "BOOL")) and not _COMPUTED.search(name):
            raise InputError(
                f"The {own} of {checkpoint.name!r} has {name} as whole numbers ({kind}): it is quantized, and exact "
                "decompositions need the weights themselves; give the model as it was before."
            )


def _weights_of(checkpoint: Checkpoint) -> dict[str, Path]:
    return {name: path for name, path in checkpoint.files().items() if name.endswith(".safetensors")}


def check_shapes(checkpoint: Checkpoint, auto: Any, config: PreTrainedConfig) -> None:
    """Refuse weights of other shapes than config.json says, which the host refuses too without a name.

    Args:
        checkpoint: where its files are.
        auto: transformers' class that makes the model.
        config: the host's configuration.

    Raises:
        InputError: naming the first, with both shapes.
    """
    expected: dict[str, tuple[int, ...]] = {}
    with suppress(Exception), torch.device("meta"):  # if it makes no model, nothing can be said of its shapes
        expected = {name: tuple(weight.shape) for name, weight in auto.from_config(config).state_dict().items()}
    found = (
        (name, shape) for _, name, _, shape in _stored(_weights_of(checkpoint)) if expected.get(name, shape) != shape
    )
    for name, shape in found:
        raise InputError(
            f"The weights of {checkpoint.name!r} do not fit its config.json: {name} has the shape {shape} in the file and "
            f"{expected[name]} by config.json. Check that the files belong together."
        )


def check_complete(checkpoint: Checkpoint, report: Mapping[str, Iterable[Any]]) -> None:
    """Refuse what the host would fill with random weights or drop: the weights in the file must be those of config.json.

    Args:
        checkpoint: where its files are.
        report: what the host says of loading: `missing_keys` and `unexpected_keys`.

    Raises:
        InputError: naming the first weight that is missing or in surplus.
    """
    surplus = (name for name in report["unexpected_keys"] if not _COMPUTED.search(name))
    for verb, names in (("lacks", sorted(report["missing_keys"])), ("has in surplus", sorted(surplus))):
        if names:
            raise InputError(
                f"The weights of {checkpoint.name!r} do not fit its config.json: the file {verb} {len(names)} weights, the "
                f"first is {names[0]}. Check that the files belong together and none is missing."
            )


def check_spread(checkpoint: Checkpoint, model: PreTrainedModel) -> None:
    """Refuse weights that hold nothing: an embedding in which all words are one, or matrices most of which are constant.

    Args:
        checkpoint: where its files are.
        model: the host.

    Raises:
        InputError: saying which of the two it is.
    """
    # One at a time: they may not all fit in memory.
    names = {name for name, parameter in model.named_parameters() if parameter.ndim > 1}
    matrices = (weight for name, weight in named_weights(model) if name in names)
    constant = sum(bool((weight == weight.flatten()[0]).all()) for weight in matrices)
    embedding = weight_of(model.get_input_embeddings())
    why = f"{constant} of {len(names)} matrices are one number throughout" if 2 * constant > len(names) else ""
    why = why or ("all words have one embedding" if bool((embedding == embedding[0]).all()) else "")
    if why:
        raise InputError(f"The weights of {checkpoint.name!r} hold nothing: {why}. Fetch the file again.")
