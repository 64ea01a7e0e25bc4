"""What commands print: reports and rejects as text, progress, and the pace of a run."""
