"""Other packages, one program each, run in an environment of its own.

The environment has neither spotscape nor its benchmarks installed.

A program is started as ``python -m benchmarks.peers.NAME`` by the Python of its environment; it may import
``benchmarks.common.stages`` and its neighbours here, which need no package that it lacks.
"""
