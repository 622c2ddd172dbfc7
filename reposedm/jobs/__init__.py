"""What a person wants done, without any user interface: repose, later garment and re-ID."""
