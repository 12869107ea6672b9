"""The command line: what it prints where, its exit codes, and one sentence for every bad input, with nothing left behind."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import interp
from analyses.cli import app
from analyses.core.registry import ANALYSES
from interp.families import FAMILIES, HALF_VISIBLE

runner = CliRunner()
GOOD = "translate English to German: The cat sleeps on the chair.\n"


def invoke(*words: str, stdin: str | bytes | None = None) -> tuple[int, str, str]:
    result = runner.invoke(app, list(words), input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_version_and_help() -> None:
    assert invoke("--version")[1].startswith("t5-interp ")
    for words in (("-h",), ("run", "-h"), ("list", "--help"), ("env", "-h")):
        code, out, _ = invoke(*words)
        assert code == 0
        assert "Usage:" in out


def test_no_command_prints_help() -> None:
    code, out, err = invoke()
    assert code == 2
    assert "run" in out + err


def test_list() -> None:
    code, out, _ = invoke("list", "analyses")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(ANALYSES)
    assert "translation" in invoke("list", "prompts")[1]
    families = dict(line.split(maxsplit=1) for line in invoke("list", "families")[1].splitlines())
    assert {*FAMILIES, *HALF_VISIBLE, "nllb", "byt5"} <= set(families)
    assert families["t5"].endswith("left out: nothing.")
    assert "split into content and position (positions='learned')" in families["blenderbot"]
    assert "expert_routing. left out: circuits (circuits need MLPs" in families["switch_transformers"]
    assert "n_experts=8" in families["switch_transformers"]
    assert families["nllb"] == "is m2m_100."
    assert families["led"].startswith("refused: none of its attention")
    hooks = invoke("list", "hooks")[1]
    assert "decoder.0.cross_attn.hook_pattern" in hooks
    assert "[batch head query key]" in hooks


def test_env_is_readable_by_programs() -> None:
    code, out, _ = invoke("env", "--json")
    assert code == 0
    assert {"package", "torch", "transformers", "devices"} <= set(json.loads(out))
    assert "torch" in invoke("env")[1]


def test_unknown_words_are_usage_errors() -> None:
    code, _, err = invoke("rum")
    assert code == 2
    assert "Did you mean" in err
    assert invoke("run", "--model-name", "x")[0] == 2
    assert invoke("list", "models")[0] == 2


HOSTILE = "translate English to German: [bold]Yes[/bold] <script>alert(1)</script>"


def test_tokens_shows_pieces_and_padding() -> None:
    code, out, _ = invoke("tokens", "translate English to German: Yes.", HOSTILE)
    assert code == 0
    assert "prefix" in out
    assert "<pad>" in out
    assert HOSTILE in out


def test_model_describes_parts_and_shapes() -> None:
    code, out, _ = invoke("model", "--shapes", "translate English to German: Yes.")
    assert code == 0
    assert "n_decoder_layers" in out
    parameters = interp.load().hf.num_parameters()
    assert re.search(rf"total.*\W{parameters}\W", out)
    assert re.search(r"decoder\.0\.cross_attn\.hook_pattern\W+batch head query key\W+1 x 6 x \d+ x 9", out)


def test_generate_shows_text_and_alternatives() -> None:
    code, out, _ = invoke("generate", "translate English to German: A dog runs.", "--top", "2")
    assert code == 0
    assert out.splitlines()[0]
    assert re.search(r"0\W+0\W+1\W+\S+\W+0\.\d{3}", out)
    assert invoke("generate", "--method", "beam", "--beams", "1", "translate English to German: A dog runs.")[0] == 2
    plain = invoke("generate", "--method", "beam", "--top", "0", "translate English to German: A dog runs.")[1]
    best, *hypotheses = plain.splitlines()
    scores = [float(line.split()[0]) for line in hypotheses]
    assert len(hypotheses) == 4
    assert hypotheses[0].endswith(best)
    assert scores == sorted(scores, reverse=True)


def test_words_shows_neighbors_and_cosines() -> None:
    code, out, _ = invoke("words", "chair", "goat", "--neighbors", "2")
    assert code == 0
    assert "Input embedding, raw" in out
    assert out.count("goat") >= 4
    assert invoke("words", "chair", "chair")[0] == 2
    code, out, _ = invoke("words", "chair", "--correction", "all-but-the-top", "--space", "output")
    assert code == 0
    assert "Output embedding, all but the top" in out


def test_attribute_adds_up_in_the_terminal() -> None:
    code, out, err = invoke("attribute", "translate English to German: A dog runs.", "--top", "40")
    assert code == 0, err
    difference = float(re.search(r"by ([+-]\d+\.\d+) logits", out)[1])  # type: ignore[index]
    written = [float(value) for value in re.findall(r"(?:embedding|[DX]L\d\w+)\W+(-?\d\.\d{3})", out)]
    assert len(written) == 40
    gap = re.search(r"gap of the sum (\S+) of", out)
    assert gap is not None
    assert float(gap[1]) < 2e-5
    assert abs(difference) > 0
    assert invoke("attribute", "translate English to German: A dog runs.", "--position", "99")[0] == 2


def test_attribute_asks_other_methods_for_source_words() -> None:
    words = ("attribute", "translate English to German: A dog runs.", "--position", "1", "--sources")
    code, out, err = invoke(*words, "contributions,attnlrp-held, attention")
    assert code == 0, err
    assert "row 1: ▁Hund rather than" in out
    assert re.search(r"source\W+▁dog", out)
    assert re.search(r"target\W+<start>", out)
    assert re.search(r"beside\W+positions", out)
    gaps = {name: float(gap) for name, gap in re.findall(r"(\S+) adds up to .* gap of (\S+) of", out)}
    assert set(gaps) == {"contributions", "attnlrp-held"}
    assert max(gaps.values()) < 2e-5
    for wrong, said in (
        ([*words, "atention"], "did you mean 'attention'"),
        ([*words, "all", "--out", "dog.html"], "no --sources"),
        (["attribute"], "give a source text, or --judge"),
        (["attribute", "A dog.", "--judge", "--out", "dog.html"], "give a text or --judge"),
    ):
        code, out, err = invoke(*wrong)
        assert code == 2
        assert said in err


@pytest.mark.slow
def test_attribute_judges_methods_on_the_same_prompts(tmp_path: Path) -> None:
    page = tmp_path / "judge.html"
    prompts = tmp_path / "four.txt"  # of three sentences
    asked = [
        ("German", "A dog sleeps."),
        ("French", "A dog sleeps."),
        ("German", "The house is big."),
        ("French", "We eat."),
    ]
    prompts.write_text("".join(f"translate English to {where}: {what}\n" for where, what in asked), encoding="utf-8")
    chosen = ("--sources", "contributions", "--prompts", str(prompts), "--out", str(page))
    code, out, err = invoke("attribute", "--judge", *chosen)
    assert code == 0, err
    assert "share of the difference left" in (tmp_path / "figures" / "judge-curves.svg").read_text(encoding="utf-8")
    assert "judge-criteria" in page.read_text(encoding="utf-8")
    assert "3 prompts, a row of each" in out
    assert re.search(r"random order\W+0\.\d\d \(", out)
    assert re.search(r"contributions\W+1\.000\W+1\.000", out)
    assert "contributions, untrained twin" in out


@pytest.mark.slow
def test_align_prints_baselines(tmp_path: Path) -> None:
    prompts, gold = tmp_path / "pairs.jsonl", tmp_path / "gold.txt"
    line = json.dumps({"source": "translate English to German: The dog runs.", "target": "Der Hund rennt."})
    prompts.write_text(line + "\n" + line.replace("dog", "cat").replace("Hund", "Kater") + "\n", encoding="utf-8")
    gold.write_text("1-1 2-2 3-3\n1-1 2-2 3p3\n")
    code, out, err = invoke("align", str(prompts), "--gold", str(gold), "--one-based", "--twins", "2", "--top", "3")
    assert code == 0, err
    assert "diagonal" in out
    assert "random" in out
    assert invoke("align", str(prompts), "--gold", str(tmp_path / "none"))[0] == 2
    links = tmp_path / "links.txt"
    both = ("--reverse-prefix", "translate German to English:", "--links", str(links), "--twins", "1")
    code, out, err = invoke("align", str(prompts), "--gold", str(gold), "--one-based", *both)
    assert code == 0, err
    assert "grow-diag" in out
    assert "Word alignment backward" in out
    assert all(re.fullmatch(r"\d+-\d+( \d+-\d+)*", line) for line in links.read_text().splitlines())
    assert (
        invoke("align", str(prompts), "--gold", str(gold), "--one-based", "--links", str(tmp_path / "no" / "x"))[0] == 2
    )


def test_eval_model_prints_scores_with_signatures(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    line = "own\tde\ttranslate English to German: A dog runs.\tEin Hund rennt.\n"
    pairs.write_text(line, encoding="utf-8")
    code, out, err = invoke("eval-model", "--pairs", str(pairs), "--no-swap", "--beams", "1")
    assert code == 0, err
    assert re.search(r"own\W+de\W+1\W", out)
    assert "nrefs:1" in out
    assert invoke("eval-model", "--pairs", str(tmp_path / "none.tsv"))[0] == 2
    pairs.write_text("own\tde\tYes.\tJa.\n", encoding="utf-8")
    code, out, err = invoke("eval-model", "--pairs", str(pairs), "--beams", "1")
    assert code == 0, err
    assert "Not every source has a task prefix, so no language was swapped." in out


def test_eval_model_scores_prompts_and_swaps_where_it_can_or_was_told_to(tmp_path: Path) -> None:
    prompts = tmp_path / "own.jsonl"
    prompts.write_text('{"source": "translate English to German: A dog runs.", "target": "Ein Hund rennt."}\n')
    code, out, err = invoke("eval-model", "--pairs", str(prompts), "--beams", "1")
    assert code == 0, err
    assert re.search(r"own.jsonl\W+translate English to German\W+1\W", out)
    assert "No language was swapped. Swapping prefixes needs pairs of two languages" in out
    code, out, err = invoke("eval-model", "--pairs", str(prompts), "--beams", "1", "--swap")
    assert (code, out) == (2, "")
    assert err.startswith("Error: Swapping prefixes needs pairs of two languages")


def test_a_prefix_of_ones_own_is_no_content(tmp_path: Path) -> None:
    text = "sentiment: I love it."
    assert "prefix" not in invoke("tokens", text)[1]
    code, out, err = invoke("tokens", "--prefix", "sentiment: ", text)
    assert code == 0, err
    assert "prefix" in out
    assert invoke("tokens", "--prefix", "mood: ", text)[0] == 2
    code, out, err = invoke("attribute", "--prefix", "sentiment: ", text)
    assert code == 0, err
    assert "prefix" in out
    prompts = tmp_path / "reviews.txt"
    prompts.write_text(f"{text}\nmood: I hate it.\n", encoding="utf-8")
    code, _, err = invoke("run", "-p", str(prompts), "--prefix", "sentiment: ", "-o", str(tmp_path / "out"))
    assert code == 2
    assert "The source of prompt 2 ('mood: I hate it.') does not start with the prefix 'sentiment: '" in err
    assert not (tmp_path / "out").exists()


def _text(content: str | bytes, suffix: str = ".txt") -> Callable[[Path], list[str]]:
    """Arguments that name a prompt file of this content."""

    def write(folder: Path) -> list[str]:
        path = folder / f"prompts{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return ["--prompts", str(path)]

    return write


def _words(*words: str) -> Callable[[Path], list[str]]:
    return lambda folder: [word.replace("FOLDER", str(folder)) for word in words]


def _checkpoint(files: dict[str, bytes]) -> Callable[[Path], list[str]]:
    def write(folder: Path) -> list[str]:
        (folder / "checkpoint").mkdir()
        for name, content in files.items():
            (folder / "checkpoint" / name).write_bytes(content)
        return ["--model", str(folder / "checkpoint")]

    return write


T5_CONFIG = json.dumps({"model_type": "t5", "is_encoder_decoder": True}).encode()

BAD: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "empty file": (_text(""), "empty"),
    "empty line": (_text(GOOD + "\n" + GOOD), "line 2"),
    "bad json": (_text('{"source": "x"}\n{"source": \n', ".jsonl"), "line 2"),
    "json that is no object": (_text("[1, 2]\n", ".jsonl"), "line 1"),
    "json without source": (_text('{"text": "x"}\n', ".jsonl"), "source"),
    "source that is no text": (_text('{"source": 3}\n', ".jsonl"), "source"),
    "some with target, some without": (
        _text('{"source": "a b", "target": "c"}\n{"source": "d"}\n', ".jsonl"),
        "target",
    ),
    "csv without source": (_text("text\nhello\n", ".csv"), "source"),
    "csv with a ragged row": (_text('source,target\n"a","b","c"\n', ".csv"), "line 2"),
    "binary file": (_text(b"\x80\x81\xff\x00"), "UTF-8"),
    "utf-16 file": (_text(GOOD.encode("utf-16")), "UTF-8"),
    "unknown suffix": (_text(GOOD, ".docx"), ".txt"),
    "missing file": (_words("--prompts", "FOLDER/none.txt"), "none.txt"),
    "folder as file": (_words("--prompts", "FOLDER"), ""),
    "unknown set": (_words("--prompts", "translatoin"), "did you mean 'translation'"),
    "too long": (_text("translate English to German: " + "dog " * 700 + "\n"), "the limit is 128"),
    "no batch": (_words("--batch-size", "0"), "batch_size"),
    "no prompts": (_words("--limit", "0"), "limit"),
    "one twin": (_words("--twins", "1"), "twins"),
    "negative seed": (_words("--seed", "-1"), "seed"),
    "unknown analysis": (_words("--analyses", "head_specialisation"), "did you mean 'head_specialization'"),
    "no analysis": (_words("--analyses", ","), "No analysis"),
    "missing model folder": (_words("--model", "FOLDER/none"), "no such folder"),
    "hub id that is not here": (_words("--model", "nobody/nothing-at-all"), "cannot be reached"),
    "folder without config": (_checkpoint({"model.safetensors": b""}), "config.json"),
    "config that is no json": (_checkpoint({"config.json": b"{"}), "no JSON"),
    "config without type": (_checkpoint({"config.json": b"{}"}), "model_type"),
    "decoder-only model": (_checkpoint({"config.json": b'{"model_type": "gpt2"}'}), "not an encoder-decoder"),
    "pickled weights": (_checkpoint({"config.json": T5_CONFIG, "pytorch_model.bin": b"x"}), "pickle"),
    "no weights": (_checkpoint({"config.json": T5_CONFIG}), "no weights"),
    "damaged weights": (_checkpoint({"config.json": T5_CONFIG, "model.safetensors": b"\x00" * 40}), "damaged"),
    "missing word groups": (_words("--words", "FOLDER/none.json"), "none.json"),
    "absent device": (_words("--device", "mps"), "mps"),
    "existing folder": (_words("--out", "FOLDER"), "exist"),
    "not a run's folder": (_words("--out", "FOLDER", "--overwrite"), "was not written by"),
    "file in the way": (_words("--out", "FOLDER/keep.txt"), "is a file"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, message = BAD[case]
    (tmp_path / "keep.txt").write_text("kept")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    words = make(tmp_path)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    code, out, err = invoke("run", *words)
    assert (code, out) == (2, ""), err
    assert message in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1, err
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("stdin", ["", "\n\n", b"\xff\xfe\x00"])
def test_bad_stdin(stdin: str | bytes) -> None:
    code, out, err = invoke("run", "--prompts", "-", stdin=stdin)
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1


@pytest.mark.slow
def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom analyses.cli import app\n"
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0\n"
        "assert not {'torch', 'transformers', 'pandas', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
