"""Signals that the loader sends: it calls no `save()`, so `pre_save` and `post_save` are not sent."""

from __future__ import annotations

from django.dispatch import Signal

# Sent for each model whose table a run has loaded, after the commit, from the thread that has carried the load out or
# from one of its own. Arguments:
#
# sender: the model. database: the alias. run: the id of the run. counts: what became of its records.
# keys: primary keys of the rows that were inserted or changed, to be iterated once or several times; it has a length.
# is_complete: false where the run has failed and this is what it has kept.
# resumed: whether rows that an earlier process of the same run has committed are not among the keys.
#
# An exception in a receiver is logged by Django (`django.dispatch`), and changes nothing: the load is committed.
table_loaded = Signal()
