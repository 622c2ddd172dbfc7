"""Formulas only, no weights: losses, guidance, timesteps."""
