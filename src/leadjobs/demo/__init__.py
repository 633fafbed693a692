"""The demo: replies in, scores out, on a throw-away PostgreSQL."""
