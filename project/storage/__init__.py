"""Files on disk: the store of adversarial images, rows, traces, histories."""
