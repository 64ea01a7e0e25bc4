"""The app for Django projects: tables derived from models, and the commands.

Add `async_loader.contrib.django` to INSTALLED_APPS.
"""
