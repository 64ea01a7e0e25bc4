# Everything that must pass, from nothing.
check:
	bash .ci/run

# The tests that take minutes: a crash after every single step, kills at random moments, a thousand strange files.
long:
	pytest -m long

.PHONY: check long
