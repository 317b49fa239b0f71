"""Explainers of other libraries, an adaptor each. A library is imported when a run asks for it, not before."""
