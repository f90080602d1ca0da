"""What every other room stands on: errors, choices, draws, losses, samples, what an object is."""
