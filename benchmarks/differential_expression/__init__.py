"""False positives and power of differential expression."""
