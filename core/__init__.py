"""The Django shell: every Django import of the repository."""
