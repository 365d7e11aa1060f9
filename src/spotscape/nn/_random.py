"""Random numbers that are a function of a key and an index, so that no generator has to keep a state."""

from torch import Tensor

# The constants of the splitmix64 generator, as signed 64-bit integers.
_INCREMENT = 0x9E3779B97F4A7C15 - 2**64
_MULTIPLIERS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)
_KEY_MULTIPLIER = 0xD1342543DE82EF95


def random_key(seed: int, step: int, stream: int) -> int:
    r"""Combine a seed, a training step and a stream into one integer key.

    .. math:: \mathrm{key} = \bigl( 16\, (1\,000\,003\, \mathrm{seed} + \mathrm{step}) + \mathrm{stream} \bigr)
        \bmod 2^{63}

    The random numbers of a training step are computed from its key. They do not depend on how many numbers were drawn
    before, so a step can be repeated exactly.

    Parameters
    ----------
    seed
        Seed of the model.
    step
        Number of the training step; -1 outside training.
    stream
        Which of at most 16 independent draws of the step, from 0 to 15.

    Returns
    -------
    Integer in :math:`[0, 2^{63})`.

    Examples
    --------
    >>> from spotscape import nn
    >>> nn.random_key(seed=0, step=1, stream=0)
    16
    >>> nn.random_key(seed=0, step=1, stream=1)
    17
    """
    return ((seed * 1_000_003 + step) * 16 + stream) % 2**63


def hash_integers(values: Tensor, key: int) -> Tensor:
    """Hash integers to values uniform over int64, by the mixing steps of splitmix64. Same shape as ``values``."""
    hashed = values * _INCREMENT + ((key * _KEY_MULTIPLIER + 2**63) % 2**64 - 2**63)
    for shift, multiplier in zip((30, 27), _MULTIPLIERS, strict=True):
        hashed = (hashed ^ (hashed >> shift)) * multiplier
    return hashed ^ (hashed >> 31)


def scramble(values: Tensor) -> Tensor:
    """Multiply by a large odd constant, modulo 2**64, which makes low bits affect high bits. Changes ``values``."""
    return values.mul_(_MULTIPLIERS[0])


def is_below(values: Tensor, probability: float) -> Tensor:
    """Tell which of the values, uniform over int64, lie in its lowest ``probability`` part. Boolean."""
    return values < int(probability * 2**64) - 2**63
