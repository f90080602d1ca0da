"""Image operations: 8-bit rounding, colour spaces, cosine transforms, warps."""
