"""bol's API, one module per resource; each method names the call that it makes."""
