"""The outputs of both stacks without the vocabulary, which most work never looks at."""

from jaxtyping import Float
from torch import Tensor

from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch


def decoder_outputs(
    model: HookedEncoderDecoder, batch: Batch, copies: int = 1
) -> tuple[Float[Tensor, "batch source d_model"], Float[Tensor, "batch target d_model"]]:
    """Memory and the decoder's output of copies of a batch, the vocabulary not scored.

    Args:
        model: a model of any family.
        batch: the batch.
        copies: how many copies run side by side.
    """
    mask = batch.attention_mask.repeat(copies, 1)
    memory = model.hf.get_encoder()(input_ids=batch.input_ids.repeat(copies, 1), attention_mask=mask)[0]
    outputs = model.hf.get_decoder()(
        input_ids=batch.decoder_input_ids.repeat(copies, 1),
        attention_mask=batch.decoder_attention_mask.repeat(copies, 1),
        encoder_hidden_states=memory,
        encoder_attention_mask=mask,
        use_cache=False,
    )[0]
    return memory, outputs
