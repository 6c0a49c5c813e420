"""From bol's JSON to our models, tolerantly: one module per resource."""
