"""History frames into pictures: frame first, Axes out.

Every function here takes the frame of `bulknb.jobs_frame`, or of ``job.batches()``, and nothing
from the network. `pyplot` is imported only when no Axes is given, so that figures can be drawn from
any thread.
"""

from ._batches import batches
from ._outcomes import outcomes
from ._overview import overview
from ._processing_times import processing_times, processing_times_figure
from ._throughput import throughput
from ._timeline import timeline
from ._trend import trend

__all__ = [
    "batches",
    "outcomes",
    "overview",
    "processing_times",
    "processing_times_figure",
    "throughput",
    "timeline",
    "trend",
]
