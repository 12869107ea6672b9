"""The same work done by TransformerLens and nnsight, where they are installed: a full cache, and patterns only."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import ByT5Tokenizer, T5ForConditionalGeneration

Case = Callable[[], object]


def transformer_lens_cases(hf: T5ForConditionalGeneration, inputs: dict[str, torch.Tensor]) -> dict[str, Case]:
    """TransformerLens 4: the bridge wraps the host model, eager attention, every hook cached."""
    import copy

    from transformer_lens.model_bridge import TransformerBridge

    # The tokenizer is never used, but the bridge would fetch one.
    bridge = TransformerBridge.boot_transformers(
        "google-t5/t5-small", hf_model=copy.deepcopy(hf), tokenizer=ByT5Tokenizer(), device=str(hf.device)
    )
    fields = {name: tensor for name, tensor in inputs.items() if name != "input_ids"}

    def run(**options: object) -> object:
        return bridge.run_with_cache(inputs["input_ids"], **fields, **options)

    return {
        "TransformerLens, full cache": run,
        "TransformerLens, patterns": lambda: run(names_filter=lambda name: name.endswith("hook_pattern")),
    }


def nnsight_cases(hf: T5ForConditionalGeneration, inputs: dict[str, torch.Tensor]) -> dict[str, Case]:
    """nnsight: every sublayer's output and every attention's projections saved, which is less than a full cache here."""
    import copy

    from nnsight import NNsight

    wrapped = NNsight(copy.deepcopy(hf))

    def run() -> list[object]:
        saved: list[object] = []
        with wrapped.trace(**inputs):
            for block in wrapped.encoder.block:
                _save_attention(saved, block.layer[0].SelfAttention)
                _save_feed_forward(saved, block.layer[1])
            for block in wrapped.decoder.block:
                _save_attention(saved, block.layer[0].SelfAttention)
                _save_attention(saved, block.layer[1].EncDecAttention)
                _save_feed_forward(saved, block.layer[2])
        return saved

    return {"nnsight, outputs of every sublayer": run}


def _save_attention(saved: list[object], attention: Any) -> None:
    saved.extend(getattr(attention, name).output.save() for name in ("q", "k", "v", "o"))


def _save_feed_forward(saved: list[object], layer: Any) -> None:
    modules = (layer.layer_norm, layer.DenseReluDense.wi, layer.DenseReluDense.wo)
    saved.extend(module.output.save() for module in modules)
