"""The one registry: models of the package, methods that represent spots, and other packages.

To measure something new, add it here: every benchmark takes its methods, their names and their colours from these
tables.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common.aestetik import IMAGE, aestetik, corrected, on_representation, side_by_side
from benchmarks.common.reading import Section
from benchmarks.common.representations import (
    centred,
    combat,
    components,
    graph_model,
    harmony,
    scvi_latent,
    trained,
    unscaled_components,
    with_harmony,
)
from benchmarks.common.variants import VARIANTS, Variants

Represent = Callable[[Section, int], np.ndarray]
#: Colour of what is no method of ours.
OTHER_COLOR = "#777777"

#: The model that others are compared with, unless another is asked for.
DEFAULT_MODEL = "SPOTSCAPE"
IMAGE_MODEL = "AESTETIK"


@dataclass(frozen=True)
class Model:
    """A model of the package, by the name of its class.

    Parameters
    ----------
    color
        That of its points and lines.
    variants
        Settings that are measured, by their names; ``"default"`` is among them.
    """

    color: str
    variants: Variants


#: Models of expression and neighbourhood, which every benchmark can train: the choices of ``--model``.
MODELS = {
    DEFAULT_MODEL: Model("#D55E00", VARIANTS[DEFAULT_MODEL]),
    "SEDR": Model("#8C2D04", VARIANTS["SEDR"]),
}


@dataclass(frozen=True)
class Method:
    """A method that represents the spots of a section.

    Parameters
    ----------
    represent
        Takes a section and a seed and returns ``(n_spots, n_dimensions)``.
    draws
        Whether the seed matters.
    color
        That of its points.
    """

    represent: Represent
    draws: bool = True
    color: str = OTHER_COLOR


#: Principal components, which every model is held against: of scaled expression, and of unscaled expression (the floors
#: F1 and F2 are one and two averagings of the latter).
FLOORS = {
    "PCA": Method(components, draws=False, color="#C4C4C4"),
    "PCA, 1 hop": Method(partial(components, n_hops=1), draws=False, color="#8F8F8F"),
    "PCA, 2 hops": Method(partial(components, n_hops=2), draws=False, color="#4D4D4D"),
    "PCA, unscaled, 1 hop": Method(partial(unscaled_components, n_hops=1), draws=False, color="#66C2A5"),
    "PCA, unscaled, 2 hops": Method(partial(unscaled_components, n_hops=2), draws=False, color="#1B7F5C"),
}

#: Common methods for several slices.
COMMON = {
    "PCA": Method(components, draws=False),
    "Harmony": Method(harmony),
    "ComBat": Method(combat, draws=False),
    "scVI": Method(scvi_latent),
}
_GRAPH_MODELS = {name: Method(partial(graph_model, name=name), color=model.color) for name, model in MODELS.items()}

#: Methods of the integration benchmark. A correction comes after its model, whose representation is then still there.
INTEGRATION = {
    "PCA": COMMON["PCA"],
    "PCA, 1 hop": FLOORS["PCA, 1 hop"],
    **COMMON,
    **{
        title: method
        for name, model in _GRAPH_MODELS.items()
        for title, method in (
            (name, model),
            (f"{name} + Harmony", Method(partial(with_harmony, name=name), color=model.color)),
        )
    },
}
#: Changes of a model, measured when they are asked for.
INTEGRATION_VARIANTS = {
    f"{DEFAULT_MODEL}, centred": Method(partial(centred, name=DEFAULT_MODEL)),
    f"{DEFAULT_MODEL}, scaling weight 3": Method(partial(trained, name=DEFAULT_MODEL, scaling_weight=3.0)),
    f"{DEFAULT_MODEL}, scaling weight 10": Method(partial(trained, name=DEFAULT_MODEL, scaling_weight=10.0)),
}

#: Parts of AESTETIK that are left out, one at a time.
_ABLATIONS: dict[str, dict[str, Any]] = {
    "": {},
    "without space": {"window": 0},
    "without triplets": {"triplet_weight": 0},
    "without cross-sample positives": {"cross_sample_positives": False},
}
#: Harmony is its default.
_CORRECTIONS: dict[str, Represent] = {
    "none": partial(corrected, correction="none"),
    "combat": partial(corrected, correction="combat"),
    "": partial(corrected, correction="harmony"),
    "scVI": partial(on_representation, made_by=scvi_latent),
}


def _aestetik(represent: Callable[..., np.ndarray], **settings: Any) -> Method:
    return Method(partial(represent, **settings), color="#009E73")


#: Methods of the cross-sample benchmark on expression alone.
CROSS_SAMPLE = {
    **COMMON,
    **{
        ", ".join(filter(None, (IMAGE_MODEL, correction, ablation))): _aestetik(represent, **settings)
        for correction, represent in _CORRECTIONS.items()
        for ablation, settings in _ABLATIONS.items()
    },
    **_GRAPH_MODELS,
}
_both = partial(_aestetik, aestetik, image_key=IMAGE)
#: The same where there is an image.
CROSS_SAMPLE_IMAGE = {
    f"{IMAGE_MODEL}, both": _both(),
    f"{IMAGE_MODEL}, expression": _aestetik(aestetik),
    f"{IMAGE_MODEL}, image": _aestetik(aestetik, rna_key=IMAGE),
    "side by side, Harmony": Method(side_by_side),
    f"{IMAGE_MODEL}, both, without cross-sample positives": _both(**_ABLATIONS["without cross-sample positives"]),
    f"{IMAGE_MODEL}, both, without triplets": _both(**_ABLATIONS["without triplets"]),
    f"{IMAGE_MODEL}, both, without space": _both(**_ABLATIONS["without space"]),
    DEFAULT_MODEL: _GRAPH_MODELS[DEFAULT_MODEL],
    f"{DEFAULT_MODEL} and image": Method(
        partial(on_representation, made_by=_GRAPH_MODELS[DEFAULT_MODEL].represent, image_key=IMAGE)
    ),
}


#: The published AESTETIK, measured when it is asked for: it needs sections of lattices.
AESTETIK_PRESETS = ("paper", "released")
CROSS_SAMPLE_PRESETS = {
    f"{IMAGE_MODEL}, preset {preset}": _aestetik(aestetik, preset=preset) for preset in AESTETIK_PRESETS
}
CROSS_SAMPLE_IMAGE_PRESETS = {
    title: method
    for preset in AESTETIK_PRESETS
    for title, method in (
        (f"{IMAGE_MODEL}, both, preset {preset}", _both(preset=preset)),
        (f"{IMAGE_MODEL}, expression, preset {preset}", _aestetik(aestetik, preset=preset)),
    )
}


@dataclass(frozen=True)
class Peer:
    """Another package, which runs in an environment of its own.

    Parameters
    ----------
    title
        Name in tables.
    requirements
        What pip installs.
    color
        That of its points and lines.
    needs_torch
        Whether PyTorch has to be there first.
    """

    title: str
    requirements: tuple[str, ...]
    color: str = OTHER_COLOR
    needs_torch: bool = True


#: Packages that find domains, by the name of their program in ``benchmarks.peers``. Left out for want of a package that
#: pip installs: SpaceFlow, one of whose requirements builds only where PyTorch is there before its build begins.
DOMAIN_PEERS: Mapping[str, Peer] = {
    # Scanpy 1.11 cannot read the neighbours of pynndescent 0.7, which it looks for among more than 4,096 cells.
    "nichepca": Peer("NichePCA", ("nichepca", "pynndescent<0.6"), "#0072B2"),
    "cellcharter": Peer("CellCharter", ("cellcharter[transcriptomics]",), "#009E73"),
    "banksy": Peer("BANKSY", ("pybanksy",), "#CC79A7", needs_torch=False),
    # Its own requirements name none of what it imports.
    "graphst": Peer("GraphST", ("GraphST", "scanpy", "POT", "scikit-misc"), "#56B4E9"),
}
#: A package that aligns slices, and that of the authors of AESTETIK: their Python is given on the command line.
ALIGNMENT_PEER, AESTETIK_PEER = "moscot", "aestetik"
PEERS: Mapping[str, Peer] = {
    **DOMAIN_PEERS,
    ALIGNMENT_PEER: Peer("moscot", ("moscot",)),
    AESTETIK_PEER: Peer("aestetik (package)", ("aestetik",)),
}
