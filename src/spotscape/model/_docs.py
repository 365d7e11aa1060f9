"""Parts of the docstrings of the models: parameters that several methods share, and examples of inherited methods."""

from collections.abc import Callable
from typing import Any, TypeVar

from docrep import DocstringProcessor
from scvi.utils import setup_anndata_dsp

docs = DocstringProcessor(
    **setup_anndata_dsp.params,
    spots="""\
adata
    AnnData or MuData set up like the data of the model. Data that has not been set up is set up with the arguments
    stored in the model. ``None``: the data of the model.
indices
    Row numbers or boolean mask of the spots to return. The neighbours of these spots are always included in message
    passing. ``None``: all spots.
batch_size
    Number of spots that are encoded at a time, to limit the memory. The result does not depend on it. ``None``: that of
    ``scvi.settings`` if you changed it, otherwise 65,536, or all spots if there are fewer.""",
    max_epochs="""\
max_epochs
    Number of passes through the spots. ``None``: chosen from the number of spots by
    :func:`~spotscape.train.default_n_steps`, and at least 20. On large data each of these epochs then covers a random
    subset of the spots.""",
    patches="""\
batch_size
    Number of spots for which one training step computes the losses. ``None``: that of ``scvi.settings`` if you changed
    it, otherwise chosen by :func:`~spotscape.train.default_batch_size`, that is all spots up to 10,000 and 8,192
    otherwise.
patch_size
    Number of spots per patch. A batch that does not contain all spots consists of compact patches, drawn at random from
    all slices. The spots of a patch share neighbours, so a batch of patches costs several times less than spots drawn
    one by one. Pairs of spots within a patch are weighted so that the expected losses are those of the whole tissue.
    Patches are smaller if a batch would otherwise have fewer than 64 of them. ``None``: draw spots one by one.""",
    schedule="""\
schedule
    Learning rate schedule, see :class:`~spotscape.train.ScheduledTrainingPlan`.""",
    training="""\
train_size, validation_size
    Fractions of the spots for training and validation. By default all spots are used for training. Validation on random
    spots is not independent, because their neighbours are training spots. To hold out whole slices, pass
    ``datasplitter_kwargs={"external_indexing": [...]}``.
early_stopping
    Whether to stop when the smoothed training loss no longer decreases. Training does not stop before all terms of the
    loss are in use.
early_stopping_patience
    Number of epochs without improvement before training stops.
early_stopping_min_change
    Minimum relative decrease of the loss that counts as an improvement.
accelerator, devices
    See :meth:`scvi.model.base.UnsupervisedTrainingMixin.train`.
plan_kwargs
    Further arguments of :class:`~spotscape.train.ScheduledTrainingPlan`.
datasplitter_kwargs
    Further arguments of :class:`~spotscape.data.SpotDataSplitter`.
checkpoint_dir
    Folder of a checkpoint, the file ``training.ckpt``, which is written after each twentieth of the epochs. If the
    file is there, training continues from it, with the same result as without the interruption; it must be of the same
    data, arguments, releases and seed. It is removed when training has ended. ``None``: no checkpoints. See
    :doc:`/user_guide/scale`.
**trainer_kwargs
    Further arguments of :class:`scvi.train.Trainer`.""",
    optimiser="""\
lr
    Maximum learning rate.
weight_decay
    Weight decay of the optimiser.""",
    training_errors="""\
Raises
------
ValueError, TypeError
    If an argument is invalid, the model was loaded without data, or a checkpoint is damaged or of another training.
RuntimeError
    If the training loss becomes infinite or NaN. As after any error, the model is as it was before.
KeyboardInterrupt
    If training is interrupted. The model is as it was before.""",
    slices="""\
slice_key
    Column of ``adata.obs`` with the slice (tissue section) of each spot. ``None``: all spots belong to one slice.
spatial_key
    Key of ``adata.obsm`` with the coordinates, ``(n_spots, 2)`` or ``(n_spots, 3)``, in any unit. Each slice may have
    its own coordinate system.
size_factor_key
    Column of ``adata.obs`` with the total counts of each spot over all genes, for data that contains only some of the
    genes. ``None``: the totals over the genes in the data.
labels_key
    Column of ``adata.obs`` with annotations, for the scib metrics of :func:`scvi.autotune.run_autotune`. Nothing else
    uses it, and new data need not have it.
values
    Scale of the expression. ``"auto"`` detects it, see :func:`~spotscape.preprocessing.recognise_values`, and warns if
    the values are not whole numbers. ``"counts"`` are whole numbers, or counts that were corrected, for example for
    ambient RNA; their library size is removed. ``"normalized"`` (divided by the library size, not log-transformed) and
    ``"log-normalized"`` use the values as declared.""",
    setup_results="""\
Returns
-------
``None``. The data receive the column ``obs["_scvi_batch"]`` with the slice, identifiers of scvi-tools in ``uns`` and,
for models with a graph, the graph in ``obsp``.

Raises
------
KeyError
    If a key is missing.
ValueError, TypeError
    If the data cannot be used. The message names the problem and how to solve it.""",
    not_trained="""\
Raises
------
RuntimeError
    If the model has not been trained.""",
    prepare_query="""\
reference_model
    Trained model, or the folder in which it was saved.
return_reference_var_names
    Whether to return only the names of the genes of the model, and change nothing.
inplace
    Whether to change the data itself, as in scvi-tools, or return a changed copy.""",
    prepare_query_errors="""\
ValueError
    If the section has too few genes of the model, or gene names are not unique.
TypeError
    If the expression is in a file, or the model was set up with features instead of expression.

Warns
-----
UserWarning
    If the section has less than a third of the selected genes of the model.""",
    load_files="""\
accelerator, device
    Device to load the model to.
prefix
    Prefix of the file names.
backup_url
    URL from which the file is downloaded if it does not exist.
allow_pickle
    Whether to read a file that may execute code. By default files with anything but numbers, strings and plain
    containers raise an error, because reading them can run code. Files of this package have no such content.""",
    # Examples of methods that all models inherit.
    latent_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
>>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
>>> model = sps.SPOTSCAPE(adata, n_latent=8)
>>> model.train(max_epochs=1)
>>> model.get_latent_representation().shape
(60, 8)
>>> model.get_latent_representation(indices=[0, 5]).shape
(2, 8)""",
    novelty_example="""\
Examples
--------
A section in which the genes are in reverse order is unlike the training data:

>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
>>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
>>> model = sps.SPOTSCAPE(adata)
>>> model.train(max_epochs=1)
>>> query = adata.copy()
>>> query.layers["counts"] = adata.layers["counts"][:, ::-1].copy()
>>> print(model.get_novelty().mean().round(1), model.get_novelty(query).mean().round(1))
0.0 1.0""",
    slice_novelty_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=40)
>>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
>>> model = sps.SPOTSCAPE(adata)
>>> model.train(max_epochs=1)
>>> model.get_slice_novelty()[["n_spots", "out_of_distribution"]]
         n_spots  out_of_distribution
slice
slice_1       60                False
slice_2       60                False""",
    prepare_query_example="""\
Examples
--------
The new section lacks the first five genes:

>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
>>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
>>> model = sps.SPOTSCAPE(adata)
>>> query = adata[:, 5:].copy()
>>> sps.SPOTSCAPE.prepare_query_anndata(query, model)
>>> query.n_vars, int(query.var["spotscape_measured"].sum())
(40, 35)""",
    prepare_query_mudata_example="""\
Examples
--------
>>> import mudata
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
>>> mdata = mudata.MuData({"rna": adata})
>>> sps.SPOTSCAPE.setup_mudata(mdata, modality="rna", layer="counts")
>>> model = sps.SPOTSCAPE(mdata)
>>> query = mudata.MuData({"rna": adata[:, 5:].copy()})
>>> sps.SPOTSCAPE.prepare_query_mudata(query, model)
>>> query["rna"].n_vars
40""",
    differential_expression_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=200, n_genes=40, n_domains=3)
