"""What is asked of every method alike: why these tokens, and not those, at some rows of one prompt?"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.attribution.logit_readout import at_least_float32, label_tokens, runner_up
from interp.axes import Logits
from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import run_stacks
from interp.model.weights import before_cap, embedding
from interp.text.batch import Batch

INPUTS = ("input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask")
EMBEDDED = "encoder.hook_embed"

_COPIES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Rows of one prompt, and two tokens a row, whose logits are compared.

    Attributes:
        batch: one prompt, without padding.
        rows: decoder rows, from 0.
        tokens: the token that is explained at every row.
        foils: what it is compared with.
        cap: of the model's logits (`logit_cap`); what is explained are logits before it, which add up.
    """

    batch: Batch
    rows: Int[Tensor, " row"]
    tokens: Int[Tensor, " row"]
    foils: Int[Tensor, " row"]
    cap: float | None = None

    def read(self, logits: Float[Tensor, "copy target vocab"]) -> Float[Tensor, "copy row"]:
        """The explained numbers: at every row the logit of its token less that of its foil, before a cap.

        Args:
            logits: of the prompt, or of several versions of it.
        """
        own = at_least_float32(logits[:, self.rows])
        tokens, foils = (ids[None, :, None].expand(len(own), -1, 1) for ids in (self.tokens, self.foils))
        read, other = (before_cap(own.gather(-1, ids), self.cap) for ids in (tokens, foils))
        difference: Tensor = (read - other).squeeze(-1)
        return difference

    def to(self, dtype: torch.dtype) -> "Question":
        """The same question to a model of another type, which reads sounds in its own.

        Args:
            dtype: of the model.
        """
        sounds = self.batch.input_features
        return self if sounds is None else replace(self, batch=replace(self.batch, input_features=sounds.to(dtype)))


@torch.no_grad()
def ask(
    model: HookedEncoderDecoder,
    batch: Batch,
    rows: Int[Tensor, " row"] | None = None,
    foils: Int[Tensor, " row"] | None = None,
) -> Question:
    """A question about the labels of one prompt.

    Args:
        model: the model.
        batch: one prompt, without padding.
        rows: decoder rows; all of the target by default.
        foils: what the labels are compared with; by default the model's best other token.

    Raises:
        InputError: if the batch holds several prompts, or has no such row.
    """
    if len(batch) != 1:
        raise InputError(
            f"Source words are sought for one prompt at a time; got {len(batch)}. Use batch.select(index)."
        )
    labels = label_tokens(batch)
    chosen = torch.arange(labels.shape[1], device=labels.device) if rows is None else rows.to(labels.device)
    if not len(chosen) or int(chosen.min()) < 0 or int(chosen.max()) >= labels.shape[1]:
        raise InputError(f"The target has rows 0 to {labels.shape[1] - 1}; got {chosen.tolist()}.")
    if foils is None:
        logits: Logits = model(batch)
        foils = runner_up(model, logits, labels)[0, chosen]
    return Question(batch, chosen, labels[0, chosen], foils, model.cfg.logit_cap)


def baseline(model: HookedEncoderDecoder) -> Float[Tensor, " d_model"]:
    """The embedding of padding, which stands where a source token is taken out.

    Args:
        model: the model.
    """
    model.cfg.check_tokens("Taking source tokens out")
    return model.cfg.embed_scale * embedding(model)[model.cfg.pad_token_id]


def embedded(model: HookedEncoderDecoder, question: Question) -> Float[Tensor, "source d_model"]:
    """The embeddings of the source tokens, as the model makes them: some tokens have one beside the table.

    Args:
        model: the model.
        question: whose source.
    """
    model.cfg.check_tokens("Embedding a source otherwise")
    return run_stacks(model, question.batch, EMBEDDED).cache[EMBEDDED][0]


def answers(
    model: HookedEncoderDecoder, question: Question, embeddings: Float[Tensor, "copy source d_model"]
) -> Float[Tensor, "copy row"]:
    """The explained numbers with the source tokens embedded otherwise; gradients flow.

    Args:
        model: the model.
        question: what is explained.
        embeddings: for every copy of the prompt.
    """
    found = []
    for some in embeddings.split(_COPIES_AT_ONCE):
        copies = {name: question.batch[name].expand(len(some), -1) for name in INPUTS}

        def put(value: Tensor, hook: HookPoint, some: Tensor = some) -> Tensor:
            return some.to(value.dtype)

        with model.hooks([(EMBEDDED, put)]):
            found.append(question.read(model(copies)))
    return torch.cat(found)


@torch.no_grad()
def without(
    model: HookedEncoderDecoder, question: Question, kept: Bool[Tensor, "copy source"]
) -> Float[Tensor, "copy row"]:
    """The explained numbers with source tokens taken out: padding is embedded in their places, which stay.

    Args:
        model: the model.
        question: what is explained.
        kept: for every copy of the prompt, which source tokens stay.
    """
    own = embedded(model, question)
    return answers(model, question, torch.where(kept.unsqueeze(-1), own, baseline(model)))


@torch.no_grad()
def occlusion(model: HookedEncoderDecoder, question: Question) -> Float[Tensor, "row source"]:
    """What is lost when one source token at a time is taken out, exactly.

    Args:
        model: the model.
        question: what is explained.
    """
    length = question.batch.input_ids.shape[1]
    kept = torch.cat([torch.ones(1, length), 1 - torch.eye(length)]).bool().to(question.rows.device)
    values = without(model, question, kept)
    return (values[:1] - values[1:]).t()
