"""Default length and batch size of the training, by the number of spots."""

from spotscape._validate import check_integer

# Where the user changes nothing.
_BATCH_SIZE_OF_SCVI = 128


def default_n_steps(n_spots: int) -> int:
    r"""Return the default number of optimisation steps for a data set of ``n_spots`` spots.

    It is :math:`n_\mathrm{spots} / 12`, clipped to 20 to 300. Longer training on few spots would fit their noise.

    Parameters
    ----------
    n_spots
        Number of spots in the training data.

    Returns
    -------
    Number of steps.

    Examples
    --------
    >>> import spotscape as sps
    >>> [sps.train.default_n_steps(n_spots) for n_spots in (100, 1200, 10_000)]
    [20, 100, 300]
    """
    check_integer(n_spots, "n_spots", minimum=1)
    return min(max(n_spots // 12, 20), 300)


def batch_size_of_settings() -> int | None:
    """Batch size that the user set in ``scvi.settings``. ``None``: that of scvi-tools, which is meant for cells."""
    from scvi import settings

    return None if settings.batch_size == _BATCH_SIZE_OF_SCVI else int(settings.batch_size)


def default_batch_size(n_spots: int) -> int:
    """Return the default batch size, the number of spots whose losses one step computes.

    All spots up to 10,000 spots and 8,192 above, so that the cost of a step does not grow with the data.

    Parameters
    ----------
    n_spots
        Number of spots in the training data.

    Returns
    -------
    Number of spots in a batch.

    Examples
    --------
    >>> import spotscape as sps
    >>> [sps.train.default_batch_size(n_spots) for n_spots in (5000, 1_000_000)]
    [5000, 8192]
    """
    check_integer(n_spots, "n_spots", minimum=1)
    return int(n_spots) if n_spots <= 10_000 else 8_192
