"""Runs as traces, and the metrics, for OpenTelemetry.

A run only writes down what happens, which takes microseconds. Everything else (loading OpenTelemetry, taking literals
out of statements, making spans, sending them) is done by a thread that begins when the run has lasted a while or is
over. Nothing in here takes part in a run, and nothing that goes wrong in here fails one.
"""
