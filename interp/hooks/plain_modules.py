"""Whether modules are what they seem: what is read from `.weight` must be the whole map that a module computes.

Adapters, quantized and distributed layers keep the names and attributes of plain ones and compute something else.
"""

from torch import nn

from interp.errors import InputError
from interp.hooks.host_weights import can_fetch

_PLAIN = ("torch.nn.modules.", "transformers.models.", "transformers.activations", "apex.normalization.")
"""Where the forward functions of plain modules are defined: torch's, the host's models, and a norm it takes from apex."""


def plain(model: nn.Module) -> nn.Module:
    """A model, taken out of torch.compile's wrapper, whose modules all compute what their weights say.

    Args:
        model: the host model.

    Raises:
        InputError: naming the first module that does not.
    """
    model = getattr(model, "_orig_mod", model)
    for path, module in model.named_modules():
        reason = _why_not(module)
        if reason is not None:
            place = f"The module {path!r}" if path else "The model"
            raise InputError(
                f"{place} is a {type(module).__module__}.{type(module).__qualname__}, {reason}, so what is read from weights "
                "would be another model's. Give transformers' plain class: of a model with adapters, call merge_and_unload() "
                "first; of a quantized, compiled or distributed one, load the weights as they were saved."
            )
    return model


def _why_not(module: nn.Module) -> str | None:
    if not type(module).forward.__module__.startswith(_PLAIN):
        return "which computes more than its weights"
    if "forward" in vars(module) and not hasattr(module, "_hf_hook"):
        return "whose forward function was replaced"
    if getattr(module, "_compiled_call_impl", None) is not None:
        return "which is compiled"
    for name, parameter in module.named_parameters(recurse=False):
        if type(parameter) is not nn.Parameter or type(parameter.data).__name__ != "Tensor":
            return f"whose {name} is a {type(parameter.data).__name__}"
        if not parameter.is_floating_point():
            return f"whose {name} holds {str(parameter.dtype).removeprefix('torch.')}"
        if not can_fetch(module, name):
            return f"whose {name} is not in memory"
    return None
