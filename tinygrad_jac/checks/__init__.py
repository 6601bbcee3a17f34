"""Checks: numerical derivatives, and gradients held against them."""
