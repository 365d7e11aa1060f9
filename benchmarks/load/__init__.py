"""What long use, many slices, many genes and a busy machine cost."""
