"""The recipe of the bundled model, end to end on twenty sentences: data, tokenizer, loss, clock, resuming, export, card."""

import gzip
import hashlib
import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, T5ForConditionalGeneration

from interp.errors import InputError
from interp.pairs import TranslationPair, read_pairs
from training.card import worst_translations
from training.clock import STEP_CAP, BudgetClock
from training.curve import draw, read_log
from training.data import Example, collate, epoch_batches
from training.export import export, read_recipe
from training.objective import ByteDropout, batch_loss, use_byte_dropout
from training.recipe import Recipe
from training.run import Run
from training.tasks import Encoder, corrupt_spans, epoch_texts, reverse_prefix
from training.tokenizer import add_words, build, pieces_of
from training.train import make_tokenizer, train
from training.workers import Workers

ROOT = Path(__file__).parent.parent
ENGLISH = ("The {a} is on the {b}.", "A {a} stands near the {b} today.")
OTHER = {
    "de": ("Das {a} ist auf dem {b}.", "Ein {a} steht heute beim {b}."),
    "fr": ("Le {a} est sur le {b}.", "Un {a} est près du {b}."),
}
NAMES = {"de": "German", "fr": "French"}
THINGS = ("goat", "table", "dog", "chair", "horse")
RECIPE = Recipe(
    d_model=16, d_kv=4, d_ff=24, layers=1, heads=3, vocabulary=168, unigram_pieces=60, tokens_per_batch=120, warmup_steps=5,
    spans=0.3, reverse=True,
)  # fmt: skip


def tiny_pairs(copies: int = 1) -> tuple[TranslationPair, ...]:
    """Twenty pairs: five things, two sentences, two languages."""
    pairs = []
    for language in ("de", "fr"):
        for english, other in zip(ENGLISH, OTHER[language], strict=True):
            for a, b in zip(THINGS, (*THINGS[1:], THINGS[0]), strict=True):
                source = f"translate English to {NAMES[language]}: " + english.format(a=a, b=b)
                pairs.append(TranslationPair("toy", language, source, other.format(a=a.upper(), b=b.upper())))
    return tuple(pairs) * copies


def write_pairs(path: Path, pairs: tuple[TranslationPair, ...]) -> Path:
    text = "".join(f"{pair.corpus}\t{pair.language}\t{pair.source}\t{pair.target}\n" for pair in pairs)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def weights(run: Run) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in run.model.parameters()])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("finished")
    return train(tiny_pairs(), RECIPE, BudgetClock(steps=120), folder)


def test_loss_falls_and_resuming_gives_the_weights_of_an_uninterrupted_run(finished: Run, tmp_path: Path) -> None:
    curve = read_log(finished.folder / "log.jsonl")
    assert curve.steps == (50, 100, 120)
    assert curve.losses[-1] < curve.losses[0] - 0.5
    for stop in (17, 50, 71, None):
        resumed = train(tiny_pairs(), RECIPE, BudgetClock(steps=120), tmp_path, stop_after=stop)
    assert torch.equal(weights(resumed), weights(finished))
    assert read_log(tmp_path / "log.jsonl").losses == curve.losses


def test_log_lines_after_the_checkpoint_are_written_once(tmp_path: Path) -> None:
    train(tiny_pairs(), RECIPE, BudgetClock(steps=120), tmp_path, stop_after=40)
    log = tmp_path / "log.jsonl"
    lost = {"step": 50, "seconds": 1.0, "epoch": 0, "progress": 0.4, "loss": 9.0, "held_out": None}
    log.write_text(json.dumps(lost) + "\n")
    train(tiny_pairs(), RECIPE, BudgetClock(steps=120), tmp_path, stop_after=60)
    curve = read_log(log)
    assert curve.steps == (50,)
    assert curve.losses[0] < 9.0


def test_another_recipe_in_the_folder_is_refused(finished: Run) -> None:
    with pytest.raises(InputError, match=r"holds a run of another recipe .* Choose another folder"):
        train(tiny_pairs(), replace(RECIPE, seed=1), BudgetClock(steps=120), finished.folder)


