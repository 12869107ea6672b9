"""What a store of activations costs, against the model's own forward pass on the same batches. Linux only.

python -m benchmarks.activations                       # 2,000 and 20,000 sentences; bars: speed 0.9, memory 1.2 and 1.05
python -m benchmarks.activations 500 2000 --shape small --hook decoder.5.hook_resid_post

Each of the following is a process of its own; processor time and largest resident memory are those of the process without what it
needed to start (for memory: with it, since both have it). `forward` makes the same batches and runs the whole encoder-decoder on
them, logits and all; `bare` is its time without the making of batches.
"""

import argparse
import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import T5Config, T5ForConditionalGeneration

import interp
from benchmarks.run_memory import sentences
from interp.activations import write_activations
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import PromptStream

BATCH = 16
_ADVERBS = (
    "today|again|slowly|at last|as always|in the rain|with a smile|for hours|once more|without a word|since noon|alone"
)
_NAMES = "Anna|Ben|Clara|David|Emma|Frank|Greta|Hugo|Ida|Jonas"


def corpus(count: int, path: Path) -> None:
    """Write a corpus of our own sentences with targets of the same length, in random order."""
    parts = [text.removesuffix(".") for text in sentences(1000)]
    made = [" ".join(words) for words in itertools.product(parts, _ADVERBS.split("|"), ["near"], _NAMES.split("|"))]
    random.Random(0).shuffle(made)
    with path.open("w", encoding="utf-8") as file:
        for text in made[:count]:
            file.write(json.dumps({"source": f"{text}.", "target": f"{text.split(': ')[1]}."}) + "\n")


def model_of(shape: str) -> HookedEncoderDecoder:
    """The bundled model, or one of T5-small's shape with its tokenizer and random weights."""
    model = interp.load(device="cpu")
    if shape == "bundled":
        return model
    sizes = {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "vocab_size": 32_128}
    torch.manual_seed(0)
    config = T5Config(**sizes, decoder_start_token_id=0)
    return HookedEncoderDecoder(T5ForConditionalGeneration(config).requires_grad_(False), model.tokenizer)


def forward(model: HookedEncoderDecoder, texts: Path) -> float:
    """Processor seconds of the passes alone, over all batches of a corpus."""
    prompts, seconds = iter(PromptStream(texts)), 0.0
    while chunk := list(itertools.islice(prompts, BATCH)):
        batch = model.batch([one.source for one in chunk], [str(one.target) for one in chunk])
        fields = {name: batch[name] for name in batch if name != "labels"}
        started = time.process_time()
        with torch.no_grad():
            model.hf(**fields, use_cache=False)
        seconds += time.process_time() - started
    return seconds


def work(what: str, shape: str, texts: Path, out: Path, hook: str) -> None:
    """One measurement in this process, printed as JSON."""
    model = model_of(shape)
    started, bare = time.process_time(), 0.0
    if what == "forward":
        bare = forward(model, texts)
    else:
        write_activations(model, PromptStream(texts), out, hook, batch_size=BATCH)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": time.process_time() - started, "bare": bare, "peak": peak}))


def measure(what: str, shape: str, texts: Path, out: Path, hook: str) -> dict[str, float]:
    """One measurement in a process of its own."""
    words = ["--work", what, "--shape", shape, "--texts", str(texts), "--out", str(out), "--hook", hook]
    command = [sys.executable, "-m", "benchmarks.activations", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, default=[2000, 20_000])
    parser.add_argument("--shape", choices=("bundled", "small"), default="bundled")
    parser.add_argument("--hook", action="append")
    parser.add_argument("--work")
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    hooks = chosen.hook or ["encoder.1.hook_resid_post", "decoder.3.hook_resid_post"]
    if chosen.work:
        work(chosen.work, chosen.shape, chosen.texts, chosen.out, hooks[0])
        return
    peaks: dict[str, float] = {}
    for count in chosen.counts:
        with tempfile.TemporaryDirectory() as folder:
            texts = Path(folder) / "corpus.jsonl"
            corpus(count, texts)
            own = measure("forward", chosen.shape, texts, Path(folder), hooks[0])
            for hook in hooks:
                store = measure("store", chosen.shape, texts, Path(folder) / "store", hook)
                first = peaks.setdefault(hook, store["peak"])
                print(
                    f"{count:6d} sentences, {hook}: speed {own['bare'] / store['seconds']:.2f} of the bare forward pass, "
                    f"{own['seconds'] / store['seconds']:.2f} of batches and pass; peak {store['peak'] / 2**20:.0f} MiB, "
                    f"{store['peak'] / own['peak']:.2f} of the forward's, {store['peak'] / first:.2f} of the first count's; "
                    f"{store['seconds']:.1f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
