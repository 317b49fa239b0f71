"""The rows that others may compare with: which they are, in which order they are made, and who makes them."""
