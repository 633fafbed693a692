"""Leads and their scores, to those who bring an API token."""

from leadjobs.app import app as leadjobs

app = leadjobs.leads
