"""The configuration: defaults, refusals in one sentence, and no path of a machine in anything that is written down."""

import pytest
import yaml

from analyses.core.registry import DEFAULT
from analyses.runs.config import RunConfig, make_config
from interp.errors import InputError
from interp.input_files import parse_yaml


def test_defaults_need_no_words() -> None:
    assert make_config().command() == "interp run"
    assert make_config().analyses == DEFAULT


def test_none_means_not_given() -> None:
    assert make_config(limit=None, seed=3) == RunConfig(seed=3)


def test_the_command_says_what_differs_from_the_defaults() -> None:
    config = make_config(model="google-t5/t5-small", seed=7, batch_size=4, limit=9, analyses=("logit_attribution",))
    assert config.command() == (
        "interp run --model google-t5/t5-small --analyses logit_attribution --seed 7 --batch-size 4 --limit 9"
    )


def test_analyses_come_in_report_order() -> None:
    wanted = make_config(analyses=("embedding_geometry", "head_specialization"))
    assert wanted.analyses == ("head_specialization", "embedding_geometry")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"batch_size": 0}, "batch_size = 0 is not allowed"),
        ({"seed": -1}, "seed = -1 is not allowed"),
        ({"limit": 0}, "limit = 0 is not allowed"),
        ({"twins": 1}, "twins = 1 is not allowed"),
        ({"device": "tpu"}, "device = 'tpu' is not allowed"),
        ({"analyses": ("head_specialisation",)}, "did you mean 'head_specialization'"),
        ({"analyses": ()}, "No analysis was chosen"),
    ],
)
def test_refusals_are_one_sentence(choices: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make_config(**choices)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/home/someone/models/t5", "t5"),
        ("./models/t5", "t5"),
        ("~/t5", "t5"),
        ("a/b/c", "c"),
        ("google-t5/t5-small", "google-t5/t5-small"),
        ("bundled", "bundled"),
    ],
)
def test_paths_are_kept_by_name_only(given: str, kept: str) -> None:
    assert make_config(model=given).portable()["model"] == kept


def test_the_prompt_file_is_kept_by_name_only() -> None:
    config = make_config(prompts="/tmp/x/mine.txt")
    assert config.portable()["prompts"] == "mine.txt"
    assert "/tmp" not in config.to_yaml() + config.command()


def test_yaml_reads_back() -> None:
    config = make_config(seed=5, settings={"embedding_geometry": {}})
    assert RunConfig(**yaml.safe_load(config.to_yaml())) == config


def test_the_folder_name_follows_everything_that_decides_the_numbers() -> None:
    config = make_config(model="google-t5/t5-small", prompts="-")
    slugs = {config.slug("a", "b"), config.slug("c", "b"), config.slug("a", "d"), make_config(seed=1).slug("a", "b")}
    assert len(slugs) == 4
    assert config.slug("a", "b") == config.slug("a", "b")
    assert all(character.isalnum() or character == "-" for slug in slugs for character in slug)


DEEP = yaml.safe_load("[" * 20 + "]" * 20)


@pytest.mark.parametrize(
    "value", [float("inf"), float("-inf"), float("nan"), 10**14, 2.0**40, {1, 2}, object(), DEEP, {1: "a"}, {True: "a"}]
)
def test_settings_that_cannot_be_kept_or_meant_are_refused(value: object) -> None:
    with pytest.raises(InputError):
        make_config(settings={"head_specialization": {"lift": value}})


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": "a"}], ids=repr)
def test_settings_that_the_run_file_would_change_are_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"config.yaml would not give back"):
        make_config(settings={"head_specialization": {"links": value}}).check_kept()


@pytest.mark.parametrize(
    "value", ["1e14", "yes", "null", "\x1b[2J\u202e", "a\nb", " ", "=", 1e-07, 0.1, {"no": "0-0"}], ids=repr
)
def test_settings_that_are_kept_are_the_same_again(value: object) -> None:
    config = make_config(settings={"head_specialization": {"links": value}})
    config.check_kept()
    assert make_config(**parse_yaml(config.to_yaml().encode())) == config
