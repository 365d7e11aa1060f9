"""One measured run of a model, in a process of its own: python -m benchmarks.scaling.run MODEL TISSUE RECORD [...].

It imports nothing of the benchmarks that would add to the measured memory.
"""

import argparse
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import anndata
import torch
from lightning.pytorch import Callback

import spotscape as sps
from benchmarks.common.stages import GIB, Stages, found_domains, versions, write_record
from benchmarks.common.variants import VARIANTS
from benchmarks.scaling.data import N_DOMAINS

#: Steps that are not counted: memory is first taken in them.
_N_FIRST_STEPS = 2


class StepClock(Callback):
    """Seconds of every training step, and of the wait for its batch."""

    def __init__(self, synchronize: bool):
        self.synchronize = synchronize
        self.steps: list[float] = []
        self.waits: list[float] = []
        self.last = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        self.last = time.perf_counter()

    def on_train_batch_start(self, *_: Any) -> None:
        now = time.perf_counter()
        self.waits.append(now - self.last)
        self.last = now

    def on_train_batch_end(self, *_: Any) -> None:
        if self.synchronize:
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.steps.append(now - self.last)
        self.last = now

    def record(self) -> dict[str, Any]:
        """Number of steps, and the medians."""
        first = _N_FIRST_STEPS if len(self.steps) > _N_FIRST_STEPS else 0
        return {
            "n_steps": len(self.steps),
            "seconds_per_step": statistics.median(self.steps[first:]),
            "seconds_per_wait": statistics.median(self.waits[first:]),
        }

    def print(self) -> None:
        """Print the seconds of every step."""
        for number, (wait, step) in enumerate(zip(self.waits, self.steps, strict=True)):
            print(f"step {number}: batch after {wait:.4f} s, step {step:.4f} s", flush=True)


@contextmanager
def watched_gpu(record: dict[str, Any]) -> Iterator[None]:
    """Add the mean utilisation of the GPU in percent to the record, if nvidia-smi is there."""
    if shutil.which("nvidia-smi") is None:
        yield
        return
    query = ["nvidia-smi", "--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=200"]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(query, stdout=output, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait()
        output.seek(0)
        seen = [int(line) for line in output if line.strip().isdigit()]
    if seen:
        record["gpu_utilization_percent"] = statistics.mean(seen)


def run(
    model: str,
    tissue: str,
    *,
    accelerator: str = "cpu",
    precision: str | None = None,
    batch_size: int | None = None,
    profile: bool = False,
) -> dict[str, Any]:
    """Go from a file to domains, with the defaults of the package.

    Parameters
    ----------
    model
        Name of its class.
    tissue
        File of :func:`~benchmarks.scaling.data.write_tissue`.
    accelerator
        ``"cpu"`` or ``"gpu"``, of which one is used.
    precision, batch_size
        Arguments of ``train``; those of the package if ``None``.
    profile
        Whether to print the seconds of every step. On a GPU each step is then waited for.

    Returns
    -------
    Measurements.
    """
    arguments = {"precision": precision, "batch_size": batch_size}
    clock, on_gpu = StepClock(synchronize=profile and accelerator == "gpu"), accelerator == "gpu"
    device: dict[str, Any] = {"device": platform.processor() or platform.machine()}
    model_class, stages = getattr(sps, model), Stages()
    with stages("read"):
        adata = anndata.read_h5ad(tissue)
    with stages("set-up"):
        model_class.setup_anndata(adata, slice_key="slice")
    with stages("model"):
        trained = model_class(adata)
    if on_gpu:
        device["device"] = torch.cuda.get_device_name()
        torch.cuda.reset_peak_memory_stats()
    with watched_gpu(device) if on_gpu else nullcontext(), stages("training"):
        trained.train(
            accelerator=accelerator,
            devices=1,
            callbacks=[clock],
            enable_progress_bar=False,
            **{name: value for name, value in arguments.items() if value is not None},
        )
    with stages("embedding"):
        adata.obsm["X_spotscape"] = trained.get_latent_representation()
    if on_gpu:
        device["max_gpu_gib"] = torch.cuda.max_memory_allocated() / GIB
    with stages("domains"):
        sps.tl.domains(adata, n_domains=N_DOMAINS)
    if profile:
        clock.print()
    return {
        **stages.record(),
        **clock.record(),
        **device,
        **found_domains(adata.obs["domain"].astype(str), adata.obs["spatial_domain"].astype(str)),
        "versions": versions("spotscape", "torch", "numpy", "scipy", "scikit-learn"),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=list(VARIANTS))
    parser.add_argument("tissue")
    parser.add_argument("record")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--precision")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--profile", action="store_true")
    options = vars(parser.parse_args(arguments))
    record = options.pop("record")
    write_record(record, run(**options))


if __name__ == "__main__":
    main()
