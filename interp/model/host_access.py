"""What a hooked model shares with any torch module: where its weights are, and how they are moved."""

import copy
from collections.abc import Iterator
from threading import RLock
from typing import Any, TypeVar

import torch
from torch import nn
from transformers import PreTrainedModel

from interp.hooks.host_weights import computing_device, same_weight
from interp.model.host_fields import check_mode
from interp.model.not_pickled import NotPickled
from interp.model.wrapped_host import WrappedHost

Own = TypeVar("Own", bound="HostAccess")


class HostAccess(NotPickled):
    """Attributes and methods of the host that users of torch expect on the hooked model too.

    Attributes:
        hf: the host.
    """

    instead = (
        "Write the host with `model.hf.save_pretrained(folder)` and `model.tokenizer.save_pretrained(folder)`; "
        "`interp.load(folder)` reads them."
    )
    hf: PreTrainedModel
    _wrapped: WrappedHost

    @property
    def running(self) -> RLock:
        """What a run of this model holds, for which those of other threads wait."""
        return self._wrapped.running

    def __deepcopy__(self: Own, memo: dict[int, Any]) -> Own:
        """A model of its own: the host is copied, and hook points are put on the copy."""
        other = type(self)(copy.deepcopy(self.hf, memo), getattr(self, "tokenizer", None))  # type: ignore[call-arg]
        for name in ("max_length", "languages", "sounds", "_batcher"):
            setattr(other, name, getattr(self, name))
        return other

    def check_host(self) -> None:
        """Refuse a host that was changed after it was wrapped, and warn of one in training mode.

        Raises:
            InputError: saying what was changed.
        """
        self._wrapped.check()
        check_mode(self.hf)

    @property
    def device(self) -> torch.device:
        """Where the weights are; of a model on several devices, where it takes its inputs."""
        device: torch.device = computing_device(self.hf) or self.hf.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the weights."""
        dtype: torch.dtype = self.hf.dtype
        return dtype

    @property
    def tied_embeddings(self) -> bool:
        """Whether the unembedding is the very same tensor as the decoder's embedding (never read from the configuration)."""
        return same_weight(self.hf.get_output_embeddings(), self.hf.get_decoder().get_input_embeddings())

    @property
    def one_table(self) -> bool:
        """Whether the unembedding is the very same tensor as the embedding of both stacks, which may have one each."""
        return self.tied_embeddings and same_weight(self.hf.get_output_embeddings(), self.hf.get_input_embeddings())

    def to(self: Own, *where: Any, **more: Any) -> Own:
        """This model, its weights moved to a device or into another floating-point type, as by `torch.nn.Module.to`.

        Args:
            where: as for torch.
            more: as for torch.
        """
        self.hf.to(*where, **more)
        return self

    def cuda(self: Own, device: int | None = None) -> Own:
        """This model on a GPU.

        Args:
            device: its number.
        """
        return self.to("cuda" if device is None else f"cuda:{device}")

    def cpu(self: Own) -> Own:
        """This model on the processor."""
        return self.to("cpu")

    def eval(self: Own) -> Own:
        """This model in eval mode, in which it is from the start."""
        self.hf.eval()
        return self

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights, shared ones once; they are frozen until somebody says otherwise."""
        yield from self.hf.parameters()
