"""How the animals of the zoo are made: random weights, configuration and generation settings as published, tokenizer's files."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoTokenizer, PreTrainedModel

from tests.support import zoo_facts as published
from tests.support import zoo_tokenizers as tokenizers
from tests.support.zoo_facts import Facts

COMMIT = "df1b051c49625cf57a3d0d8d3863ed4d13564fe4"
SNAPSHOT = f"models--google-t5--t5-small/snapshots/{COMMIT}"
"""Where huggingface_hub keeps the files of a commit, below its cache."""


def save(
    folder: Path,
    pieces: int,
    surplus: int,
    facts: Facts,
    generation: Facts | None = None,
    kind: type[PreTrainedModel] | None = None,
    dtype: torch.dtype = torch.float32,
    **how: Any,
) -> None:
    """Save random weights of a configuration, and the configuration as published.

    Args:
        folder: where to write.
        pieces: of the tokenizer.
        surplus: rows without a piece.
        facts: the published configuration with sizes, without the number of rows.
        generation: the published generation settings, if there are any.
        kind: the host's class; by default the one that the configuration names.
        dtype: of the weights in the file.
        how: of `save_pretrained`.
    """
    facts = {**facts, "vocab_size": pieces + surplus}
    kind = kind or getattr(transformers, facts["architectures"][0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = kind.config_class(**{key: value for key, value in facts.items() if key not in published.GENERATES})
        model = kind(config)
        if facts.get("tie_word_embeddings") is False and hasattr(model, "lm_head"):
            model.lm_head.weight = nn.Parameter(torch.empty_like(model.lm_head.weight))
        _fill(model, pieces, facts)
    model.to(dtype).save_pretrained(folder, **how)
    write_json(folder / "config.json", facts)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if generation is not None:
        write_json(folder / "generation_config.json", generation)


def _fill(model: PreTrainedModel, pieces: int, facts: Facts) -> None:
    """Random weights that all matter, gains and biases too; rows without a piece are large, those of BART's padding are zero."""
    for name, parameter in model.named_parameters():
        if "norm" in name and parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.5) if name.endswith("weight") else nn.init.normal_(parameter, std=0.3)
        elif name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
        elif "relative_attention_bias" in name:
            nn.init.normal_(parameter)
        elif parameter.requires_grad:  # sinusoids are not trained
            table = "shared" in name or "embed" in name or "lm_head" in name
            nn.init.normal_(parameter, std=0.5 if table else 2 * 32**-0.5)
    tables = [model.get_input_embeddings(), model.get_output_embeddings()]
    with torch.no_grad():
        for table in {id(one.weight): one.weight for one in tables if one is not None}.values():
            table[pieces:] *= 1.5
        if "relative_attention_num_buckets" not in facts and facts["pad_token_id"] != facts["eos_token_id"]:
            model.get_input_embeddings().weight[facts["pad_token_id"]] = 0


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """A JSON file as the hub has it."""
    path.write_text(json.dumps(dict(facts), indent=2), encoding="utf-8")


def t5(folder: Path, facts: Facts = published.T5_SMALL, surplus: int = 28, **how: Any) -> None:
    save(folder, tokenizers.t5(folder), surplus, facts, published.T5_GENERATION, **how)


def added(folder: Path) -> None:
    pieces = tokenizers.t5(folder, added=("covid19", "\n"), special=("<sep>", "<table>"))
    save(folder, pieces, 0, published.T5_SMALL, published.T5_GENERATION)


def mt5(folder: Path, fill_to: int = 0) -> None:
    save(folder, tokenizers.mt5(folder, fill_to), 12, published.MT5)


def umt5(folder: Path, typed: bool = True) -> None:
    facts = {**published.UMT5, "model_type": "umt5"} if typed else published.UMT5
    save(folder, tokenizers.t5(folder, sentinels=300, limit=None), 84, facts, published.T5_GENERATION)


def byt5(folder: Path) -> None:
    save(folder, tokenizers.byt5(folder), 0, published.BYT5, published.T5_GENERATION)


def without_json(folder: Path) -> None:
    save(folder, tokenizers.t5_without_json(folder), 28, published.GATED, published.T5_GENERATION)


def bart(folder: Path, generation: Facts, body_only: bool = False) -> None:
    """BART, its configuration repeating the generation settings; of bart-base the body alone is published, under its names."""
    name = "BartModel" if body_only else "BartForConditionalGeneration"
    save(folder, tokenizers.bart(folder), 0, {**published.BART, **generation, "architectures": [name]}, generation)


def with_codes(
    folder: Path,
    tokenizer: Callable[..., int],
    facts: Facts,
    surplus: int,
    generation: Facts,
    source: str | None = None,
    target: str | None = None,
) -> None:
    """A model whose texts begin with a language code; with a target, the first token is forced, as fine-tuning leaves it."""
    pieces = tokenizer(folder, source, target)
    if target is not None:
        read = AutoTokenizer.from_pretrained(_beside(folder, facts))
        code = read.lang_code_to_id[target] if hasattr(read, "lang_code_to_id") else read.convert_tokens_to_ids(target)
        generation = {**generation, "forced_bos_token_id": int(code)}
    save(folder, pieces, surplus, facts, generation)


def _beside(folder: Path, facts: Facts) -> Path:
    """The folder, with a configuration that tells transformers which tokenizer it has."""
    write_json(folder / "config.json", {"model_type": facts["model_type"]})
    return folder