>>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
>>> model = sps.SPOTSCAPE(adata)
>>> table = model.differential_expression(groupby="domain", group1=adata.obs["domain"].cat.categories[0])
>>> len(table)
40""",
    report_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=100, n_genes=40)
>>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
>>> model = sps.SPOTSCAPE(adata)
>>> model.train(max_epochs=1)
>>> model.report("report.html", domain_key="domain").name
'report.html'""",
    keep_domains_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=200, n_genes=40, n_domains=3)
>>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
>>> model = sps.SPOTSCAPE(adata)
>>> model.train(max_epochs=1)
>>> adata.obsm["X_spotscape"] = model.get_latent_representation()
>>> sps.tl.domains(adata, n_domains=3)
>>> adata.obs["spatial_domain"] = adata.obs["spatial_domain"].cat.rename_categories(["core", "ring", "edge"])
>>> model.keep_domains()
>>> model.save("my_model")
>>> query = sps.datasets.synthetic_tissue(n_slices=1, n_spots=80, n_genes=40, seed=1)
>>> model = sps.SPOTSCAPE.load_query_data(query, "my_model")
>>> query.obsm["X_spotscape"] = model.get_latent_representation()
>>> sps.tl.predict_domains(query, model)
>>> query.obs["spatial_domain"].cat.categories.tolist()
['core', 'ring', 'edge']""",
    load_query_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
>>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
>>> reference = sps.SPOTSCAPE(adata)
>>> reference.train(max_epochs=1)
>>> query = sps.datasets.synthetic_tissue(n_slices=1, n_spots=80, n_genes=40, seed=1)
>>> model = sps.SPOTSCAPE.load_query_data(query[:, 5:].copy(), reference)
>>> model.get_latent_representation().shape
(80, 64)""",
    hub_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
