"""Scoring a lead on its whole conversation, and scoring many again."""
