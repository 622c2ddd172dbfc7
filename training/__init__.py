"""Data, training and evaluation. Nothing in ``reposedm`` imports it."""
