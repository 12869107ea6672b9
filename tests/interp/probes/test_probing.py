"""A probe reads what is there and no more; its control task reads what words give away."""

from pathlib import Path

import numpy as np
import pytest

from interp.activations import ActivationStore, sentences_of, write_activations
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.probes import control_labels, linear_probe
from interp.prompts import PromptStream, bundled

SENTENCES = [prompt for prompt in bundled("translation").prompts if prompt.id.endswith(".de")]
EMBEDDED, LATE, WRITTEN = "encoder.0.hook_resid_pre", "encoder.3.hook_resid_post", "decoder.3.hook_resid_pre"


@pytest.fixture(scope="module")
def store(bundled: HookedEncoderDecoder, tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    folder = tmp_path_factory.mktemp("probes")
    return ActivationStore(write_activations(bundled, PromptStream("references"), folder, [EMBEDDED, LATE, WRITTEN]))


def language(store: ActivationStore, hook: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of words behind the prefix, the language that their text is translated into, and their sentence."""
    prompts = bundled("references").prompts
    index = store.index(store.side(hook))
    rows = np.flatnonzero((index["category"] != "prefix").to_numpy())
    names, sentences = (np.array([prompt.fields[field] for prompt in prompts]) for field in ("language", "pair"))
    places = index["prompt"].to_numpy()[rows]
    return rows, names[places], np.unique(sentences, return_inverse=True)[1][places]


@pytest.mark.slow
def test_the_language_to_write_is_read_from_what_the_layers_add(store: ActivationStore) -> None:
    rows, labels, sentences = language(store, EMBEDDED)
    # Every sentence stands there twice, once for each language, and an embedded word knows nothing of its text.
    nothing = linear_probe(store, EMBEDDED, labels, rows, sentences)
    assert (nothing.accuracy.point, nothing.majority) == (0.5, 0.5)
    assert nothing.control.point > 0.6, "the identity of a word is read from its embedding"
    late = linear_probe(store, LATE, labels, rows, sentences)
    assert late.accuracy.low > 0.55
    rows, labels, sentences = language(store, WRITTEN)
    written = linear_probe(store, WRITTEN, labels, rows, sentences)
    assert written.accuracy.point > 0.9
    assert written.selectivity.low > 0
    assert written.unseen > 0.8 > written.unseen_control
    assert written.to_frame().shape == (1, 14)


def test_texts_that_are_repeated_do_not_teach_and_judge_one_probe(
    bundled: HookedEncoderDecoder, tmp_path: Path
) -> None:
    sources = [
        f"translate English to {where}: {prompt.sentence}" for where in ("German", "French") for prompt in SENTENCES
    ]
    file = tmp_path / "twice.txt"
    file.write_text("\n".join(sources) + "\n", encoding="utf-8")
    store = ActivationStore(write_activations(bundled, PromptStream(str(file)), tmp_path / "store", [LATE]))
    assert sentences_of(store).tolist() == [*range(len(SENTENCES))] * 2
    prompts = store.index("source")["prompt"].to_numpy()
    rng, reads = np.random.default_rng(0), []
    for _ in range(6):  # a label at random for every sentence: nothing that holds of others can be learned
        labels = rng.choice(["a", "b"], len(SENTENCES))[prompts % len(SENTENCES)]
        own, leaking = (linear_probe(store, LATE, labels, groups=groups) for groups in (None, prompts))
        assert own.accuracy.count == len(SENTENCES) // 2
        reads.append((float(own.accuracy.point), float(leaking.accuracy.point)))
    assert np.mean(reads, 0)[0] < 0.58
    assert np.mean(reads, 0)[1] > 0.6, "with prompts as groups it reads what it has seen"


def test_a_control_task_gives_every_word_one_label() -> None:
    words = np.array(["a", "b", "a", "c", "b"] * 400 + [f"w{number}" for number in range(3000)])
    labels = np.array((["x"] * 3 + ["y"]) * 1250)
    control = control_labels(words, labels, 0)
    for word in "abc":
        assert len(set(control[words == word])) == 1
    assert 0.22 < (control[2000:] == "y").mean() < 0.28, "drawn as often as the real labels are"
    assert (control == control_labels(words, labels, 0)).all()
    assert (control != control_labels(words, labels, 1)).any()


def test_what_cannot_be_probed_is_refused(store: ActivationStore) -> None:
    rows, labels, sentences = language(store, LATE)
    with pytest.raises(InputError, match="one for each row"):
        linear_probe(store, LATE, labels[1:], rows, sentences)
    with pytest.raises(InputError, match="needs two labels"):
        linear_probe(store, LATE, np.full(len(rows), "x"), rows, sentences)
