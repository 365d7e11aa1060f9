from ._align import align as align
