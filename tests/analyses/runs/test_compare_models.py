"""Two models side by side: the page, its numbers by hand, prefixes, untrained models, bad input, and equal bytes again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from transformers import ByT5Tokenizer
from typer.testing import CliRunner

from analyses.cli import app
from analyses.core.contract import ArraySpec, Observed
from analyses.runs.compare_models import compare_two_models
from analyses.runs.compare_models_report import differences, numbers_by_sentence, without_prefix
from analyses.runs.config import make_config
from analyses.runs.inputs import choose_analyses
from analyses.runs.run_place import hidden_folder
from analyses.runs.runner import _check_analysable, refusal
from analyses.runs.verify import read_manifest, verify_run
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.prompts import Prompt
from tests.support.models import tiny, tiny_hf
from tests.support.tokenizers import byte_pair_tokenizer

LINES = "The dog sleeps.\nThe house is big.\nA cat runs home.\nA man reads.\n"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 over bytes, a BART with its tokenizer, and a file of prompts with a task prefix."""
    folder = tmp_path_factory.mktemp("desk")
    tiny_hf("byt5").save_pretrained(folder / "byt5")
    ByT5Tokenizer().save_pretrained(folder / "byt5")
    tokenizer = byte_pair_tokenizer()
    tiny_hf("bart", vocab_size=len(tokenizer)).save_pretrained(folder / "bart")
    tokenizer.save_pretrained(folder / "bart")
    prompts = [
        {"id": f"p{index}", "source": f"say: {line}", "prefix": "say: ", "target": line.upper()}
        for index, line in enumerate(LINES.splitlines())
    ]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts), encoding="utf-8")
    return folder


def call(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["compare-models", *map(str, arguments), "--quiet"])
    return result.exit_code, result.stdout, result.stderr


def compare(desk: Path, second: str, out: Path) -> Path:
    options = (
        "-p",
        desk / "prompts.jsonl",
        "--twins",
        "2",
        "--pages",
        "0",
        "-a",
        "cross_attention_focus,logit_attribution",
    )
    code, printed, errors = call(desk / "byt5", second, *options, "-o", out)
    assert code == 0, errors
    assert Path(printed.strip()) == out / "index.html"
    return out


@pytest.mark.slow
def test_t5_and_bart_side_by_side(desk: Path, tmp_path: Path) -> None:
    out = compare(desk, str(desk / "bart"), tmp_path / "compared")
    page = (out / "index.html").read_text(encoding="utf-8")
    for part in ("first/index.html", "second/index.html"):
        assert f'href="{part}"' in page
        assert (out / part).is_file()
    assert "bart knows no task prefixes (positions=&#39;learned&#39;): its 4 prompts are read without." in page
    assert "byt5 reads 4 prompts as they are, with their task prefixes." in page
    assert "say: The dog sleeps." in (out / "first" / "tables" / "prompts.csv").read_text(encoding="utf-8")
    assert "say:" not in (out / "second" / "tables" / "prompts.csv").read_text(encoding="utf-8")
    assert "Not answered for this model" not in page
    assert "Contributions under held norms are not the same quantity in both" in page
    attributed = pd.read_csv(out / "second" / "tables" / "logit-attribution-components.csv")
    assert {"embedding", "positions", "bias"} <= set(attributed["kind"])
    numbers = pd.read_csv(out / "tables" / "cross-attention-focus-numbers.csv")
    assert len(numbers) > 5
    np.testing.assert_allclose(numbers["difference"], numbers["bart"] - numbers["byt5"], rtol=1e-3, atol=1e-5)
    assert (numbers["low"] <= numbers["difference"] + 1e-9).all()
    assert (numbers["difference"] <= numbers["high"] + 1e-9).all()
    effects = pd.read_csv(out / "tables" / "logit-attribution-numbers.csv").set_index("number")
    assert "difference.value" in effects.index
    np.testing.assert_allclose(effects["difference"], effects["bart"] - effects["byt5"], rtol=1e-3, atol=1e-5)
    findings = pd.read_csv(out / "tables" / "cross-attention-focus-findings.csv")
    own = json.loads((out / "second" / "results.json").read_text(encoding="utf-8"))["cross_attention_focus"]["findings"]
    assert findings["bart"].dropna().tolist() == own


