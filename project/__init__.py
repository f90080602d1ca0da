"""Mirage: imperceptible and transferable attacks on vision models, at scale."""

import os

# Read when torch loads: on a busy machine, threads that wait by spinning cost several times over.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
