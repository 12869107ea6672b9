"""The tiny traces: a language whose links are right, small models, and a script that makes the same bytes again."""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from interp.circuits.pairs import halves
from interp.patching import parse_pairs
from tests.support.traces import GOLD, PAIRS, PROMPTS, TRACES
from training import traces
from training.toy_language import PREFIXES, sentences


def bytes_of(folder: Path) -> dict[str, str]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_every_word_is_linked_once_and_to_its_translation() -> None:
    seen: dict[tuple[str, str], set[str]] = {}
    for one in sentences(400, 1):
        for language, links in one.links.items():
            words = one.translations[language]
            assert sorted(target for _, target in links) == list(range(len(words)))
            assert sorted(source for source, _ in links) == list(range(len(one.english)))
            for source, target in links:
                seen.setdefault((language, one.english[source]), set()).add(words[target])
    # Articles and colors agree with their place; all other words have one translation.
    several = {word for (_, word), found in seen.items() if len(found) > 1}
    assert several <= {"the", "a", "black", "white", "red", "brown", "gray", "green"}
    assert seen["fr", "the"] == {"le"}
    assert seen["de", "the"] == {"der", "den"}


def test_german_puts_the_infinitive_last_and_french_the_color_behind() -> None:
    moved = Counter()
    for one in sentences(400, 2):
        if {"can", "must", "will"} & set(one.english):
            infinitive = next(place for place, word in enumerate(one.english) if word in ("can", "must", "will")) + 1
            assert (infinitive, len(one.english) - 1) in one.links["de"]
            moved["de"] += 1
        for place, word in enumerate(one.english):
            if word in ("black", "red"):
                at = dict(one.links["fr"])
                assert at[place] == at[place + 1] + 1
                moved["fr"] += 1
    assert min(moved.values()) > 50


def test_no_prompt_was_trained_on_and_gold_links_fit_the_prompts() -> None:
    pairs, asked = traces.corpus()
    trained = {pair.source for pair in pairs}
    assert not trained & {one.pair(language).source for one in asked for language in PREFIXES}
    assert len(PROMPTS.read_text(encoding="utf-8").splitlines()) == len(GOLD.read_text().splitlines()) == 48


def test_sides_of_a_pair_differ_in_one_word_and_in_its_translation() -> None:
    pairs = parse_pairs(PAIRS.read_text(encoding="utf-8"), PAIRS.name)
    assert len(pairs) == 24
    for pair in pairs:
        for first, second in ((pair.clean, pair.corrupted), (pair.clean_target, pair.corrupted_target)):
            words = list(zip(first.split(), second.split(), strict=True))
            assert sum(one != other for one, other in words) == 1
    # Halves are every second pair; each asks about both languages.
    for half in halves(pairs):
        assert {pair.clean.split()[3] for pair in half} == {"German:", "French:"}


def test_what_is_shipped_is_small_and_whole() -> None:
    assert traces.RECIPE.parameters() <= 600_000
    assert sum(path.stat().st_size for path in TRACES.rglob("*") if path.is_file()) <= 16_000_000
    assert {path.name for path in TRACES.iterdir() if path.is_dir()} == set(traces.RUNS)
    for name in traces.RUNS:
        steps = {int(path.name.removeprefix("step-")) for path in (TRACES / name).iterdir()}
        assert steps == set(traces.STEPS)
        assert len(steps) == 12
    # A run on shuffled pairs begins where the first seed does.
    first = [(TRACES / name / "step-0" / "model.safetensors").read_bytes() for name in ("seed-0", "shuffled", "seed-1")]
    assert first[0] == first[1] != first[2]


@pytest.mark.slow
def test_the_script_makes_the_same_bytes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "STEPS", (0, 2, 3))
    monkeypatch.setitem(traces.RUNS, "seed-1", replace(traces.RUNS["seed-1"], warmup_steps=2))
    pairs, asked = traces.corpus()
    for name in ("once", "again"):
        traces.make_run("seed-1", tmp_path / name, pairs)
        traces.write_prompts(tmp_path / name, asked)
        traces.write_pairs(tmp_path / name, asked)
    assert bytes_of(tmp_path / "once") == bytes_of(tmp_path / "again")
    assert (tmp_path / "once" / "prompts.gold").read_bytes() == GOLD.read_bytes()
    assert (tmp_path / "once" / "prompts.jsonl").read_bytes() == PROMPTS.read_bytes()
    assert (tmp_path / "once" / "pairs.jsonl").read_bytes() == PAIRS.read_bytes()
