"""What every other room stands on: errors, draws, losses, samples, and what an object is."""
