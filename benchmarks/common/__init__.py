"""What the benchmarks share.

This package imports nothing: programs in the environments of other packages read one of its modules.
"""
