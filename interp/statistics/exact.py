"""How can a sum over prompts come out the same to the bit, whatever computes it?

A matrix product adds in an order that depends on the library, the number of threads and the size of the block. Here
the values are first rounded to whole multiples of a power of two, 2^52 / 2^b below the largest for n < 2^b prompts:
a change of about n · 1e-16 of a cell's largest value. Every weighted sum with whole weights that add up to at most n
(a bootstrap resample, a pattern of signs) is then a whole number below 2^53, which float64 holds exactly in any order.
"""

import numpy as np
from jaxtyping import Float, Int


def check_values(values: np.ndarray, draws: int) -> None:
    """Refuse values of which no draw of prompts can make sense.

    Args:
        values: a number for every prompt and cell.
        draws: how often prompts are drawn.

    Raises:
        ValueError: No prompts, an infinite value, or fewer than one draw.
    """
    if draws < 1:
        raise ValueError(f"Number of draws is {draws}; it must be 1 or more, such as 10000.")
    if len(values) == 0:
        raise ValueError("There are no prompts; a mean over prompts needs at least one.")
    if np.isinf(values).any():
        prompt = int(np.argwhere(np.isinf(values))[0][0])
        raise ValueError(
            f"Prompt {prompt} (counted from 0) has an infinite value; give finite numbers, or NaN where a prompt has "
            "no value."
        )


def flat_cells(values: np.ndarray) -> Float[np.ndarray, "prompt cell"]:
    """Values as float64 with all cells on one axis.

    Args:
        values: [prompt *cells].
    """
    return values.reshape(len(values), int(np.prod(values.shape[1:]))).astype(np.float64)


def whole_numbers(
    values: Float[np.ndarray, "prompt cell"],
) -> tuple[Float[np.ndarray, "prompt cell"], Int[np.ndarray, " cell"]]:
    """Whole numbers and exponents with values ≈ whole · 2^exponent, one exponent a cell.

    Args:
        values: finite numbers.
    """
    bits = 52 - len(values).bit_length()
    exponent = np.frexp(np.abs(values).max(axis=0))[1] - bits
    scaled = np.ldexp(values, -exponent)
    return np.rint(scaled, out=scaled), exponent
