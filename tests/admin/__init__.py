"""The console in the admin of the sample (`core.admin_settings`).

Its tests are Django's own (`cases/`), because they need other settings than this process has: one process runs them
all, and each is reported here by its name.
"""
