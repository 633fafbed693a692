"""Asking a model: what each costs, how one is asked, and every physical call on the ledger."""
