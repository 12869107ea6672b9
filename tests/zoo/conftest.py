"""The animals of the zoo, built when they are first asked for and once a session."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from transformers.utils import is_protobuf_available

import interp
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.zoo import ANIMALS, TRANSLITERATION, Home


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Builds animals and keeps them."""
    built: dict[str, Path] = {}

    def folder_of(name: str) -> Path:
        if name == "t5-without-json" and not is_protobuf_available():
            pytest.skip("transformers reads spiece.model with protobuf only, which is not installed")
        if name not in built:
            built[name] = tmp_path_factory.mktemp(name.replace("/", "-"))
            ANIMALS[name].build(built[name])
        return built[name]

    return folder_of


@pytest.fixture(scope="module")
def load(home: Home) -> Callable[[str], HookedEncoderDecoder]:
    """Animals as hooked models, each read once."""
    read: dict[str, HookedEncoderDecoder] = {}

    def model_of(name: str) -> HookedEncoderDecoder:
        if name not in read:
            read[name] = interp.load(home(name) / ANIMALS[name].inside, device="cpu")
        return read[name]

    return model_of


@pytest.fixture(scope="session")
def transliteration() -> Path:
    """The real model's folder."""
    if not (TRANSLITERATION / "model.safetensors").is_file():
        pytest.skip("the transliteration model is not on this machine (shared/models/transliteration)")
    return TRANSLITERATION


@pytest.fixture(autouse=True)
def _deterministic_algorithms_as_before() -> Iterator[None]:
    """Runs ask torch for deterministic algorithms; the next test gets back what there was."""
    yield
    torch.use_deterministic_algorithms(False)
