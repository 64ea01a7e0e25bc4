"""The console's section in the project's default admin site, which Django finds by this module's name."""

from django.contrib import admin

from async_loader.contrib.django.admin.sites import register

register(admin.site)
