"""Heatproof: puts attribution heatmaps to the proof."""
