"""Is it up, and does work get done?"""

from leadjobs.app import app as leadjobs

app = leadjobs.health
