"""Garments: what a person wears where, the masks of a swap, and pictures of products."""
