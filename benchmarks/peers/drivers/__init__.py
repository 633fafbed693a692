"""How each contestant is driven, by its public API and its best settings.  Each file runs in its own interpreter."""
