"""The way of the data of one or two modalities to what a window model reads: fitted once, saved with the model."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from spotscape._constants import FIELD_KEYS
from spotscape.data import ExpressionField, read_modality, slice_names
from spotscape.graph import Windows, build_windows, default_ring_weights, default_window, ring_means
from spotscape.model._base import registered_size_factors
from spotscape.preprocessing import Modality, Preprocessor, explained_share, modality_presence, slice_mixing
from spotscape.preprocessing._subsample import even_rows

_REGISTRY_KEYS = {"rna": REGISTRY_KEYS.X_KEY, "image": FIELD_KEYS.IMAGE}
#: Largest share of the image.
_IMAGE_WEIGHT = 0.5
#: Below this share of the image, the user is told.
_HARDLY = 0.05
#: Correlation with what expression predicts from which on the image has it.
_RELATED = 0.15
_N_INIT = 10
_AT_ONCE = 16_384
#: Most spots whose neighbours tell how far the images of slices differ.
_MIXED = 4096
#: Directions in which two modalities are given the same say.
_LEADING = 16
#: Most windows that the clusters are learnt from.
_CLUSTERED = 20_000

Features = dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]


class ModalityPath:
    """Preprocessing and correction of each modality, its weight, and the kind of the windows.

    Attributes
    ----------
    modalities
        Fitted :class:`~spotscape.preprocessing.Modality` of each modality.
    preprocessor
        From counts to components, ``None`` where expression is features.
    weights
        Share of each modality.
    window, layout
        Number of rings, and how spots lie.
    scale
        What brings the start of the latent space to a total variance of 1; set by :meth:`start_axes`.
    """

    def __init__(
        self,
        modalities: dict[str, Modality],
        preprocessor: Preprocessor | None,
        weights: dict[str, float],
        window: int,
        layout: str,
        scale: float = 1.0,
    ):
        self.modalities = modalities
        self.preprocessor = preprocessor
        self.weights = weights
        self.window = window
        self.layout = layout
        self.scale = scale

    @classmethod
    def fit(
        cls,
        manager: AnnDataManager,
        *,
        n_clusters: int,
        window: int | None,
        layout: str,
        corrections: Mapping[str, str | None],
        image_weight: float | None,
        n_top_genes: int,
        n_components: int | None,
        seed: int,
    ) -> "ModalityPath":
        """Learn everything from the data of the manager; the arguments are those of :class:`~spotscape.AESTETIK`."""
        slices = slice_names(manager)
        sizes = np.unique(slices, return_counts=True)[1]
        window = default_window(int(np.median(sizes))) if window is None else window
        names = [name for name, key in _REGISTRY_KEYS.items() if key in manager.data_registry]
        if image_weight is not None and "image" not in names:
            raise ValueError(
                f"`image_weight` is {image_weight}, but the data was set up without an image; leave it out."
            )
        if n_clusters >= manager.adata.n_obs:
            raise ValueError(f"`n_clusters` is {n_clusters}, but there are only {manager.adata.n_obs} spots; lower it.")
        state = manager.get_state_registry(REGISTRY_KEYS.X_KEY)
        preprocessor = None
        if ExpressionField.VALUES_KEY in state:
            if corrections["rna"] == "precomputed":
                raise ValueError(
                    "`rna_correction` is 'precomputed', but `rna_key` names counts; name a corrected representation in "
                    "`obsm`, or pass another correction."
                )
            preprocessor = Preprocessor(n_top_genes=n_top_genes, n_components=n_components)
            preprocessor.fit(
                manager.get_from_registry(REGISTRY_KEYS.X_KEY),
                [str(name) for name in state[ExpressionField.COLUMN_NAMES_KEY]],
                slices=slices,
                size_factors=registered_size_factors(manager),
                values=state[ExpressionField.VALUES_KEY],
            )
        modalities: dict[str, Modality] = {}
        path = cls(modalities, preprocessor, {}, window, layout)
        for name in names:
            given = path._given(manager, name)
            correction = corrections[name]
            if correction is None:
                n_slices = len(np.unique(slices[modality_presence(given)]))
                correction = "harmony" if n_slices > 1 else "none"
            modality = Modality(correction, scale=name == "image" or preprocessor is None)
            modalities[name] = modality.fit(given, slices, seed=seed)
        path._balance(manager)
        path.weights = path._weigh(manager, image_weight)
        return path

    @property
    def ring_weights(self) -> list[float]:
        """Weight of a spot of each ring in the average of a window."""
        return default_ring_weights(self.window).tolist()

    @property
    def n_features(self) -> dict[str, int]:
        """Number of features of each modality."""
        return {name: modality.n_features for name, modality in self.modalities.items()}

    @property
    def is_corrected(self) -> bool:
        """Whether differences between slices are removed from any modality."""
        return any(modality.is_corrected for modality in self.modalities.values())

    def features(self, manager: AnnDataManager, *, corrected: bool = True) -> Features:
        """Features of all spots and whether each has them, for each modality; as they are before correction if told."""
        slices = slice_names(manager)
        result = {}
        for name, modality in self.modalities.items():
            given = self._given(manager, name)
            result[name] = (modality.transform(given, slices, corrected=corrected), modality_presence(given))
        return result

    def windows(self, manager: AnnDataManager) -> Windows:
        """Windows of all spots."""
        coordinates = manager.get_from_registry(FIELD_KEYS.COORDINATES)
        return build_windows(coordinates, slice_names(manager), radius=self.window, layout=self.layout)

    def inverse_transform(
        self, name: str, features: NDArray[Any], *, genes: Sequence[str] | None = None
    ) -> NDArray[np.float32]:
        """Features in the units in which they were given, or log-normalised expression."""
        columns = self.modalities[name].inverse_transform(features)
        if name == "rna" and self.preprocessor is not None:
            return self.preprocessor.inverse_transform(columns, genes=genes)
        return columns

    def find_clusters(
        self, manager: AnnDataManager, n_clusters: int, *, seed: int
    ) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Clusters of each modality over all slices, by the averages of windows.

        For each modality, the cluster of each spot, -1 for spots without it, ``(n_spots,)``, and the distances between
        the centres of clusters in the start of the latent space, ``(n_clusters, n_clusters)``.
        """
        windows, result = self.windows(manager), {}
        for name, (values, present) in self.features(manager).items():
            averages = _averages(values, windows, present)[present]
            if n_clusters >= len(np.unique(averages, axis=0)):
                raise ValueError(f"`n_clusters` is {n_clusters}, too many for the {present.sum()} spots with {name}.")
            codes = np.full(len(values), -1)
            codes[present] = _clusters(averages, n_clusters, seed)
            sizes = np.bincount(codes[present], minlength=n_clusters)
            centres = np.stack([averages[codes[present] == k].sum(axis=0) for k in range(n_clusters)])
            centres /= np.maximum(sizes, 1)[:, None]
            distances = np.linalg.norm(centres[:, None] - centres, axis=2)
            result[name] = (codes, (self.scale * np.sqrt(self.weights[name]) * distances).astype(np.float32))
        return result

    def start_axes(self, manager: AnnDataManager, n_latent: int) -> NDArray[np.float32]:
        """Principal axes of the weighted averages of windows that have all modalities; sets :attr:`scale`.

        ``(n_features_of_all_modalities, at_most_n_latent)``.
        """
        windows, features = self.windows(manager), self.features(manager)
        averages = np.concatenate(
            [
                np.sqrt(self.weights[name]) * _averages(values, windows, present)
                for name, (values, present) in features.items()
            ],
            axis=1,
        )
        whole = np.all([present for _, present in features.values()], axis=0)
        averages = averages[whole] if whole.sum() > 1 else averages
        strength, axes = np.linalg.eigh(np.cov(averages.T.astype(np.float64)).reshape(averages.shape[1], -1))
        axes = axes[:, ::-1][:, :n_latent]
        self.scale = float(1 / np.sqrt(max(strength[::-1][:n_latent].sum(), 1e-12)))
        # The sign of an axis is arbitrary, and differs between machines.
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        return axes.astype(np.float32)

    def get_state(self) -> dict[str, Any]:
        """Everything needed to rebuild the path: names, numbers and arrays."""
        return {
            "modalities": {name: modality.get_state() for name, modality in self.modalities.items()},
            "preprocessor": None if self.preprocessor is None else self.preprocessor.get_state(),
            "weights": dict(self.weights),
            "window": self.window,
            "layout": self.layout,
            "scale": self.scale,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "ModalityPath":
        """Rebuild a fitted path from :meth:`get_state`."""
        return cls(
            {name: Modality.from_state(one) for name, one in state["modalities"].items()},
            None if state["preprocessor"] is None else Preprocessor.from_state(state["preprocessor"]),
            dict(state["weights"]),
            state["window"],
            state["layout"],
            state["scale"],
        )

    def _given(self, manager: AnnDataManager, name: str) -> NDArray[Any]:
        """Features as they are before scaling and correction."""
        if name == "rna" and self.preprocessor is not None:
            counts = manager.get_from_registry(REGISTRY_KEYS.X_KEY)
            return self.preprocessor.transform(counts, size_factors=registered_size_factors(manager))
        return read_modality(manager, _REGISTRY_KEYS[name])

    def _balance(self, manager: AnnDataManager) -> None:
        """Give the windows of two modalities the same variance in their leading directions, however many columns."""
        if len(self.modalities) == 1:
            return
        windows, deviations = self.windows(manager), {}
        for name, (values, present) in self.features(manager).items():
            averages = _averages(values, windows, present)[present].astype(np.float64)
            centred = averages - averages.mean(axis=0)
            variance = np.linalg.eigvalsh(centred.T @ centred / len(centred))[-_LEADING:].sum()
            # A modality that is the same everywhere stays as it is.
            if variance > 1e-12:
                deviations[name] = np.sqrt(variance)
        # Their mean stays, so that the losses keep their size.
        middle = np.exp(np.mean(np.log(list(deviations.values()) or [1.0])))
        for name, deviation in deviations.items():
            self.modalities[name].shrink(float(deviation / middle))

    def _weigh(self, manager: AnnDataManager, image_weight: float | None) -> dict[str, float]:
        if "image" not in self.modalities:
            return {"rna": 1.0}
        if image_weight is None:
            windows, features = self.windows(manager), self.features(manager)
            both = features["image"][1]
            rna, image = (_averages(values, windows, present)[both] for values, present in features.values())
            coordinates = np.asarray(manager.get_from_registry(FIELD_KEYS.COORDINATES), dtype=float)[both]
            slices = slice_names(manager)[both]
            share = explained_share(rna, image, coordinates, slices)
            some = even_rows(len(image), _MIXED)
            # Distances add up in one order on one thread.
            with threadpool_limits(1):
                mixing = slice_mixing(image[some], slices[some])
            image_weight = _IMAGE_WEIGHT * min(1.0, np.sqrt(max(share, 0.0)) / _RELATED) * min(1.0, mixing)
            if image_weight < _HARDLY:
                warnings.warn(
                    f"The image gets a weight of {image_weight:.2f}: expression explains {max(share, 0.0):.1%} of it, "
                    f"and slices mix in it to {mixing:.0%} of what chance gives. Pass `image_weight` to give it more.",
                    UserWarning,
                    stacklevel=4,
                )
        return {"rna": 1.0 - float(image_weight), "image": float(image_weight)}


def _clusters(averages: NDArray[np.float32], n_clusters: int, seed: int) -> NDArray[np.int64]:
    """Cluster of each window by k-means, which weighs directions by their variance as the latent space does."""
    # Starts draw by row number: in this order they do not depend on the order of the spots.
    order = np.lexsort(averages.T[::-1])
    drawn = order[even_rows(len(order), _CLUSTERED)]
    # One thread adds up in one order.
    with threadpool_limits(1, user_api="openmp"):
        means = KMeans(n_clusters, n_init=_N_INIT, random_state=seed).fit(averages[drawn].astype(np.float64))
        return means.predict(averages.astype(np.float64)).astype(np.int64)


def _averages(values: NDArray[np.float32], windows: Windows, present: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Average features of each window. ``(n_spots, n_features)``."""
    result = np.empty_like(values)
    for start in range(0, len(values), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        means, counts = ring_means(values, windows.sites[rows], windows.rings, present)
        weights = counts * default_ring_weights(int(windows.rings[-1]))
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-6)
        result[rows] = np.einsum("ir,ird->id", weights, means)
    return result
