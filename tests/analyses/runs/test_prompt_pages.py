"""The prompts' pages are the same, whichever process writes them."""

from functools import partial

import pytest

from analyses.core import shared_work
from analyses.core.exploring import explorer_of
from analyses.core.observing import no_progress
from analyses.runs.config import make_config
from analyses.runs.inputs import choose_analyses
from analyses.runs.prompt_pages import PromptPages, begin_prompt_pages
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt
from interp.report.explorer import explorer_page
from interp.report.second_process import second_process
from tests.support.models import tiny

PROMPTS = tuple(Prompt(str(number), f"{number} boats of <wood>", "een boot") for number in range(3))


def pages(model: HookedEncoderDecoder, load: "partial[HookedEncoderDecoder] | None") -> PromptPages:
    batch = model.batch([prompt.source for prompt in PROMPTS], ["een boot"] * 3)
    rows = [(batch.select(row), 0) for row in range(3)]
    analyses = choose_analyses(make_config(analyses="cross_attention_focus,logit_attribution"))
    with begin_prompt_pages(model, load, rows, PROMPTS, analyses, 3) as begun:
        assert bool(begun._begun) == (load is not None)
        [found] = begun.finish("pages", no_progress)
    return found


@pytest.mark.slow
@pytest.mark.skipif(second_process() is None, reason="needs two cores; run on a machine that has them")
def test_pages_of_another_process_are_those_of_this_one(
    tiny_byt5: HookedEncoderDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_work, "_WORTH_A_PROCESS", 1)
    (here, explored), (there, others) = pages(tiny_byt5, None), pages(tiny_byt5, partial(tiny, "byt5"))
    assert [page.name for page in here] == ["prompt-1", "prompt-2", "prompt-3"]
    assert repr(here) == repr(there)
    one, two = (explorer_page(explorer_of(tiny_byt5, "tiny", shown, {}), "t", "i") for shown in (explored, others))
    assert one == two