def test_export_reloads_with_plain_transformers_and_the_card_tells_its_files(finished: Run, tmp_path: Path) -> None:
    card = export(finished.folder, tiny_pairs(), tmp_path, "bfloat16", "python -m training.train --steps 120")
    model, tokenizer = T5ForConditionalGeneration.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert model.dtype == torch.float32
    for name, parameter in finished.model.named_parameters():
        assert torch.equal(model.get_parameter(name), parameter.bfloat16().float()), name
    assert tokenizer.model_max_length == 128
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 167, 68]) == [
        "<pad>",
        "</s>",
        "<unk>",
        "<extra_id_0>",
        "<extra_id_99>",
    ]
    assert model.generation_config.max_new_tokens == 128
    listed = dict(reversed(line.split()) for line in (tmp_path / "sha256.txt").read_text().splitlines())
    assert set(listed) == {path.name for path in tmp_path.iterdir()} - {"sha256.txt"}
    assert all(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest for name, digest in listed.items())
    text = (tmp_path / "MODEL_CARD.md").read_text()
    assert f"| toy | de | 10 | {card.scores[0].bleu:.1f} | {card.scores[0].chrf:.1f} |" in text
    assert listed["model.safetensors"] in text
    assert "120 steps" in text
    assert card.scores[0].bleu_signature in text
    assert read_recipe(finished.folder) == RECIPE


def test_a_warm_start_keeps_known_pieces_and_averages_the_parts_of_new_ones(finished: Run, tmp_path: Path) -> None:
    start = tmp_path / "start"
    export(finished.folder, tiny_pairs(), start, "float32", "")
    grown = replace(RECIPE, vocabulary=176)
    run = train(tiny_pairs(), grown, BudgetClock(steps=10), tmp_path / "run", start=start, stop_after=0)
    old, new = AutoTokenizer.from_pretrained(start), AutoTokenizer.from_pretrained(tmp_path / "run" / "tokenizer")
    before, after = finished.model.shared.weight, run.model.shared.weight
    added = [piece for piece in new.get_vocab() if piece not in old.get_vocab()]
    assert len(added) == 8
    for piece, row in new.get_vocab().items():
        parts = [piece] if piece in old.get_vocab() else old.tokenize(piece.removeprefix("▁"))
        expected = before[old.convert_tokens_to_ids(parts)].mean(0)
        torch.testing.assert_close(after[row], expected, msg=piece)
    layer = "decoder.block.0.layer.1.EncDecAttention.q.weight"
    assert torch.equal(run.model.get_parameter(layer), finished.model.get_parameter(layer))
    with pytest.raises(InputError, match="has d_ff 24, but the recipe asks for 32"):
        train(tiny_pairs(), replace(grown, d_ff=32), BudgetClock(steps=10), tmp_path / "other", start=start)


