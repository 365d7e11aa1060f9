"""How a model is shown in a notebook."""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def n_epochs(history: Mapping[str, Any] | None) -> int:
    """Number of epochs that the history of a training has."""
    return max((len(values) for values in (history or {}).values()), default=0)


class NotebookMixin:
    """Method that shows a model in a notebook."""

    if TYPE_CHECKING:
        adata: Any
        is_trained: bool
        history_: dict[str, pd.DataFrame] | None
        _model_summary_string: str
        _interruption: str | None

        def get_data_findings(self) -> pd.DataFrame: ...

        def _count_slices(self) -> int: ...

    @property
    def summary_string(self) -> str:
        """Summary of the model, and how the last training ended if it did not end by itself."""
        summary: str = super().summary_string  # type: ignore[misc]
        return summary if self._interruption is None else f"{summary}; {self._of_interruption()}"

    def _of_interruption(self) -> str:
        kept = "; the model is as it was before" if self.is_trained else ""
        return f"the last training was {self._interruption}{kept}"

    def _repr_html_(self) -> str:
        """Table of the model, its data and its training, and of what the checks of the data noticed."""
        rows = {"model": self._model_summary_string.strip(), "data": "none", "training": "not trained"}
        if self.adata is not None:
            shape = [f"{self.adata.n_obs:,} spots", f"{self.adata.n_vars:,} genes"]
            if hasattr(self.adata, "mod"):
                shape[1] = f"modalities {', '.join(self.adata.mod)}"
            n_slices = self._count_slices()
            rows["data"] = ", ".join([*shape, f"{n_slices} slice{'s' if n_slices > 1 else ''}"])
        if self.is_trained:
            rows["training"] = f"{n_epochs(self.history_)} epochs"
        if self._interruption is not None:
            rows["training"] += f"; {self._of_interruption()}"
        messages = self.get_data_findings()["message"].tolist()
        if messages:
            rows["noticed in the data"] = " ".join(messages)
        body = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(text)}</td></tr>"
            for name, text in rows.items()
        )
        return f"<table>{body}</table>"