@pytest.mark.slow
def test_a_model_and_itself_untrained_and_the_same_bytes_again(desk: Path, tmp_path: Path) -> None:
    once, again = (compare(desk, "untrained:3", tmp_path / name) for name in ("once", "again"))
    assert (once / "index.html").read_bytes() == (again / "index.html").read_bytes()
    assert (once / "manifest.json").read_bytes() == (again / "manifest.json").read_bytes()
    facts = pd.read_csv(once / "tables" / "model-facts.csv")
    assert list(facts.columns) == ["attribute", "byt5", "untrained:3", "same"]
    assert (facts["same"] == "yes").all()
    assert (pd.read_csv(once / "tables" / "logit-attribution-numbers.csv")["difference"] != 0).any()
    code, _, errors = call(desk / "byt5", "untrained:3", "-o", once)
    assert code == 2
    assert "already exists" in errors


def test_differences_are_paired_by_sentence() -> None:
    first = {"a": np.array([1.0, 2.0, 3.0, np.nan]), "only": np.ones(4), "same": np.ones(4)}
    second = {"a": np.array([2.0, 3.5, 4.0, 9.0]), "same": np.ones(4)}
    frame = differences(first, second, ("x", "y"), seed=0)
    assert frame["number"].tolist() == ["a"], "what one model lacks, or what is equal for every prompt, is left out"
    row = frame.iloc[0]
    assert (row["x"], row["sentences"], row["apart"]) == (2.0, 3, "yes")
    assert row["beyond twins"] == "", "without twins nothing is judged"
    assert row["difference"] == pytest.approx(3.5 / 3)
    assert 1.0 <= row["low"] <= row["high"] <= 1.5


def test_what_is_declared_to_be_no_number_is_not_compared_whatever_its_name() -> None:
    arrays = {"plain.gap": np.array([[1.0, np.nan], [3.0, 5.0]]), "number": np.ones((2, 3)), "where": np.zeros((2, 4))}
    specs = (
        ArraySpec("number", ("prompt", "byte"), content="key"),
        ArraySpec("where", ("prompt", "d"), content="coordinates"),
    )
    found = numbers_by_sentence(Observed(arrays, {}), specs, order=(1, 0), rows=[np.array([0]), np.array([1])])
    assert {name: values.tolist() for name, values in found.items()} == {"plain.gap": [4.0, 1.0]}


def test_models_that_learnt_nothing_are_apart_and_not_beyond_their_twins() -> None:
    rng = np.random.default_rng(0)
    models = [{f"number {one}": rng.normal(rng.normal(), 0.1, 12) for one in range(200)} for _ in range(12)]
    frame = differences(models[0], models[1], ("x", "y"), 0, (models[2:7], models[7:12]))
    assert (frame["apart"] == "yes").mean() > 0.8, "any two models differ"
    assert (frame["beyond twins"] == "yes").mean() < 0.05
    learnt = {name: values + 20 for name, values in models[1].items()}
    frame = differences(models[0], learnt, ("x", "y"), 0, (models[2:7], models[7:12]))
    assert (frame["beyond twins"] == "yes").mean() > 0.9
    same = differences(models[0], learnt, ("x", "y"), 0, (models[2:7], models[2:7]))
    assert (same["twins high"] > same["twins low"]).all(), "twins of one seed are one model and no control"


@pytest.mark.slow
def test_a_sentence_under_several_prefixes_or_given_twice_counts_once(desk: Path, tmp_path: Path) -> None:
    frames = []
    for name, prefixes in (("once", ("say: ",)), ("thrice", ("say: ", "say: ", "say: "))):
        prompts = [
            {"id": f"{line}{copy}", "source": prefix + line, "prefix": prefix, "target": line.upper()}
            for line in LINES.splitlines()
            for copy, prefix in enumerate(prefixes)
        ]
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts), encoding="utf-8")
        options = ("-p", file, "--twins", "2", "--pages", "0", "-a", "cross_attention_focus", "-o", tmp_path / name)
        code, _, errors = call(desk / "byt5", desk / "bart", *options)
        assert code == 0, errors
        frames.append(pd.read_csv(tmp_path / name / "tables" / "cross-attention-focus-numbers.csv"))
    once, thrice = frames
    assert (once["sentences"] == 4).all()
    pd.testing.assert_frame_equal(once, thrice, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        (Prompt("1", "translate English to German: A dog."), "A dog."),
        (Prompt("2", "say: A dog.", None, {"prefix": "say: "}), "A dog."),
        (Prompt("3", "A dog."), "A dog."),
    ],
)
def test_prefixes_are_taken_off_for_models_without(prompt: Prompt, wanted: str) -> None:
    bare = without_prefix(prompt)
    assert (bare.id, bare.source, bare.fields["prefix"]) == (prompt.id, wanted, "")


