"""Base class of attacks, queries to the victim, and bookkeeping of best and surviving images."""
