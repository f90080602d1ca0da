"""Attacks of other libraries, judged as Mirage's own are."""
