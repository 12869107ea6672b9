"""A zoo: tiny random checkpoints that keep every fact of public ones but their sizes.

Nothing is fetched: what the public checkpoint publishes is written down in `zoo_facts` and `zoo_tokenizers`, with small widths,
depths and vocabularies. There are as many rows of the embedding without a piece as in the public checkpoint, and they are large,
so that they are among the candidates of every step.

    animal = ANIMALS["t5-small"]
    animal.build(folder)                     a checkpoint as the hub has it
    animal.surplus, animal.forced, ...       what is true of it
    reference(animal, folder)                plain transformers: model (eager attention) and tokenizer
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from tests.support import zoo_facts as published
from tests.support import zoo_tokenizers as tokenizers
from tests.support.paths import SHARED
from tests.support.zoo_facts import Facts

ENGLISH = ("The old man sits on a wooden chair in the garden.", "A black cat is sleeping under the table.")
GERMAN = ("Der alte Mann sitzt auf einem Holzstuhl im Garten.", "Eine schwarze Katze schläft unter dem Tisch.")

TRANSLITERATION = SHARED / "models" / "transliteration"
"""A real model by others: Arabic names to Latin letters, 6+6 layers, Pegasus class; only some machines have it."""

COMMIT = "df1b051c49625cf57a3d0d8d3863ed4d13564fe4"
SNAPSHOT = f"models--google-t5--t5-small/snapshots/{COMMIT}"


@dataclass(frozen=True)
class Animal:
    """A checkpoint.

    Attributes:
        name: how the zoo calls it.
        public: the checkpoint it is like, or what it stands for.
        build: writes it into an empty folder.
        surplus: rows of the embedding without a piece.
        tied: whether the unembedding is the embedding.
        layers: of the encoder and of the decoder.
        prefix: what its sources start with.
        languages: codes of source and target that the user has to name, because neither tokenizer nor generation settings do.
        forced: id (or language mark) that generation forces first, id that it forces last where the length ends a text.
        limit: most tokens of a text; None where nothing states one.
        refused: a word that the refusal must have, for checkpoints that are no conditional generation; None for the others.
        inside: where in the folder the checkpoint is.
        sources: two source texts.
        targets: their targets.
    """

    name: str
    public: str
    build: Callable[[Path], None]
    surplus: int = 0
    tied: bool = True
    layers: tuple[int, int] = (2, 2)
    prefix: str = ""
    languages: tuple[str, str] | None = None
    forced: tuple[int | str | None, int | None] = (None, None)
    limit: int | None = 512
    refused: str | None = None
    inside: str = ""
    sources: tuple[str, ...] = ENGLISH
    targets: tuple[str, ...] = GERMAN

    def texts(self) -> list[str]:
        """The source texts with their prefix."""
        return [self.prefix + source for source in self.sources]


def reference(animal: Animal, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Plain transformers on the same files: the model, eager attention, in eval mode; an adapter is merged into its base."""
    place = folder / animal.inside
    if (place / "adapter_config.json").is_file():
        base = Path(json.loads((place / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"])
        model = _merged(AutoModelForSeq2SeqLM.from_pretrained(base, attn_implementation="eager"), place)
        return model.eval().requires_grad_(False), AutoTokenizer.from_pretrained(base)
    model = AutoModelForSeq2SeqLM.from_pretrained(place, attn_implementation="eager", dtype=torch.float32)
    return model.eval().requires_grad_(False), AutoTokenizer.from_pretrained(place)


def _merged(base: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """The base with the adapter's product added to its weights, by the formula (Hu et al. 2021), not by PEFT."""
    settings = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    weights = load_file(adapter / "adapter_model.safetensors")
    with torch.no_grad():
        for name in (key for key in weights if "lora_A" in key):
            module = base.get_submodule(name.removeprefix("base_model.model.").removesuffix(".lora_A.weight"))
            product = weights[name.replace("lora_A", "lora_B")] @ weights[name]
            module.weight += settings["lora_alpha"] / settings["r"] * product
    return base


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
    tables = [model.get_input_embeddings(), getattr(model, "lm_head", None)]
    with torch.no_grad():
        for table in {id(one.weight): one.weight for one in tables if one is not None}.values():
            table[pieces:] *= 1.5
        if "relative_attention_num_buckets" not in facts:
            model.get_input_embeddings().weight[facts["pad_token_id"]] = 0


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """A JSON file as the hub has it."""
    path.write_text(json.dumps(dict(facts), indent=2), encoding="utf-8")


def _t5(folder: Path, facts: Facts = published.T5_SMALL, surplus: int = 28, **how: Any) -> None:
    save(folder, tokenizers.t5(folder), surplus, facts, published.T5_GENERATION, **how)


def _added(folder: Path) -> None:
    pieces = tokenizers.t5(folder, added=("covid19", "\n"), special=("<sep>", "<table>"))
    save(folder, pieces, 0, published.T5_SMALL, published.T5_GENERATION)


def _mt5(folder: Path, fill_to: int = 0) -> None:
    save(folder, tokenizers.mt5(folder, fill_to), 12, published.MT5)


def _umt5(folder: Path, typed: bool = True) -> None:
    facts = {**published.UMT5, "model_type": "umt5"} if typed else published.UMT5
    save(folder, tokenizers.t5(folder, sentinels=300, limit=None), 84, facts, published.T5_GENERATION)


def _byt5(folder: Path) -> None:
    save(folder, tokenizers.byt5(folder), 0, published.BYT5, published.T5_GENERATION)


def _without_json(folder: Path) -> None:
    save(folder, tokenizers.t5_without_json(folder), 28, published.GATED, published.T5_GENERATION)


def _bart(folder: Path, generation: Facts, body_only: bool = False) -> None:
    """BART, its configuration repeating the generation settings; of bart-base the body alone is published, under its names."""
    name = "BartModel" if body_only else "BartForConditionalGeneration"
    save(folder, tokenizers.bart(folder), 0, {**published.BART, **generation, "architectures": [name]}, generation)


def _with_codes(
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


def _pegasus(folder: Path) -> None:
    save(folder, tokenizers.pegasus(folder), 0, published.PEGASUS, published.PEGASUS_GENERATION)


def _marian(folder: Path, marks: tuple[str, ...] = (), muted: bool = False) -> None:
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


def _hub_cache(folder: Path) -> None:
    """As huggingface_hub stores what it fetches: blobs by hash, a snapshot of links, and a name for the commit."""
    home = folder / "models--google-t5--t5-small"
    snapshot = home / "snapshots" / COMMIT
    for place in (snapshot, home / "blobs", home / "refs"):
        place.mkdir(parents=True)
    _t5(snapshot)
    for number, path in enumerate(sorted(snapshot.iterdir())):
        blob = home / "blobs" / f"{number:040x}"
        shutil.move(path, blob)
        path.symlink_to(Path("..") / ".." / "blobs" / blob.name)
    (home / "refs" / "main").write_text(COMMIT, encoding="utf-8")


def _adapter(folder: Path) -> None:
    """What PEFT saves: the adapter's configuration and weights, and where its base is; no config.json, no tokenizer."""
    base, adapter = folder / "base", folder / "adapter"
    for place in (base, adapter):
        place.mkdir()
    _t5(base)
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


def _other_head(folder: Path, name: str, facts: Facts, generation: Facts) -> None:
    """A checkpoint with a head that generates nothing; published configurations keep the generation settings of their base."""
    pieces, surplus = (tokenizers.t5(folder), 28) if facts["model_type"] == "t5" else (tokenizers.bart(folder), 0)
    save(folder, pieces, surplus, {**facts, "architectures": [name]}, generation)


_MBART50 = partial(
    _with_codes,
    tokenizer=tokenizers.mbart50,
    facts=published.MBART50,
    surplus=0,
    generation=published.MBART50_GENERATION,
)
_M2M100 = partial(
    _with_codes, tokenizer=tokenizers.m2m100, facts=published.M2M100, surplus=8, generation=published.M2M100_GENERATION
)
_NLLB = partial(
    _with_codes, tokenizer=tokenizers.nllb, facts=published.NLLB, surplus=2, generation=published.NLLB_GENERATION
)
_BF16 = partial(_t5, facts={**published.T5_SMALL, "torch_dtype": "bfloat16"}, dtype=torch.bfloat16)
_DE = "translate English to German: "


def _other(name: str, public: str, facts: Facts, generation: Facts | None = None) -> Animal:
    build = partial(_other_head, name=name, facts=facts, generation=generation)
    return Animal(public.split("/")[-1], f"{public}, a {name}", build, refused=name)


_ANIMALS = (
    Animal("t5-small", "google-t5/t5-small", _t5, 28, prefix=_DE),
    Animal("t5-v1_1-small", "google/t5-v1_1-small", partial(_t5, facts=published.GATED), 28, tied=False),
    Animal("flan-t5-small", "google/flan-t5-small", partial(_t5, facts=published.FLAN), 28, tied=False),
    Animal("mt5-small", "google/mt5-small", _mt5, 12, tied=False, limit=None),
    Animal("mt5-rows", "google/mt5-small with its 250,112 rows", partial(_mt5, fill_to=250_100), 12, tied=False, limit=None),
    Animal("byt5-small", "google/byt5-small", _byt5, tied=False, layers=(6, 2), limit=None),
    Animal("umt5-small", "google/umt5-small", _umt5, 84, tied=False, limit=None),
    Animal("umt5-untyped", "google/umt5-small as published", partial(_umt5, typed=False), 84, tied=False, limit=None),
    Animal("t5-added", "a T5 with added tokens", _added, prefix=_DE),
    Animal("t5-without-json", "google/t5-v1_1-small, spiece.model alone", _without_json, 28, tied=False, limit=None),
    Animal("t5-sharded", "a T5 in several files", partial(_t5, max_shard_size="20KB"), 28, prefix=_DE),
    Animal("t5-bf16", "a T5 saved in bfloat16", _BF16, 28, prefix=_DE),
    Animal("hub-cache", "google-t5/t5-small where huggingface_hub keeps it", _hub_cache, 28, prefix=_DE, inside=SNAPSHOT),
    Animal("t5-lora", "a LoRA adapter of a T5", _adapter, 28, prefix=_DE, inside="adapter"),
    Animal("bart-base", "facebook/bart-base", partial(_bart, generation=published.BASE_GENERATION, body_only=True),
           forced=(0, 2), limit=1024),
    Animal("bart-large-cnn", "facebook/bart-large-cnn", partial(_bart, generation=published.CNN_GENERATION),
           forced=(0, 2), limit=1024),
    Animal("mbart50", "facebook/mbart-large-50-many-to-many-mmt", _MBART50, languages=("en_XX", "de_DE"), forced=(None, 2),
           limit=1024),
    Animal("mbart50-de", "mbart-large-50 fine-tuned to German", partial(_MBART50, source="en_XX", target="de_DE"),
           forced=("de_DE", 2), limit=1024),
    Animal("opus-mt-en-de", "Helsinki-NLP/opus-mt-en-de", _marian, forced=(None, 0)),
    Animal("opus-mt-en-mul", "Helsinki-NLP/opus-mt-en-mul", partial(_marian, marks=(">>fra<<", ">>deu<<"), muted=True),
           prefix=">>deu<< ", forced=(None, 0)),
    Animal("pegasus-xsum", "google/pegasus-xsum", _pegasus, forced=(None, 1)),
    Animal("m2m100", "facebook/m2m100_418M", _M2M100, 8, languages=("en", "de"), limit=1024),
    Animal("m2m100-de", "m2m100_418M fine-tuned to German", partial(_M2M100, source="en", target="de"), 8,
           forced=("__de__", None), limit=1024),
    Animal("nllb", "facebook/nllb-200-distilled-600M", _NLLB, 2, languages=("eng_Latn", "deu_Latn"), limit=1024),
    Animal("nllb-de", "nllb-200-distilled-600M fine-tuned to German", partial(_NLLB, source="eng_Latn", target="deu_Latn"), 2,
           forced=("deu_Latn", None), limit=1024),
    _other("T5ForSequenceClassification", "t5-classifier", published.T5_SMALL, published.T5_GENERATION),
    _other("T5ForQuestionAnswering", "t5-answers", published.T5_SMALL, published.T5_GENERATION),
    _other("T5ForTokenClassification", "t5-tagger", published.T5_SMALL),
    _other("T5EncoderModel", "google/xtr-base-en", published.GATED),
    _other("BartForSequenceClassification", "facebook/bart-large-mnli", published.BART),
    _other("BartForQuestionAnswering", "bart-squad", published.BART),
)  # fmt: skip

ANIMALS = {animal.name: animal for animal in _ANIMALS}
GENERATORS = tuple(name for name, animal in ANIMALS.items() if animal.refused is None)
OTHERS = tuple(name for name, animal in ANIMALS.items() if animal.refused is not None)
