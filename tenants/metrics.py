"""What is measured about workers. See `syncapp/metrics.py` for what labels may hold."""

from prometheus_client import Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

EXECUTOR_WAIT = Histogram(
    "finwise_executor_wait_seconds",
    "How long a call to the database waited for a worker.",
    buckets=SECONDS,
)
