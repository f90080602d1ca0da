"""What is kept on disk: adversarial images, rows, traces, histories."""
