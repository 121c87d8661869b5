"""What Prometheus reads at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

BUCKETS = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Telemetry:
    """Counters of one service; a registry of its own, so that several services can run in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "allfocus_requests", "Answers by route and status.", ["route", "status"], registry=self.registry
        )
        self.jobs = Counter("allfocus_jobs", "Photos by outcome.", ["outcome"], registry=self.registry)
        self.seconds = Histogram("allfocus_job_seconds", "Time a photo.", buckets=BUCKETS, registry=self.registry)
        self.waiting = Gauge("allfocus_jobs_waiting", "Photos that wait or run.", registry=self.registry)
        self.deaths = Gauge("allfocus_worker_deaths", "Workers that ended by themselves.", registry=self.registry)
        self.worker_bytes = Gauge("allfocus_worker_resident_bytes", "Memory of the worker.", registry=self.registry)

    def job(self, outcome: str, seconds: float) -> None:
        """One photo is over."""
        self.jobs.labels(outcome).inc()
        self.seconds.observe(seconds)

    def text(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)
