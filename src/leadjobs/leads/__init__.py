"""Leads: who replied, what they said, and how much it is worth."""
