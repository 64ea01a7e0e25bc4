"""The commands, and what they share: their base, options, sources, reports, and the parts of `rejects`."""