>>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
>>> model = sps.SPOTSCAPE(adata)
>>> model.train(max_epochs=1)
>>> model.to_hub("for_the_hub", description="Made-up tissue.", license="mit")
>>> from scvi.hub import HubModel
>>> hub_model = HubModel("for_the_hub")
>>> hub_model.load_model(adata=adata)
>>> hub_model.model.get_latent_representation().shape
(60, 64)""",
    save_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
>>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
>>> model = sps.SPOTSCAPE(adata)
>>> model.train(max_epochs=1)
>>> model.save("my_model")
>>> sps.SPOTSCAPE.load("my_model", adata=adata).is_trained
True""",
    load_example="""\
Examples
--------
Load a model without data, and apply it to other data with the same genes:

>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
>>> query = adata.copy()
>>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
>>> model = sps.SPOTSCAPE(adata)
>>> model.train(max_epochs=1)
>>> model.save("my_model")
>>> loaded = sps.SPOTSCAPE.load("my_model", adata=False)
>>> loaded.get_latent_representation(query).shape
(60, 64)""",
    # Examples of methods of AESTETIK, whose file would be too long with them.
    setup_modalities_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_modalities(n_slices=1, n_spots=60, n_genes=40)
>>> sps.AESTETIK.setup_anndata(adata, rna_key="counts", image_key="X_image")
>>> sps.AESTETIK(adata, n_clusters=3, image_weight=0.5).get_modality_weights()
{'rna': 0.5, 'image': 0.5}""",
    setup_two_modalities_example="""\
Examples
--------
>>> import anndata
>>> import mudata
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_modalities(n_slices=1, n_spots=60, n_genes=40)
>>> image = anndata.AnnData(adata.obsm["X_image"], obs=adata.obs)
>>> mdata = mudata.MuData({"rna": adata, "image": image})
>>> sps.AESTETIK.setup_mudata(mdata, rna_key="counts")
>>> sps.AESTETIK(mdata, n_clusters=3, image_weight=0.5).get_modality_weights()
{'rna': 0.5, 'image': 0.5}""",
    train_modalities_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_modalities(n_slices=1, n_spots=60, n_genes=40)
>>> sps.AESTETIK.setup_anndata(adata, rna_key="counts", image_key="X_image")
>>> model = sps.AESTETIK(adata, n_clusters=3, image_weight=0.5)
>>> model.train(max_epochs=3)
>>> len(model.history["train_loss"])
3""",
    clusters_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_modalities(n_slices=1, n_spots=60, n_genes=40)
>>> sps.AESTETIK.setup_anndata(adata, rna_key="counts", image_key="X_image")
>>> model = sps.AESTETIK(adata, n_clusters=3, image_weight=0.5)
>>> model.train(max_epochs=1)
>>> model.get_clusters().shape
(60,)
>>> sorted(set(model.get_clusters().tolist()))
[0, 1, 2]""",
    reconstruction_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_modalities(n_slices=1, n_spots=60, n_genes=40)
>>> sps.AESTETIK.setup_anndata(adata, rna_key="counts", image_key="X_image")
>>> model = sps.AESTETIK(adata, n_clusters=3, image_weight=0.5)
>>> model.train(max_epochs=1)
>>> model.get_reconstruction("rna").shape, model.get_reconstruction("image").shape
((60, 40), (60, 30))
>>> model.get_reconstruction("rna", gene_list=list(adata.var_names[:2])).shape
(60, 2)""",
    modality_weights_example="""\
Examples
--------
>>> import spotscape as sps
>>> adata = sps.datasets.synthetic_modalities(n_slices=1, n_spots=60, n_genes=40)
>>> sps.AESTETIK.setup_anndata(adata, rna_key="counts", image_key="X_image")
>>> model = sps.AESTETIK(adata, n_clusters=3, image_weight=0.25)
>>> model.get_modality_weights()
{'rna': 0.75, 'image': 0.25}""",
)


_Method = TypeVar("_Method", bound=Callable[..., Any])


def documented(method: _Method) -> _Method:
    """Fill the shared texts into the docstring of a method, which keeps its type for type checkers."""
    return docs.dedent(method)
