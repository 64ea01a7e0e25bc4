"""How fast loading is: contenders in processes of their own, in turn, over the same files.

What holds here: a contender is a value in a table; only `measure.py` and `server.py` start processes, and only
`chart.py` imports matplotlib. What is measured is a whole process, from its start to its end, as a user waits for it.
"""
