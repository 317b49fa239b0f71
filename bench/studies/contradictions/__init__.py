"""What docs/contradictions.md tells, measured: on the printed tables, and on a network."""
