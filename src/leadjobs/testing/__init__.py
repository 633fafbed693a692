"""What tests of jobs need, on a real PostgreSQL: see docs/testing.md.

>>> from leadjobs.testing import LeapClock, Queue, Ran
"""

from leadjobs.store.desk import AttemptLine, JobSheet
from leadjobs.testing.clock import FakeClock, LeapClock
from leadjobs.testing.queue import Queue, Ran
from leadjobs.testing.server import SchemaPart, new_database

__all__ = ["AttemptLine", "FakeClock", "JobSheet", "LeapClock", "Queue", "Ran", "SchemaPart", "new_database"]
