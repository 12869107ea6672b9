"""One edge patched in plain transformers, T5 or BART, with torch's own hooks and the host's own modules: nothing of ours.

The corrupted write less the clean one, times `scale`, is added to what one receiver reads. In BART, whose norms stand in the
stream's way, the chain of additions and norms up to the receiver is gone through again for this receiver alone.
"""

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from interp.text.batch import Batch

_HEAD = re.compile(r"([EDX])L(\d+)H(\d+)(?:\.([qkv]))?")
_MLP = re.compile(r"([ED])L(\d+)MLP")
_STACK = {"E": "encoder", "D": "decoder", "X": "decoder"}


class PlainEdges:
    """Runs of one host on a clean and a corrupted batch."""

    def __init__(self, hf: PreTrainedModel, clean: Batch, corrupted: Batch) -> None:
        self.hf, self.clean = hf, clean
        self.bart = hf.config.model_type == "bart"
        with torch.no_grad():
            self.live, self.other = self._record(clean), self._record(corrupted)

    # the host's modules

    def stack(self, stack: str) -> nn.Module:
        return getattr(self.hf.model if self.bart else self.hf, stack)

    def sublayers(self, stack: str, layer: int) -> list[tuple[str, nn.Module, nn.Module, nn.Module]]:
        """(letter, module, its norm, its output projection) of every sublayer."""
        if self.bart:
            block = self.stack(stack).layers[layer]
            found = [(stack[0].upper(), block.self_attn, block.self_attn_layer_norm, block.self_attn.out_proj)]
            if stack == "decoder":
                found.append(("X", block.encoder_attn, block.encoder_attn_layer_norm, block.encoder_attn.out_proj))
            return [*found, ("MLP", block.fc2, block.final_layer_norm, block.fc2)]
        parts = self.stack(stack).block[layer].layer
        found = [(stack[0].upper(), parts[0].SelfAttention, parts[0].layer_norm, parts[0].SelfAttention.o)]
        if stack == "decoder":
            found.append(("X", parts[1].EncDecAttention, parts[1].layer_norm, parts[1].EncDecAttention.o))
        return [*found, ("MLP", parts[-1].DenseReluDense, parts[-1].layer_norm, parts[-1].DenseReluDense)]

    def depth(self, stack: str) -> int:
        return len(self.stack(stack).layers if self.bart else self.stack(stack).block)

    def first(self, stack: str) -> nn.Module:
        return self.stack(stack).layernorm_embedding if self.bart else self.stack(stack).embed_tokens

    def logits(self) -> Tensor:
        return self.hf(**{name: self.clean[name] for name in self.clean.keys()}, use_cache=False).logits  # noqa: SIM118

    def _record(self, batch: Batch) -> dict[tuple, Tensor]:
        """(stack, layer, letter, what) -> z before the output projection, or all that a sublayer adds."""
        kept: dict[tuple, Tensor] = {}
        handles = []

        def keep(key: tuple, of_input: bool = False) -> Callable:
            def hook(module: nn.Module, inputs: tuple, output: object) -> None:
                value = inputs[0] if of_input else (output[0] if isinstance(output, tuple) else output)
                kept[key] = value.detach()

            return hook

        for stack in ("encoder", "decoder"):
            handles.append(self.first(stack).register_forward_hook(keep((stack, -1, "", "added"))))
            for layer in range(self.depth(stack)):
                for letter, module, _, projection in self.sublayers(stack, layer):
                    handles.append(module.register_forward_hook(keep((stack, layer, letter, "added"))))
                    handles.append(projection.register_forward_hook(keep((stack, layer, letter, "z"), True)))
        self.hf(**{name: batch[name] for name in batch.keys()}, use_cache=False)  # noqa: SIM118
        for handle in handles:
            handle.remove()
        return kept

    # one edge

    def change(self, writer: str) -> tuple[tuple, Tensor]:
        """Where a writer adds to its stream, and corrupted less clean."""
        if writer in ("source embedding", "embedding"):
            key = ("encoder" if writer.startswith("source") else "decoder", -1, "")
            return key, self.other[*key, "added"] - self.live[*key, "added"]
        if mlp := _MLP.fullmatch(writer):
            key = (_STACK[mlp[1]], int(mlp[2]), "MLP")
            return key, self.other[*key, "added"] - self.live[*key, "added"]
        head = _HEAD.fullmatch(writer)
        key = (_STACK[head[1]], int(head[2]), head[1])
        projection = next(p for letter, _, _, p in self.sublayers(key[0], key[1]) if letter == head[1])
        z = self.other[*key, "z"] - self.live[*key, "z"]
        width = projection.weight.shape[1] // self._heads(head[1])
        own = slice(int(head[3]) * width, (int(head[3]) + 1) * width)
        return key, z[..., own] @ projection.weight[:, own].T

    def _heads(self, letter: str) -> int:
        if not self.bart:
            return self.hf.config.num_heads
        return self.hf.config.encoder_attention_heads if letter == "E" else self.hf.config.decoder_attention_heads

    def read(self, stack: str, until: tuple[int, str] | None, key: tuple, added: Tensor) -> Tensor:
        """The stream that a receiver reads (None: a whole stack), its own norm included, something added at a writer's place."""
        stream = self.live[stack, -1, "", "added"] + (added if key == (stack, -1, "") else 0)
        for layer in range(self.depth(stack)):
            for letter, _, norm, _ in self.sublayers(stack, layer):
                if (layer, letter) == until:
                    return stream if self.bart else norm(stream)
                stream = stream + self.live[stack, layer, letter, "added"]
                if key == (stack, layer, letter):
                    stream = stream + added
                if self.bart:
                    stream = norm(stream)
        return stream if self.bart else self.stack(stack).final_layer_norm(stream)

    @torch.no_grad()
    def patched(self, edge: str, scale: float = 1.0) -> Tensor:
        """The logits with one edge corrupted."""
        writer, receiver = edge.split(" -> ")
        key, change = self.change(writer)
        change = scale * change
        if receiver == "logits":
            final = self.read("decoder", None, key, change)
            target = (
                self.stack("decoder").layers[-1].final_layer_norm
                if self.bart
                else self.stack("decoder").final_layer_norm
            )
            return self._with(target, lambda module, inputs, output: final)
        if mlp := _MLP.fullmatch(receiver):
            stack, layer = _STACK[mlp[1]], int(mlp[2])
            read = self.read(stack, (layer, "MLP"), key, change)
            module = self.stack(stack).layers[layer].fc1 if self.bart else self.sublayers(stack, layer)[-1][1]
            handle = module.register_forward_pre_hook(lambda module, inputs: (read, *inputs[1:]))
            logits = self.logits()
            handle.remove()
            return logits
        head = _HEAD.fullmatch(receiver)
        stack, layer, letter, slot = _STACK[head[1]], int(head[2]), head[1], head[4]
        memory = letter == "X" and slot != "q"
        read = self.read("encoder", None, key, change) if memory else self.read(stack, (layer, letter), key, change)
        module = next(m for name, m, _, _ in self.sublayers(stack, layer) if name == letter)
        projection = getattr(module, f"{slot}_proj" if self.bart else slot)
        width = projection.weight.shape[0] // self._heads(letter)
        own = slice(int(head[3]) * width, (int(head[3]) + 1) * width)

        def put(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
            edited = output.clone()
            edited[..., own] = nn.functional.linear(read, projection.weight, projection.bias)[..., own]
            return edited

        return self._with(projection, put)

    def _with(self, module: nn.Module, hook: Callable) -> Tensor:
        handle = module.register_forward_hook(hook)
        try:
            return self.logits()
        finally:
            handle.remove()