def pegasus(folder: Path) -> None:
    save(folder, tokenizers.pegasus(folder), 0, published.PEGASUS, published.PEGASUS_GENERATION)


def blenderbot(folder: Path) -> None:
    save(folder, tokenizers.blenderbot(folder), 0, published.BLENDERBOT, published.BLENDERBOT_GENERATION)


def blenderbot_small(folder: Path) -> None:
    save(folder, tokenizers.blenderbot_small(folder), 0, published.BLENDERBOT_SMALL, published.BLENDERBOT_GENERATION)


def t5gemma(folder: Path) -> None:
    pieces = tokenizers.gemma(folder)
    stacks = {stack: {**published.T5GEMMA[stack], "vocab_size": pieces} for stack in ("encoder", "decoder")}
    save(folder, pieces, 0, {**published.T5GEMMA, **stacks}, published.T5GEMMA_GENERATION)


def t5gemma2(folder: Path) -> None:
    pieces = tokenizers.gemma(folder)
    encoder, decoder = published.T5GEMMA2["encoder"], published.T5GEMMA2["decoder"]
    text = {**encoder["text_config"], "vocab_size": pieces}
    stacks = {"encoder": {**encoder, "text_config": text}, "decoder": {**decoder, "vocab_size": pieces}}
    save(folder, pieces, 0, {**published.T5GEMMA2, **stacks}, published.T5GEMMA_GENERATION)


def whisper(folder: Path, multilingual: bool = True) -> None:
    """Marks behind the pieces: end (padding too), start, languages, tasks, no times; English models use start and no times."""
    pieces, ids = tokenizers.whisper(folder)
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    own = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}
    muted = {"begin_suppress_tokens": [ids["Ġ"], end], "suppress_tokens": sorted(ids[mark] for mark in ("(", '"', ":"))}
    generation = {**published.WHISPER_GENERATION, **own, **muted, "no_timestamps_token_id": ids["<|notimestamps|>"]}
    if multilingual:
        languages = {mark: ids[mark] for mark in tokenizers.WHISPER_LANGUAGES}
        tasks = {name: ids[f"<|{name}|>"] for name in ("transcribe", "translate")}
        generation |= {"is_multilingual": True, "lang_to_id": languages, "task_to_id": tasks}
        generation["forced_decoder_ids"] = [[1, None], [2, tasks["transcribe"]]]
    else:
        generation |= {"is_multilingual": False, "forced_decoder_ids": [[1, ids["<|notimestamps|>"]]]}
    save(folder, pieces, 0, {**published.WHISPER, **own, **muted}, generation)
    write_json(folder / "preprocessor_config.json", published.WHISPER_EXTRACTOR)


def marian(folder: Path, marks: tuple[str, ...] = (), muted: bool = False) -> None:
    """Padding is the last row, starts the decoder, is forbidden in the output, and its embedding is zero.

    Args:
        folder: where to write.
        marks: of the target languages.
        muted: whether the bias of padding's logit is -10,000.
    """
    pad = tokenizers.marian(folder, marks) - 1
    ids = {"pad_token_id": pad, "decoder_start_token_id": pad, "bad_words_ids": [[pad]]}
    facts = {**published.MARIAN, **ids, "decoder_vocab_size": pad + 1}
    save(folder, pad + 1, 0, facts, {**published.MARIAN_GENERATION, **ids})
    if muted:
        weights = load_file(folder / "model.safetensors")
        weights["final_logits_bias"][0, pad] = -10_000
        save_file(weights, folder / "model.safetensors", {"format": "pt"})


def hub_cache(folder: Path) -> None:
    """As huggingface_hub stores what it fetches: blobs by hash, a snapshot of links, and a name for the commit."""
    home = folder / "models--google-t5--t5-small"
    snapshot = home / "snapshots" / COMMIT
    for place in (snapshot, home / "blobs", home / "refs"):
        place.mkdir(parents=True)
    t5(snapshot)
    for number, path in enumerate(sorted(snapshot.iterdir())):
        blob = home / "blobs" / f"{number:040x}"
        shutil.move(path, blob)
        path.symlink_to(Path("..") / ".." / "blobs" / blob.name)
    (home / "refs" / "main").write_text(COMMIT, encoding="utf-8")


def adapter(folder: Path) -> None:
    """What PEFT saves: the adapter's configuration and weights, and where its base is; no config.json, no tokenizer."""
    base, adapter = folder / "base", folder / "adapter"
    for place in (base, adapter):
        place.mkdir()
    t5(base)
    draws = torch.Generator().manual_seed(0)
    weights = {}
    for name, weight in load_file(base / "model.safetensors").items():
        module = name.removesuffix(".weight")
        if module.endswith((".q", ".v")):
            out, width = weight.shape
            weights[f"base_model.model.{module}.lora_A.weight"] = torch.randn(4, width, generator=draws) * width**-0.5
            weights[f"base_model.model.{module}.lora_B.weight"] = torch.randn(out, 4, generator=draws) * 0.1
    save_file(weights, adapter / "adapter_model.safetensors", {"format": "pt"})
    write_json(adapter / "adapter_config.json", {**published.LORA, "base_model_name_or_path": str(base)})


def other_head(folder: Path, name: str, facts: Facts, generation: Facts) -> None:
    """A checkpoint with a head that generates nothing; published configurations keep the generation settings of their base."""
    pieces, surplus = (tokenizers.t5(folder), 28) if facts["model_type"] == "t5" else (tokenizers.bart(folder), 0)
    save(folder, pieces, surplus, {**facts, "architectures": [name]}, generation)
