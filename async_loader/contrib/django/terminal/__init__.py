"""What commands print: reports and rejects as text, and progress."""
