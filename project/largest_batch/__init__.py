"""The largest batch that an experiment fits into memory."""
