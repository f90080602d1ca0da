"""Everything that docs/performance.md leaves open without a GPU, in one command."""