@pytest.mark.slow
def test_two_processes_take_the_step_of_one(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "pairs.tsv", tiny_pairs())
    settings = {**RECIPE.__dict__, "dropout": 0.0}
    words = ["--train", str(data), "--steps", "20", "--threads", "1"]
    words += [word for name, value in settings.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    one = [sys.executable, "-m", "training.train"]
    two = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "training.train",
    ]
    for name, command in (("one", one), ("two", two)):
        done = subprocess.run(
            [*command, *words, "--runs", str(tmp_path / name)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    states = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("one", "two")]
    assert [len(state["generators"]) for state in states] == [1, 2]
    for name, value in states[0]["model"].items():
        torch.testing.assert_close(states[1]["model"][name], value, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match="written by 2 processes, but this run has 1"):
        train(read_pairs(data), replace(RECIPE, dropout=0.0), BudgetClock(steps=20), tmp_path / "two")


def test_shares_of_a_batch_make_the_batch() -> None:
    batch = list(range(7))
    parts = [Workers(rank, 3).share(batch) for rank in range(3)]
    assert sorted(item for part in parts for item in part) == batch
    assert [Workers(rank, 3).share(batch[:2]) for rank in range(3)] == [[0, 1], (), ()]


def test_loss_and_gradients_equal_those_of_transformers_and_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(RECIPE.config()).eval()
    draw = random.Random(0)
    examples = [
        Example(tuple(draw.choices(range(3, 150), k=source)), tuple(draw.choices(range(3, 150), k=target)))
        for source, target in ((9, 4), (5, 12), (3, 3))
    ]
    batch = collate(examples, torch.device("cpu"))
    labels = batch.target.masked_fill(~batch.target_mask, -100)
    logits = model(input_ids=batch.source, attention_mask=batch.source_mask, labels=labels).logits
    reference = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), label_smoothing=0.1, reduction="sum"
    )
    loss = batch_loss(model, batch, 0.1)
    torch.testing.assert_close(loss, reference)
    parameters = list(model.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(reference, parameters), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    alone = sum(batch_loss(model, collate([example], torch.device("cpu")), 0.1) for example in examples)
    torch.testing.assert_close(loss, alone)


def test_byte_dropout_drops_the_share_it_says_and_keeps_the_mean() -> None:
    dropout = ByteDropout(0.25)
    values = torch.ones(400, 501)
    dropped = dropout(values)
    assert (dropped == 0).double().mean().item() == pytest.approx(0.25, abs=0.005)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert torch.equal(dropout.eval()(values), values)
    model = T5ForConditionalGeneration(RECIPE.config())
    use_byte_dropout(model, 0.25)
    assert not [module for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert any(isinstance(module, ByteDropout) for module in model.modules())


def test_batches_hold_every_example_once_within_the_limit_in_an_order_of_seed_and_epoch() -> None:
    draw = random.Random(1)
    examples = [Example((index, *[5] * draw.randint(1, 20)), (6,) * draw.randint(1, 20)) for index in range(200)]
    batches = list(epoch_batches(examples, 160, seed=3, epoch=2))
    assert sorted(example.source[0] for batch in batches for example in batch) == list(range(200))
    sizes = [len(batch) * (max(len(e.source) for e in batch) + max(len(e.target) for e in batch)) for batch in batches]
    assert max(sizes) <= 160
    tokens = sum(len(example.source) + len(example.target) for example in examples)
    assert tokens / sum(sizes) > 0.75
    assert batches == list(epoch_batches(examples, 160, seed=3, epoch=2))
    assert batches != list(epoch_batches(examples, 160, seed=3, epoch=3))


def test_tasks_are_a_function_of_the_epoch_and_follow_the_recipe() -> None:
    pairs = tiny_pairs(5)
    recipe = replace(RECIPE, repeats=(("toy", "fr", 3),), spans=0.5, input_noise=0.5)
    texts = list(epoch_texts(pairs, recipe, 0))
    assert texts == list(epoch_texts(pairs, recipe, 0))
    assert texts != list(epoch_texts(pairs, recipe, 1))
    sources = [source for source, _ in texts]
    assert sum(source.startswith("translate English to French: ") for source in sources) == 150
    assert sum(source.startswith("translate German to English: ") for source in sources) == 50
    assert 20 < sum("<extra_id_0>" in source for source in sources) < 80
    assert any(source.endswith("today") for source in sources)
    assert any(": the" in source for source in sources)
    with pytest.raises(InputError, match="'summarize: ' cannot be reversed"):
        reverse_prefix("summarize: ")


@pytest.mark.parametrize("length", [1, 2, 5, 13, 40, 77])
def test_span_corruption_can_be_undone_and_hides_fifteen_percent(length: int) -> None:
    words = [f"w{index}" for index in range(length)]
    for seed in range(20):
        source, target = corrupt_spans(" ".join(words), random.Random(seed))
        spans: dict[str, list[str]] = {}
        for word in target.split():
            if word.startswith("<extra_id_"):
                spans[word] = []
            else:
                spans[list(spans)[-1]].append(word)
        restored = [word for piece in source.split() for word in spans.get(piece, [piece])]
        assert restored == words
        assert sum(map(len, spans.values())) == max(1, round(0.15 * length))
        assert list(spans) == [f"<extra_id_{index}>" for index in range(len(spans))]
        assert [piece for piece in source.split() if piece in spans] == list(spans)[:-1]


def test_listed_and_frequent_words_become_single_pieces_and_equal_texts_give_equal_tokenizers() -> None:
    tokenizer = make_tokenizer(tiny_pairs(), RECIPE, None)
    for word in ("translate", "English", "German", "French", *THINGS):
        assert tokenizer.tokenize(word) == [f"▁{word}"], word
    assert tokenizer.get_vocab() == make_tokenizer(tiny_pairs(), RECIPE, None).get_vocab()
    text = "The goat is on the table."
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    with pytest.raises(InputError, match=r"No tokenizer of 5 pieces can be fitted .* Change unigram_pieces"):
        make_tokenizer(tiny_pairs(), replace(RECIPE, unigram_pieces=5), None)
    with pytest.raises(InputError, match=r"The pairs give a vocabulary of \d+, .* but the recipe asks for 900"):
        make_tokenizer(tiny_pairs(), replace(RECIPE, vocabulary=900), None)


def test_words_absent_from_the_texts_are_not_added() -> None:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("a", -2.0), ("b", -2.0)]
    grown = add_words(pieces, ["ab ab ba"], 7, ("zebra", "ba"))
    assert [piece for piece, _ in grown[6:]] == ["▁ba"]
    assert build(grown).tokenize("ba ab") == ["▁ba", "▁", "a", "b"]


def test_only_a_unigram_tokenizer_can_be_extended(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        pieces_of(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE"}}))
    with pytest.raises(InputError, match="is a BPE tokenizer, but only a Unigram one"):
        pieces_of(tmp_path)


def test_texts_are_encoded_once_and_cut_at_128_tokens() -> None:
    encoder = Encoder(make_tokenizer(tiny_pairs(), RECIPE, None))
    (first,) = encoder.encode([("The goat " * 200, "goat")])
    assert len(first.source) == 128
    assert first.source[-1] == 1
    (again,) = encoder.encode([("The goat " * 200, "goat")])
    assert again.source is first.source


def test_the_clock_counts_steps_or_capped_seconds() -> None:
    clock = BudgetClock(seconds=10.0)
    clock.count(1.5)
    clock.count(3600.0)  # Stopped for an hour in the middle of a step.
    assert clock.spent == 1.5 + STEP_CAP
    assert clock.progress == pytest.approx(0.45)
    steps = BudgetClock(steps=2)
    steps.count(3600.0)
    assert (steps.progress, steps.over) == (0.5, False)
    steps.count(0.1)
    assert steps.over
    for wrong in ({}, {"steps": 1, "seconds": 1.0}, {"steps": 0}, {"seconds": -1.0}):
        with pytest.raises(InputError, match="Give exactly one of --steps and --minutes"):
            BudgetClock(**wrong)


def test_the_step_size_warms_up_and_falls_to_zero() -> None:
    recipe = Recipe(peak_rate=0.1, warmup_steps=10)
    assert recipe.rate(0, 0.0) == pytest.approx(0.01)
    assert recipe.rate(9, 0.0) == pytest.approx(0.1)
    assert recipe.rate(500, 0.5) == pytest.approx(0.05)
    assert recipe.rate(999, 1.0) == pytest.approx(0.0)


def test_recipes_are_read_from_settings() -> None:
    assert Recipe.of(["layers=6", "peak_rate=1", 'repeats=[["toy", "de", 2]]', "reverse=true"]) == Recipe(
        layers=6, peak_rate=1.0, repeats=(("toy", "de", 2),), reverse=True
    )
    for setting, message in (
        ("layer=6", "no field 'layer'. Its fields are d_model"),
        ("layers=six", "is not FIELD=VALUE"),
        ("layers=6.5", "layers is of type int, got 6.5"),
    ):
        with pytest.raises(InputError, match=message):
            Recipe.of([setting])


def test_parameters_are_counted_and_limited() -> None:
    model = T5ForConditionalGeneration(RECIPE.config())
    assert RECIPE.parameters() == sum(parameter.numel() for parameter in model.parameters())
    with pytest.raises(InputError, match="at most 16,000,000 are allowed"):
        Recipe(d_model=512, heads=8, d_kv=64, layers=6).config()


def test_the_loss_curve_is_drawn_the_same_every_time(finished: Run, tmp_path: Path) -> None:
    curve = read_log(finished.folder / "log.jsonl")
    draw(curve, tmp_path / "a.svg")
    draw(curve, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "optimizer steps" in (tmp_path / "a.svg").read_text()
    with pytest.raises(InputError, match="no loss logged"):
        read_log(tmp_path / "log.jsonl")


def test_the_worst_translations_are_the_worst_of_each_group() -> None:
    pairs = [replace(pair, corpus=pair.language) for pair in tiny_pairs()]
    translations = [pair.target for pair in pairs]
    translations[3], translations[15] = "nothing", "Le"
    shown = worst_translations(pairs, translations)
    assert {text for _, _, text in shown} == {"nothing", "Le"}
    with pytest.raises(InputError, match="No test sentence has 6 words"):
        worst_translations([replace(pairs[0], source="translate English to German: Go on.")], ["Weiter."])
