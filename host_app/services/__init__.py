"""What the warehouse does, as functions that work in the caller's transaction and never commit."""
