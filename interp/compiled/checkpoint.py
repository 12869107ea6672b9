"""A compiled program as a checkpoint: a T5 with a tokenizer of words, which `interp.load` and plain transformers load."""

from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from interp.compiled.language import EOS, PAD, UNKNOWN
from interp.compiled.plan import plan_of
from interp.compiled.program import Program
from interp.compiled.weights import compile_program
from interp.errors import InputError
from interp.hooks.attention import attend_with
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.loading import quiet_host


def word_tokenizer(program: Program) -> PreTrainedTokenizerFast:
    """A tokenizer of the words of a program, split at blanks, with the end of a text behind every text.

    Args:
        program: the program.
    """
    ids = {word: number for number, word in enumerate(program.vocabulary)}
    tokenizer = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(single=f"$A {EOS}", special_tokens=[(EOS, ids[EOS])])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=EOS, unk_token=UNKNOWN, model_max_length=512
    )


def compiled(program: Program) -> HookedEncoderDecoder:
    """The hooked model of a program, with its tokenizer.

    Args:
        program: the program.
    """
    return HookedEncoderDecoder(compile_program(plan_of(program)).hf, word_tokenizer(program))


def save(program: Program, folder: Path) -> Path:
    """Write a program as a checkpoint of transformers; gives the folder.

    Args:
        program: the program.
        folder: where to; it must not exist, or be empty.

    Raises:
        InputError: if something is there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} exists and is not an empty folder; name a folder to be made.")
    model = compiled(program)
    attend_with(model.hf, "eager")
    with quiet_host():
        model.hf.save_pretrained(folder)
        word_tokenizer(program).save_pretrained(folder)
    return folder