def test_prompts_that_the_second_model_cannot_read_are_refused_before_the_first_runs(
    desk: Path, tmp_path: Path
) -> None:
    prompts = tmp_path / "long.txt"
    prompts.write_text("word " * 70, encoding="utf-8")
    told: list[str] = []
    with pytest.raises(InputError, match=r"^bart: Prompt 1: The source has \d+ tokens and the limit is 40"):
        compare_two_models(
            str(desk / "byt5"),
            str(desk / "bart"),
            make_config(prompts=str(prompts), twins=2),
            tmp_path / "out",
            False,
            lambda what, done, total: told.append(what),
        )
    assert told == []
    assert list(tmp_path.iterdir()) == [prompts]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("untrained:1", "untrained:2", "Both models are untrained; name a checkpoint beside"),
        ("bundled", "untrained:x", "'untrained:x' names no untrained model; write"),
        ("bundled", "./no/such/folder", "there is no such folder"),
    ],
)
def test_bad_models_are_refused_in_one_sentence(first: str, second: str, message: str, tmp_path: Path) -> None:
    code, printed, errors = call(first, second, "-o", tmp_path / "out", "--limit", "2")
    assert (code, printed) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_no_chosen_analysis_can_read_is_refused_by_attribute() -> None:
    cfg = tiny("bart").cfg
    (chosen,) = choose_analyses(make_config(analyses="logit_attribution"))

    def needs_relative_positions(cfg: ModelConfig) -> str | None:
        return (
            None if cfg.positions == "relative" else f"its equations need positions='relative'; not {cfg.positions!r}"
        )

    of_t5 = replace(chosen, analysis=replace(chosen.analysis, applies=needs_relative_positions))
    with pytest.raises(InputError, match=r"None of the chosen analyses.*logit_attribution, its equations.*'learned'"):
        _check_analysable(cfg, [of_t5])
    _check_analysable(cfg, [of_t5, chosen])
    _check_analysable(tiny("umt5").cfg, [of_t5])
    section = refusal(of_t5.analysis, str(needs_relative_positions(cfg)))
    assert "Not answered for this model: its equations need positions='relative'" in section.findings[0]


@pytest.mark.slow
def test_a_comparison_is_verified_and_made_again_as_a_run_is(desk: Path, tmp_path: Path) -> None:
    out = compare(desk, "untrained:3", tmp_path / "compared")
    runner = CliRunner()

    def called(*words: str | Path) -> tuple[int, str]:
        result = runner.invoke(app, list(map(str, words)))
        return result.exit_code, result.output

    assert called("verify", out)[0] == 0
    assert called("verify", out / "first")[0] == 0
    code, said = called("rerun", out, "--model", desk / "byt5", "--quiet")
    assert (code, said) == (0, f"The same digest: {read_manifest(out).digest}.\n")
    code, said = called("rerun", out, "--model", desk / "bart", "--prompts", desk / "prompts.jsonl", "--quiet")
    assert code == 2
    assert "is not that of the run" in said
    (out / "second" / "tables" / "prompts.csv").write_text("changed")
    assert called("verify", out)[0] == 1
    assert called("diff", out, out)[0] == 2
    assert call(desk / "byt5", "untrained:3", "-p", desk / "prompts.jsonl", "-o", out, "--overwrite")[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["compared"]


@pytest.mark.slow
def test_a_comparison_that_was_stopped_goes_on_with_its_shards(desk: Path, tmp_path: Path) -> None:
    config = make_config(prompts=str(desk / "prompts.jsonl"), twins=2, pages=0, analyses=("logit_attribution",))
    place = tmp_path / "compared"
    shards = hidden_folder(place) / "shards"
    kept: dict[str, int] = {}

    def stop(what: str, done: int, total: int) -> None:
        if list(shards.glob("second-model-*.sha256")):
            raise KeyboardInterrupt

    def look(what: str, done: int, total: int) -> None:
        kept.update({path.name: path.stat().st_mtime_ns for path in shards.glob("first-*.safetensors")})

    asked = (str(desk / "byt5"), "untrained:3", config, place, False)
    with pytest.raises(KeyboardInterrupt):
        compare_two_models(*asked, stop)
    before = {path.name: path.stat().st_mtime_ns for path in shards.glob("first-*.safetensors")}
    assert before
    assert not list(tmp_path.glob("[!.]*"))
    compare_two_models(*asked, look)
    assert kept == before
    assert verify_run(place).whole
    assert [path.name for path in tmp_path.iterdir()] == ["compared"]
