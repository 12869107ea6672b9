"""The experiments: what is done to a sample of the prompts beyond reading one forward pass of all.

The sample is evenly spaced over the whole prompt set and collated anew, so no number depends on how the run was cut into batches.
"""

from collections.abc import Sequence
from dataclasses import replace

from analyses.core.contract import Arrays
from analyses.core.kept_batches import Rows, Texts, collated
from analyses.logit_attribution.ablation import ablate
from analyses.logit_attribution.activation_patching import patch
from analyses.logit_attribution.lenses import decoder_lens_text, read_lenses
from analyses.logit_attribution.neurons import read_neurons
from analyses.logit_attribution.settings import AttributionSettings
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch
from interp.text.translation_task import translation_tasks


def experiment(model: HookedEncoderDecoder, batches: Sequence[Batch], settings: AttributionSettings) -> Arrays:
    """Ablate every decoder head, and follow the answer through the layers, on evenly spaced prompts.

    Args:
        model: the model or a control.
        batches: all prompts of the run.
        settings: how many prompts, draws, pairs and neurons.

    Returns:
        The arrays of `ablation.ablate`, `lenses.read_lenses` and `neurons.read_neurons`, if the sample has two prompts, and
        those of `activation_patching.patch`, which has sentences of its own.
    """
    patched = patch(model, settings, translated(model, batches))
    batch = sample(model, batches, settings.causal_prompts)
    if batch is None:
        return patched
    read = {**ablate(model, batch, settings.draws), **read_lenses(model, batch), **decoder_lens_text(model, batch)}
    return {**read, **read_neurons(model, batch, settings.neurons), **patched}


def translated(model: HookedEncoderDecoder, batches: Sequence[Batch]) -> bool:
    """Whether some prompt is to be translated out of English into German or French, as the minimal pairs are."""
    tasks = translation_tasks(Texts(batches, "source_texts"), model.tokenizer, model.languages)
    return any(task in (("english", "german"), ("english", "french")) for task in tasks)


def sample(model: HookedEncoderDecoder, batches: Sequence[Batch], count: int) -> Batch | None:
    """Evenly spaced prompts of a run as one batch, whatever batches they came in; None for fewer than two."""
    rows = Rows(batches)
    count = min(count, len(rows))
    if count < 2:
        return None
    chosen = collated(model, [rows[position * len(rows) // count] for position in range(count)])
    return replace(chosen, unfinished=())
