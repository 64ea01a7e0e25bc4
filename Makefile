# Everything that must pass, from nothing.
check:
	bash .ci/run

# Every combination of modes, stores and inputs; a plain `pytest` runs a sample of them.
wide:
	pytest -m "wide and not long"

# How long a plain run takes, in seconds and in starts of `manage.py check`.
suite-time:
	python -m tests.suite_time

# Which lines and branches a plain run and the wide tier reach, in all processes that they start.
coverage:
	coverage erase
	coverage run -m pytest -m "not long"
	coverage combine --quiet
	coverage report

# The tests that take minutes: a crash after every single step, kills at random moments, a thousand strange files.
long:
	pytest -m long

.PHONY: check wide suite-time coverage long
