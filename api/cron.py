"""The cron tick: drain the queue within the time limit."""

from leadjobs.app import app as leadjobs

app = leadjobs.cron
