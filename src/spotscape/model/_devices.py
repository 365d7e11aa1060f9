"""Accelerators and devices that a user names, checked before Lightning reads them."""

import os
from typing import Any

import torch
from lightning.pytorch.accelerators import AcceleratorRegistry

from spotscape._validate import check_choice, check_integer, shown

_GPUS = ("cuda", "mps")


def check_accelerator(value: Any, name: str) -> None:
    """Raise ``ValueError`` unless this computer has the accelerator."""
    check_choice(value, ("auto", "gpu", *sorted(AcceleratorRegistry.available_accelerators())), name)
    kinds = _GPUS if value == "gpu" else (value,)
    if value != "auto" and not any(AcceleratorRegistry[kind]["accelerator"].is_available() for kind in kinds):
        there = [kind for kind in AcceleratorRegistry if AcceleratorRegistry[kind]["accelerator"].is_available()]
        raise ValueError(f"`{name}` is {value!r}, which this computer does not have; available: {there}.")


def check_devices(devices: Any, accelerator: str) -> None:
    """Raise unless ``devices`` names devices of an accelerator, at most one process for each core on processors."""
    if isinstance(devices, list | tuple) and devices:
        for device in devices:
            check_integer(device, "devices", minimum=0)
        return
    if isinstance(devices, str) and (devices == "auto" or devices.isdecimal()):
        number = 1 if devices == "auto" else int(devices)
    elif isinstance(devices, int) and not isinstance(devices, bool):
        number = devices
    else:
        raise TypeError(f"`devices` is {shown(devices)}; pass a number of devices, their numbers, or 'auto'.")
    all_gpus = number == -1 and not on_processors(accelerator)
    n_cores = os.cpu_count() or 1
    if on_processors(accelerator) and number > n_cores:
        raise ValueError(
            f"`devices` is {devices}, but the computer has {n_cores} core(s), each of which trains one process; pass "
            f"at most {n_cores}."
        )
    if not all_gpus:
        check_integer(number, "devices", minimum=1)


def check_device(device: Any, accelerator: str) -> None:
    """Raise unless ``device`` is the number of one device of an accelerator, or ``"auto"``."""
    if device == "auto":
        return
    number = int(device) if isinstance(device, str) and device.isdecimal() else device
    check_integer(number, "device", minimum=0, maximum=1 if on_processors(accelerator) else None)


def on_processors(accelerator: str) -> bool:
    """Whether an accelerator is the processor."""
    return accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
