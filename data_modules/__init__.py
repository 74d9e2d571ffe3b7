"""Audio on disk -> mel on the device. Speaks seconds; imports nothing of `musicfm_pl`."""

SAMPLE_RATE = 24_000
"""Samples per second of every waveform behind `prepare` (the study's input rate)."""
