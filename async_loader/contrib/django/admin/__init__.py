"""The console: people load files in the project's own admin. An app beside the loader's own.

Add `async_loader.contrib.django.admin` to INSTALLED_APPS. A project that does not imports nothing of it.
"""
