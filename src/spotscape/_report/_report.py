"""Write a report of an analysis."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from anndata import AnnData

from spotscape._report._alerts import find_alerts
from spotscape._report._figures import Picture, draw_pictures, start_of_last_phase
from spotscape._report._maps import as_json, map_documents, spot_names
from spotscape._report._methods import methods_text, parameters
from spotscape._report._mixing import before_and_after, slice_shifts
from spotscape._report._tables import composition_counts, domain_table, marker_table, summary_table
from spotscape._report._tissue import Tissue, read_tissue
from spotscape._write import whole_file

_TEMPLATES = Path(__file__).parent / "templates"


def report(
    adata: AnnData,
    path: str | Path = "report.html",
    *,
    model: Any = None,
    domain_key: str = "spatial_domain",
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    layer: str | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
) -> Path:
    """Write a report of spatial domains as one HTML file, which opens in a browser without a network.

    It shows what is in ``adata`` and the model, and nothing is trained or clustered: what to be careful about; one line
    for each slice; maps of the domains that zoom, move and show each spot, on the tissue image where ``uns["spatial"]``
    has one; the representation in two dimensions; mixing of slices before and after their correction; composition;
    markers; confidence; the choice of the number of domains; training curves; a paragraph for the methods of a paper
    with references; and all parameters and versions. A section without data is left out. Names from the data are
    shown as text, whatever they contain.

    Parameters
    ----------
    adata
        Annotated data with spatial domains, for example from :func:`spotscape.tl.domains`. It is not changed. Results
        of ``tl.markers`` and :func:`spotscape.tl.choose_n_domains` in ``adata.uns`` are shown.
    path
        File to write, replaced as a whole.
    model
        Trained model, for training curves, parameters, findings about the data and, if it holds ``adata``, the mixing
        of slices. ``None``: these sections are left out.
    domain_key
        Column of ``adata.obs`` with the domains.
    slice_key
        Column of ``adata.obs`` with the slices. If ``None``, that of the model, or as in
        :func:`spotscape.pl.spatial`.
    spatial_key
        Key of the coordinates in ``adata.obsm``.
    layer
        Layer with the counts, for the depth of spots. If ``None``, that of the model, or ``"counts"`` if there is no
        model and such a layer, otherwise ``adata.X``.
    title
        Title of the page. If ``None``, the number of domains and slices.
    notes
        Sentences to list among the findings, such as warnings of the analysis.

    Returns
    -------
    Path of the file.

    Raises
    ------
    KeyError
        If a column, a layer or the coordinates are missing.
    TypeError, ValueError
        If the domains are numbers or all missing, or coordinates are missing.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=100, n_genes=40, seed=0)
    >>> sps.report(adata, "report.html", domain_key="domain").name
    'report.html'
    """
    tissue = read_tissue(
        adata, domain_key=domain_key, slice_key=slice_key, spatial_key=spatial_key, layer=layer, model=model
    )
    text, _ = make_report(tissue, model=model, title=title, notes=notes)
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return Path(path)


def make_report(
    tissue: Tissue,
    *,
    model: Any = None,
    title: str | None = None,
    notes: Sequence[str] = (),
    seconds: Mapping[str, float] | None = None,
    scores: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[str, dict[str, Picture]]:
    """Content of the file, and the static figures in it.

    Parameters
    ----------
    tissue
        Sections with domains.
    model, title, notes
        As in :func:`report`.
    seconds
        Run time of each step.
    scores
        Agreement with annotations, for all spots and for each slice.

    Returns
    -------
    HTML, and figures by name.
    """
    if notes and isinstance(notes, str):
        raise TypeError(f"`notes` is {notes!r}; pass a list of sentences.")
    mixed = before_and_after(tissue, model)
    pictures = draw_pictures(tissue, model, mixed)
    markers = marker_table(tissue)
    methods, references = methods_text(tissue, model, list(pictures), has_markers=bool(markers))
    n_domains = len(tissue.domains.categories)
    counts = composition_counts(tissue)
    content = {
        "title": title or f"{n_domains} spatial domains in {_number_of(tissue.n_slices, 'slice')}",
        "date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "n_spots": tissue.adata.n_obs,
        "n_genes": tissue.adata.n_vars,
        "n_slices": tissue.n_slices,
        "alerts": find_alerts(tissue, model, notes),
        "summary": summary_table(tissue),
        "are_counts": tissue.depth is not None and tissue.depth.is_whole,
        "domains": domain_table(tissue),
        "composition": [
            (name, [int(value) for value in row], max(1, int(row.sum()))) for name, row in counts.iterrows()
        ],
        "slices": [
            {"name": name, "n_spots": int((tissue.slices == code).sum())}
            for code, name in enumerate(tissue.slice_names)
        ],
        "maps": [as_json(document) for document in map_documents(tissue)],
        "viewer": as_json(
            {
                "domains": [str(name) for name in tissue.domains.categories],
                "colors": tissue.colors,
                "slices": tissue.slice_names,
                "spots": spot_names(tissue),
                "countsName": "counts" if tissue.depth is not None and tissue.depth.is_whole else "total",
            }
        ),
        "has_confidence": tissue.confidence is not None,
        "pictures": {
            name: {"src": "data:image/png;base64," + base64.b64encode(picture.png).decode(), "alt": picture.alt}
            for name, picture in pictures.items()
        },
        "mixing": _mixing_table(tissue, mixed),
        "markers": {name: rows for name, rows in markers.items() if rows},
        "n_domains": n_domains,
        "phase": None if model is None or not model.history else start_of_last_phase(model.history),
        "scores": scores or {},
        "methods": methods,
        "references": references,
        "parameters": parameters(tissue, model, seconds or {}),
        "script": _bokeh(),
        "viewer_script": (_TEMPLATES / "viewer.js").read_text(encoding="utf-8"),
        "style": (_TEMPLATES / "style.css").read_text(encoding="utf-8"),
    }
    return _template().render(content), pictures


def _number_of(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _mixing_table(tissue: Tissue, mixed: tuple[Any, ...] | None) -> list[dict[str, Any]]:
    if mixed is None:
        return []
    rows, before, after = mixed
    values = [slice_shifts(features, tissue.slices[rows], tissue.n_slices) for features in (before, after)]
    return [
        {"slice": name, "before": float(one), "after": float(other)}
        for name, one, other in zip(tissue.slice_names, *values, strict=True)
    ]


@cache
def _bokeh() -> str:
    """Scripts of the library that draws the interactive maps, with the licence at their top."""
    from bokeh.resources import Resources

    return "\n".join(Resources(mode="inline", components=["bokeh", "bokeh-gl"], log_level="warn").js_raw)


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: "–" if value is None else f"{value:,.0f}"
    environment.filters["percent"] = lambda value: "–" if value is None else f"{100 * value:.1f}%"
    environment.filters["decimal"] = lambda value: "–" if value is None else f"{value:.2f}"
    environment.filters["p_value"] = lambda value: "< 1e-300" if value < 1e-300 else f"{value:.1e}"
    return environment.get_template("report.html.j2")
