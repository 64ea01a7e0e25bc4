"""What is known of runs: entries of `loader_runs`, layouts of sources, counts, reports, samples of pace. No I/O."""
