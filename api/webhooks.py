"""Every inbound webhook: keep it, enqueue its job, answer."""

from leadjobs.app import app as leadjobs

app = leadjobs.webhooks
