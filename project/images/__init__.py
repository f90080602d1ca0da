"""What is done to images as such: rounding, colours, frequencies, warps."""
