"""Links of one chosen aligner, without gold: those of the benchmark, with shares that can be computed by hand."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from analyses.cli import app
from analyses.cross_attention_focus.alignment import (
    AlignedPair,
    Conventions,
    chosen_links,
    default_aligner,
    read_gold,
    system_links,
    write_links,
)
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder

pytestmark = pytest.mark.slow

PREFIX = "translate English to German:"
DOG = (f"{PREFIX} The dog sleeps.", "Der Hund schläft.", ("The", "dog", "sleeps", "."), ("Der", "Hund", "schläft", "."))
CAR = (f"{PREFIX} A red car.", "Ein rotes Auto.", ("Ared", "car."), ("Einrotes", "Auto", "."))
PAIRS = (AlignedPair(PREFIX, *DOG), AlignedPair(PREFIX, *CAR))


@pytest.mark.parametrize(
    "aligner", ["XL2H4", "XL2H4 norm", "layer 2", "layer 1 norm", "alti layer 3", "rollout layer 0"]
)
@pytest.mark.parametrize("how", [Conventions("output", "words", False), Conventions("input", "words", True)], ids=str)
def test_links_are_those_that_the_benchmark_scores(
    bundled: HookedEncoderDecoder, aligner: str, how: Conventions
) -> None:
    known = system_links(bundled, PAIRS)
    name = next(one for one in (aligner, f"{aligner} raw") if (one, how) in known)
    found = chosen_links(bundled, PAIRS, aligner, how)
    assert [frozenset(links) for links in found] == known[name, how]
    assert all(0 < share <= 1 + 1e-6 for links in found for share in links.values())


def test_a_share_is_what_the_rows_of_a_target_word_read_of_the_source_word(bundled: HookedEncoderDecoder) -> None:
    pair = PAIRS[1]
    batch = bundled.batch([pair.source], [pair.target])
    with torch.no_grad():
        _, cache = bundled.run_with_cache(batch, "decoder.2.cross_attn.hook_pattern")
    pattern = cache["pattern", 2, "cross_attn"][0, 4].numpy()
    pieces, targets = batch.source_texts[0].pieces, batch.target_texts[0].pieces
    start = pieces.index(":") + 1
    ared = [start + place for place, piece in enumerate(pieces[start:]) if piece in ("▁A", "▁red", "▁", "A", "red")]
    einrotes = [place for place, _ in enumerate(targets) if place < targets.index("▁Auto")]
    by_hand = pattern[np.ix_(einrotes, ared)].sum(1).mean()
    (links,) = chosen_links(bundled, [pair], "XL2H4", Conventions("output", "words", False))
    assert links[0, 0] == pytest.approx(float(by_hand), abs=1e-6)


def test_text_is_what_gold_files_hold(bundled: HookedEncoderDecoder) -> None:
    found = chosen_links(bundled, PAIRS, default_aligner(bundled.cfg), Conventions("output", "words", True))
    plain = write_links(found, first=1, target_first=True)
    assert [gold.sure for gold in read_gold(plain, 1, target_first=True)] == [frozenset(links) for links in found]
    assert all(re.fullmatch(r"\d+-\d+:\d\.\d{3}", link) for link in write_links(found, scores=True).split())


@pytest.mark.parametrize(
    ("aligner", "message"), [("XL9H9", "XL"), ("layer 7", "layer"), ("X2.1", "XL2H1"), ("DL0H1", "cross")]
)
def test_an_aligner_that_is_not_there_is_refused(bundled: HookedEncoderDecoder, aligner: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen_links(bundled, PAIRS, aligner, Conventions("output", "words", False))


def test_the_command_honors_the_callers_words_and_refuses_what_it_would_ignore(tmp_path: Path) -> None:
    prompts = tmp_path / "pairs.jsonl"
    own = {"source_words": "Thewhole sentence.", "target_words": "Der ganze Satz ."}
    line = {"source": f"{PREFIX} The whole sentence.", "target": "Der ganze Satz."}
    prompts.write_text(json.dumps(line | own) + "\n" + json.dumps(line), encoding="utf-8")

    def run(*flags: str) -> tuple[int, list[str], str]:
        done = CliRunner().invoke(app, ["align", str(prompts), *flags])
        return done.exit_code, done.stdout.splitlines(), done.stderr

    code, lines, error = run("--scores", "--masked")
    assert (code, len(lines)) == (0, 2), error
    sources = [{int(link.split("-")[0]) for link in text.split()} for text in lines]
    assert sources[0] == {0, 1}
    assert max(sources[1]) > 1
    links = tmp_path / "links.txt"
    assert run("--by", "XL2H4", "--one-based", "--links", str(links))[0] == 0
    assert all(read_gold(links.read_text(), 1))
    gold = tmp_path / "gold.txt"
    gold.write_text("0-0\n0-0\n")
    for flags, message in {
        ("--gold", str(gold), "--scores"): "--scores",
        ("--gold", str(gold), "--by", "XL2H4"): "--by",
        ("--reverse-prefix", "x:"): "--gold",
    }.items():
        code, lines, error = run(*flags)
        assert (code, lines) == (2, [])
        assert message in error
