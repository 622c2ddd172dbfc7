"""Methods that repose a person; all have the call of ``base.Method``."""
