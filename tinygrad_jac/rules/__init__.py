"""The rule book: a file for each family of primitives, with forward, VJP and Jacobian statement side by side."""
