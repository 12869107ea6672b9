"""Commands about files and names start without torch and without transformers, and say the same as with them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from analyses.commands.facts import list_things
from analyses.core.registry import ANALYSES, get, settings_of
from benchmarks.command_start import COMMANDS
from interp.families.point_names import hook_names, says_all
from interp.model.checkpoints import find_checkpoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.text_reader import text_reader
from interp.text.raw_tokenizer import raw_tokenizer
from interp.text.tokenized_text import length_limit, tokenize
from tests.support.hostile import TEXTS
from tests.support.paths import ROOT

FOLDER = find_checkpoint().folder


@pytest.fixture(scope="module")
def host_tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_light_commands_import_nothing_heavy(command: tuple[str, ...]) -> None:
    code = (
        "import sys; from analyses.cli import app\n"
        f"try: app({list(command)!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'transformers', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() or command[0] == "diff"  # which says nothing of equal runs


@pytest.mark.parametrize(
    "text", ["translate English to German: The dog's  house.", "a\tb\nc ", "<extra_id_3> x</s>y <pad>", "Ǆﬁ²", *TEXTS]
)
def test_the_raw_tokenizer_reads_as_transformers_does(text: str, host_tokenizer: PreTrainedTokenizerBase) -> None:
    raw = raw_tokenizer(FOLDER)
    assert raw is not None
    text = text.replace("\ud800", "").replace("\0", "")  # these are no text
    assert tokenize(text, raw, 1) == tokenize(text, host_tokenizer, 1)  # type: ignore[arg-type, unused-ignore]
    assert sorted(raw.all_special_ids) == sorted(host_tokenizer.all_special_ids)
    assert (raw.unk_token_id, raw.model_max_length) == (host_tokenizer.unk_token_id, host_tokenizer.model_max_length)


CHANGES = {
    "another pre-tokenizer": (
        "pre_tokenizer",
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True},
    ),
    "a normalizer that the class drops": ("normalizer", {"type": "Lowercase"}),
    "no end of sentence": ("post_processor", None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_its_class_would_change_is_left_to_transformers(change: str, tmp_path: Path) -> None:
    for path in FOLDER.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert raw_tokenizer(tmp_path) is not None
    key, value = CHANGES[change]
    file = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(file | {key: value}), encoding="utf-8")
    assert raw_tokenizer(tmp_path) is None
    source = "translate English to German: A Cat."
    host = AutoTokenizer.from_pretrained(tmp_path)
    assert text_reader(find_checkpoint(tmp_path)).read([source]) == [tokenize(source, host, 1)]


def test_without_a_readable_tokenizer_transformers_is_asked(tmp_path: Path) -> None:
    assert raw_tokenizer(tmp_path) is None
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    assert raw_tokenizer(tmp_path) is None


def test_the_reader_has_the_model_s_own_limit(bundled: HookedEncoderDecoder) -> None:
    reader = text_reader(find_checkpoint())
    assert reader.max_length == bundled.max_length == length_limit(bundled.tokenizer, None, None)
    assert (reader.eos_token_id, reader.pad_token_id) == (bundled.cfg.eos_token_id, bundled.cfg.pad_token_id)


def test_hook_points_of_a_short_configuration_are_the_model_s(
    bundled: HookedEncoderDecoder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    assert says_all(config)
    assert list(hook_names(config)) == list(bundled.hook_points())
    del config["feed_forward_proj"]
    assert not says_all(config)
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    list_things("hooks", model=str(tmp_path))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(bundled.hook_points())


@pytest.mark.parametrize("name", ANALYSES)
def test_every_setting_has_a_meaning(name: str) -> None:
    kind = settings_of(name)
    assert kind is get(name).settings
    assert list(kind.meanings()) == list(kind.model_fields)
    assert all(len(meaning) > 10 for meaning in kind.meanings().values())
