"""Features, windows, weights and clusters of one or two modalities, which are saved with the model."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from spotscape.graph._lattice_windows import build_lattice_windows
from spotscape.graph._windows import Windows, build_windows, default_window, window_averages
from spotscape.preprocessing._agreement import explained_share, slice_mixing
from spotscape.preprocessing._pipeline import Expression, FeaturePipeline, Features, presence
from spotscape.preprocessing._preprocessor import Preprocessor
from spotscape.preprocessing._scaling import FeatureScaler
from spotscape.preprocessing._subsample import evenly_spaced_rows
from spotscape.preprocessing.correction import CORRECTIONS, correction_named

#: ``"precomputed"`` leaves a representation that was corrected elsewhere as it is, also the scale of its columns.
MODALITY_CORRECTIONS = (*CORRECTIONS, "precomputed")
_MAX_IMAGE_WEIGHT = 0.5
#: Below this weight of the image, a warning is given.
_NEGLIGIBLE_WEIGHT = 0.05
#: The image has its full weight from this correlation between its features and their prediction from expression.
_FULL_WEIGHT_CORRELATION = 0.15
#: Largest number of spots whose neighbours measure how well the images of slices mix.
_N_SPOTS_MIXING = 4096
#: Number of leading directions in which the variances of two modalities are made equal.
_N_BALANCED_DIRECTIONS = 16
#: Largest number of windows that the clusters are learnt from.
_N_CLUSTERED_WINDOWS = 20_000
_N_INIT = 10


@dataclass
class ModalityPipelines:
    """Pipelines of the modalities, weights of the modalities, and size of the windows.

    Parameters
    ----------
    pipelines
        Fitted pipeline of each modality.
    weights
        Weight of each modality; they sum to 1.
    window, layout
        Number of rings, and arrangement of the spots, see :func:`~spotscape.graph.build_windows`.
    scale
        Factor that gives the initial latent space a total variance of 1.
    lattice
        Whether windows are the square ones of :func:`~spotscape.graph.build_lattice_windows`, with ``window`` sites on
        each side of the spot. The features are then scaled to the range from 0 to 1, and clustered as they are.
    """

    pipelines: dict[str, FeaturePipeline]
    weights: dict[str, float]
    window: int
    layout: str
    scale: float = 1.0
    lattice: bool = False

    @classmethod
    def fit(
        cls,
        values: Mapping[str, Expression | NDArray[np.float64]],
        slices: NDArray[np.str_],
        coordinates: NDArray[Any],
        *,
        window: int | None,
        layout: str,
        corrections: Mapping[str, str | None],
        image_weight: float | None,
        preprocessor: Mapping[str, Any],
        n_feature_components: int,
        n_latent: int,
        lattice: bool,
        seed: int,
    ) -> tuple["ModalityPipelines", NDArray[np.float32] | None]:
        """Learn everything from the data.

        Parameters
        ----------
        values
            Expression or features of each modality, ``"rna"`` and perhaps ``"image"``.
        slices, coordinates
            Name of the slice, and position, of each spot.
        window, layout, corrections, image_weight, n_latent, seed
            Arguments of :class:`~spotscape.AESTETIK`.
        preprocessor
            Arguments of :class:`~spotscape.preprocessing.Preprocessor`, for expression.
        n_feature_components
            Number of principal components of wider features.
        lattice
            See :class:`ModalityPipelines`.

        Returns
        -------
        The fitted pipelines, and the axes from which the latent space starts: principal axes of the weighted averages
        of windows that have all modalities, ``(n_features_of_all_modalities, at_most_n_latent)``. With ``lattice``,
        there are no axes.
        """
        if window is None:
            window = default_window(int(np.median(np.unique(slices, return_counts=True)[1])))
        result = cls({}, {}, window, layout, lattice=lattice)
        features = {}
        for name, given in values.items():
            pipeline = _pipeline(name, given, slices, corrections[name], preprocessor, n_feature_components)
            features[name] = pipeline.fit_transform(given, slices, seed=seed)
            result.pipelines[name] = pipeline
            if lattice:
                pipeline.scale_to_unit_range(features[name])
        if lattice:
            itself = {name: one.corrected for name, one in features.items()}
            result.weights = _weights(itself, features, coordinates, slices, image_weight)
            return result, None
        windows = result.windows(coordinates, slices)
        averages = _averages(features, windows)
        if len(values) > 1:
            result._balance(averages, features)
        result.weights = _weights(averages, features, coordinates, slices, image_weight)
        return result, result._start_axes(averages, features, n_latent)

    def transform(
        self, values: Mapping[str, Expression | NDArray[np.float64]], slices: NDArray[np.str_]
    ) -> dict[str, Features]:
        """Features of all spots in each modality."""
        return {name: pipeline.transform(values[name], slices) for name, pipeline in self.pipelines.items()}

    def windows(self, coordinates: NDArray[Any], slices: NDArray[np.str_]) -> Any:
        """Windows of all spots, or their sites with ``lattice``."""
        if self.lattice:
            return build_lattice_windows(coordinates, slices, width=2 * self.window + 1, layout=self.layout)
        return build_windows(coordinates, slices, radius=self.window, layout=self.layout)

    def find_clusters(
        self,
        features: Mapping[str, Features],
        windows: Any,
        n_clusters: int,
        *,
        seed: int,
        cluster_spots: Callable[[NDArray[np.float32], int, int], NDArray[np.int64]],
    ) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Cluster each modality over all slices, by k-means of the window averages.

        With ``lattice``, ``cluster_spots`` clusters the features of the spots themselves.

        Parameters
        ----------
        features, windows
            Features and windows of all spots.
        n_clusters, seed
            Number of clusters, and random seed of the clustering.
        cluster_spots
            Function of features, number of clusters and seed that returns the cluster of each spot.

        Returns
        -------
        For each modality, the cluster of each spot, -1 for spots without the modality, ``(n_spots,)``, and the
        distances between cluster centres in the initial latent space, ``(n_clusters, n_clusters)``; 1 with ``lattice``.

        Raises
        ------
        ValueError
            If there are not more distinct spots than clusters.
        """
        result = {}
        given = {name: one.corrected for name, one in features.items()} if self.lattice else None
        for name, all_averages in (given or _averages(features, windows)).items():
            present = features[name].present
            averages = all_averages[present]
            if n_clusters >= len(np.unique(averages, axis=0)):
                raise ValueError(f"`n_clusters` is {n_clusters}, too many for the {present.sum()} spots with {name}.")
            codes = np.full(len(present), -1)
            if self.lattice:
                codes[present] = cluster_spots(averages, n_clusters, seed)
                result[name] = (codes, np.ones((n_clusters, n_clusters), dtype=np.float32))
                continue
            codes[present] = _clusters(averages, n_clusters, seed)
            sizes = np.bincount(codes[present], minlength=n_clusters)
            centres = np.stack([averages[codes[present] == k].sum(axis=0) for k in range(n_clusters)])
            centres /= np.maximum(sizes, 1)[:, None]
            distances = np.linalg.norm(centres[:, None] - centres, axis=2)
            result[name] = (codes, (self.scale * np.sqrt(self.weights[name]) * distances).astype(np.float32))
        return result

    @property
    def n_features(self) -> dict[str, int]:
        """Number of features of each modality."""
        return {name: pipeline.n_features for name, pipeline in self.pipelines.items()}

    def get_state(self) -> dict[str, Any]:
        """Fitted parameters as a dictionary of names, numbers and arrays."""
        return vars(self) | {"pipelines": {name: pipeline.get_state() for name, pipeline in self.pipelines.items()}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "ModalityPipelines":
        """Restore fitted pipelines from the result of :meth:`get_state`."""
        pipelines = {name: FeaturePipeline.from_state(one) for name, one in state["pipelines"].items()}
        return cls(**(state | {"pipelines": pipelines}))

    def _balance(self, averages: dict[str, NDArray[np.float32]], features: dict[str, Features]) -> None:
        """Scale the windows of two modalities to the same variance in their leading directions, in place."""
        deviations = {}
        for name, values in averages.items():
            present = values[features[name].present].astype(np.float64)
            centred = present - present.mean(axis=0)
            variance = np.linalg.eigvalsh(centred.T @ centred / len(centred))[-_N_BALANCED_DIRECTIONS:].sum()
            # A modality that is the same everywhere keeps its scale.
            if variance > 1e-12:
                deviations[name] = np.sqrt(variance)
        # Their geometric mean is kept, so that the losses keep their size.
        mean = np.exp(np.mean(np.log(list(deviations.values()) or [1.0])))
        for name, deviation in deviations.items():
            divisor = float(deviation / mean)
            self.pipelines[name].divide(divisor)
            averages[name] /= np.float32(divisor)

    def _start_axes(
        self, averages: Mapping[str, NDArray[np.float32]], features: Mapping[str, Features], n_latent: int
    ) -> NDArray[np.float32]:
        weighted = np.concatenate([np.sqrt(self.weights[name]) * values for name, values in averages.items()], axis=1)
        complete = np.all([one.present for one in features.values()], axis=0)
        weighted = weighted[complete] if complete.sum() > 1 else weighted
        variances, axes = np.linalg.eigh(np.cov(weighted.T.astype(np.float64)).reshape(weighted.shape[1], -1))
        axes = axes[:, ::-1][:, :n_latent]
        self.scale = float(1 / np.sqrt(max(variances[::-1][:n_latent].sum(), 1e-12)))
        # The sign of an axis is arbitrary, and differs between machines.
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        return axes.astype(np.float32)


def _pipeline(
    name: str,
    values: Expression | NDArray[np.float64],
    slices: NDArray[np.str_],
    correction: str | None,
    preprocessor: Mapping[str, Any],
    n_feature_components: int,
) -> FeaturePipeline:
    """Pipeline of a modality, not fitted yet."""
    is_expression = isinstance(values, Expression)
    if is_expression and correction == "precomputed":
        raise ValueError(
            "`rna_correction` is 'precomputed', but `rna_key` names counts; name a corrected representation in `obsm`, "
            "or pass another correction."
        )
    standardize = not is_expression and correction != "precomputed"
    if correction is None:
        present = slices if is_expression else slices[presence(values)]
        correction = "harmony" if len(np.unique(present)) > 1 else "none"
    return FeaturePipeline(
        correction_named("none" if correction == "precomputed" else correction),
        preprocessor=Preprocessor(**preprocessor) if is_expression else None,
        scaler=FeatureScaler(standardize=standardize, n_components=n_feature_components),
    )


def _weights(
    averages: Mapping[str, NDArray[np.float32]],
    features: Mapping[str, Features],
    coordinates: NDArray[Any],
    slices: NDArray[np.str_],
    image_weight: float | None,
) -> dict[str, float]:
    """Share of each modality: as given, or by how far expression explains the image and slices mix in it."""
    if "image" not in features:
        return {"rna": 1.0}
    if image_weight is None:
        both = features["image"].present
        rna, image = (averages[name][both] for name in ("rna", "image"))
        share = explained_share(rna, image, np.asarray(coordinates, dtype=float)[both], slices[both])
        some = evenly_spaced_rows(len(image), _N_SPOTS_MIXING)
        # Distances add up in one order on one thread.
        with threadpool_limits(1):
            mixing = slice_mixing(image[some], slices[both][some])
        relatedness = min(1.0, np.sqrt(max(share, 0.0)) / _FULL_WEIGHT_CORRELATION)
        image_weight = _MAX_IMAGE_WEIGHT * relatedness * min(1.0, mixing)
        if image_weight < _NEGLIGIBLE_WEIGHT:
            warnings.warn(
                f"The image gets a weight of {image_weight:.2f}: expression explains {max(share, 0.0):.1%} of it, and "
                f"slices mix in it to {mixing:.0%} of what chance gives. Pass `image_weight` to give it more.",
                UserWarning,
                stacklevel=4,
            )
    return {"rna": 1.0 - float(image_weight), "image": float(image_weight)}


def _averages(features: Mapping[str, Features], windows: Windows) -> dict[str, NDArray[np.float32]]:
    """Average features of the window of each spot, for each modality. ``(n_spots, n_features)``."""
    return {name: window_averages(one.corrected, windows, one.present) for name, one in features.items()}


def _clusters(averages: NDArray[np.float32], n_clusters: int, seed: int) -> NDArray[np.int64]:
    """Cluster of each window by k-means, in which directions are weighted by their variance, as in the latent space."""
    # Restarts draw by row number: in this order they do not depend on the order of the spots.
    order = np.lexsort(averages.T[::-1])
    drawn = order[evenly_spaced_rows(len(order), _N_CLUSTERED_WINDOWS)]
    # One thread adds up in one order.
    with threadpool_limits(1, user_api="openmp"):
        means = KMeans(n_clusters, n_init=_N_INIT, random_state=seed).fit(averages[drawn].astype(np.float64))
        return means.predict(averages.astype(np.float64)).astype(np.int64)
