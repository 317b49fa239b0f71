"""What a map is judged by: per-image scores of a batch of maps."""
