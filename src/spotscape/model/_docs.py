"""Parts of docstrings that several methods share."""

from docrep import DocstringProcessor
from scvi.utils import setup_anndata_dsp

docs = DocstringProcessor(
    **setup_anndata_dsp.params,
    spots="""\
adata
    Data set up in the same way as that of the model; a new section is set up by the saved rules. ``None``: the data of
    the model.
indices
    Spots to return, as row numbers or a mask. Their neighbours are always included in message passing. ``None``: all.
batch_size
    Number of spots at a time, to bound the memory; the result does not depend on it. ``None``: all at once up to
    65,536, and as many at a time where there are more.""",
    max_epochs="""\
max_epochs
    Number of passes through the spots. ``None``: set by the number of spots, see
    :func:`~spotscape.train.default_n_steps`, and at least 20; on large data each of these epochs covers a random subset
    of the spots.""",
    patches="""\
batch_size
    Number of spots whose losses one step computes. ``None``: all of them up to 10,000, and 8,192 of more, see
    :func:`~spotscape.train.default_batch_size`.
patch_size
    Number of spots of the compact patches, from all parts of all slices, that a smaller batch is made of. Spots of a
    patch share their neighbours; pairs inside it are weighted so that the losses are those of the whole tissue in
    expectation. Smaller where a batch would have fewer than 64 patches. ``None``: spots are drawn one by one, which
    costs several times as much.""",
    schedule="""\
schedule
    How the learning rate changes during training; see :class:`~spotscape.train.ScheduledTrainingPlan`.""",
    training="""\
train_size, validation_size
    Shares of the spots that train and validate; all train by default. Random spots are no independent check, since
    their neighbours train: to hold out slices, give ``datasplitter_kwargs={"external_indexing": [...]}``.
early_stopping
    Whether to stop when the smoothed training loss no longer falls, at the earliest once all its terms are used.
early_stopping_patience
    Number of epochs without improvement before training stops.
early_stopping_min_change
    Smallest relative fall of the loss that counts as an improvement.
accelerator, devices
    As :meth:`scvi.model.base.UnsupervisedTrainingMixin.train`.
plan_kwargs
    Further arguments of :class:`~spotscape.train.ScheduledTrainingPlan`.
datasplitter_kwargs
    Further arguments of :class:`~spotscape.data.SpotDataSplitter`.
**trainer_kwargs
    As :class:`scvi.train.Trainer`.""",
    slices="""\
slice_key
    Column of ``adata.obs`` with the slice (section) of each spot. ``None``: all spots are of one slice.
spatial_key
    Key of ``adata.obsm`` with the coordinates, ``(n_spots, 2)`` or ``(n_spots, 3)``, in any unit; slices may each have
    their own.
size_factor_key
    Column of ``adata.obs`` with each spot's total over all genes, for data that holds some of the genes only. ``None``:
    the totals over the genes at hand.
values
    What the expression is. ``"auto"`` recognises it and warns if it is not counts; ``"counts"`` refuses all else;
    ``"normalized"`` (library size removed, linear) and ``"log-normalized"`` take the values as that.""",
    setup_errors="""\
KeyError
    If a key is missing.
ValueError, TypeError
    If the data cannot be used; the message says why and what to do.""",
)
