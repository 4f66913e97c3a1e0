"""Prometheus's numbers, at a port that is nobody's but the operator's."""

import logging

import prometheus_client

from finwise.problem import Problem

log = logging.getLogger(__name__)


def answer_prometheus(host: str, port: int) -> None:
    """Answer at http://host:port/metrics on a thread, for as long as the process lives.

    Raises Problem if the port is taken. Port 0 asks for nothing.
    """
    if not port:
        return
    prometheus_client.disable_created_metrics()
    try:
        prometheus_client.start_http_server(port, host)
    except OSError as error:
        raise Problem(
            f"Prometheus cannot be answered on port {port} of {host}: {error.strerror}. Each "
            "process needs a port of its own: FINWISE_METRICS_PORT"
        ) from error
    log.info("metrics are answered at http://%s:%s/metrics", host, port)
