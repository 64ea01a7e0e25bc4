"""The app for Django projects: tables derived from models, and the commands that load them.

Add `async_loader.contrib.django` to INSTALLED_APPS.
"""
